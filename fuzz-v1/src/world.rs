//! The world of a caller in C: all that it has made, the part of it that is still there, and the calls that run.
//!
//! There is one world for each input. It is borrowed for moments and never during a call of the library, whose callbacks
//! use it too.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_char;

use crate::arguments::Document;
use crate::steps::{Step, Which};

/// A host function.
pub struct Function {
    /// The pointer that C has.
    pub token: usize,
    /// `extism_function_free` has not been called.
    pub is_there: bool,
    /// The name of its imports.
    pub name: &'static str,
    /// The module that it is imported from.
    pub namespace: &'static str,
    /// A plugin can be made with it.
    pub is_usable: bool,
    /// It has the type of the modules' import.
    pub is_right: bool,
    /// The number of plugins and compiled plugins that have it.
    pub holders: usize,
    /// The number of such that have not returned yet: creations, and calls in which the plugin was freed.
    pub leaving: usize,
    /// Its user data is freed by a callback, and has not been yet.
    pub owes_data: bool,
}

/// A plugin.
pub struct Plugin {
    /// The pointer that C has.
    pub token: usize,
    /// The number of its document.
    pub document: usize,
    /// Its calls may run out of fuel or time.
    pub has_limit: bool,
    /// The functions that it was made with.
    pub functions: Vec<usize>,
    /// Which of them its import is.
    pub serves: Option<usize>,
    /// `extism_plugin_free` has not been called.
    pub is_there: bool,
    /// The cancel handle, once it was asked for, or null.
    pub handle: usize,
    /// The address of the id and its bytes.
    pub id: (usize, [u8; 16]),
    /// An error can be had.
    pub has_error: bool,
    /// The output, if it is known.
    pub output: Option<Vec<u8>>,
}

/// A compiled plugin.
pub struct Compiled {
    /// The pointer that C has.
    pub token: usize,
    /// The number of its document.
    pub document: usize,
    /// Its plugins have a limit of fuel or time.
    pub has_limit: bool,
    /// The functions that it was made with.
    pub functions: Vec<usize>,
    /// Which of them its import is.
    pub serves: Option<usize>,
    /// All that its module imports is there.
    pub links: bool,
    /// It has not been freed.
    pub is_there: bool,
}

/// A plugin's code that runs: a call, or the start function of a plugin that is being made.
#[derive(Default)]
pub struct Run {
    /// The plugin; `None` for one that is being made.
    pub plugin: Option<usize>,
    /// Its functions.
    pub functions: Vec<usize>,
    /// Which of them its import is.
    pub serves: Option<usize>,
    /// The host context.
    pub context: usize,
    /// A host function has failed.
    pub has_failed: bool,
    /// It has been cancelled.
    pub is_cancelled: bool,
    /// The plugin was freed inside.
    pub is_freed: bool,
    /// The number of calls of the host function that have returned.
    pub calls: usize,
    /// The blocks that the host has made or was given, and their bytes.
    pub blocks: BTreeMap<u64, Vec<u8>>,
    /// The block that the host has made last.
    pub newest: u64,
    /// The block that the host function has returned last.
    pub returned: u64,
}

/// A host function that runs.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The pointer that C has to the plugin that calls.
    pub token: usize,
    /// The index of its run.
    pub run: usize,
    /// It is to fail when it returns.
    pub fails: bool,
}

/// All of it.
#[derive(Default)]
pub struct World {
    /// The inputs that there are. The same for all worlds.
    pub documents: std::rc::Rc<Vec<Document>>,
    /// The steps that are left.
    pub steps: VecDeque<Step>,
    /// The functions, also freed ones.
    pub functions: Vec<Function>,
    /// The plugins, also freed ones.
    pub plugins: Vec<Plugin>,
    /// The compiled plugins, also freed ones.
    pub compiled: Vec<Compiled>,
    /// The texts of `errmsg` that C has.
    pub texts: Vec<usize>,
    /// The texts that were freed.
    pub freed_texts: Vec<usize>,
    /// The calls that run, innermost last.
    pub runs: Vec<Run>,
    /// The host functions that run, innermost last.
    pub frames: Vec<Frame>,
    /// The tokens of host functions that have returned.
    pub over: Vec<usize>,
    /// The number of callbacks that run, of all kinds.
    pub depth: usize,
    /// The number of calls that run and may free user data.
    pub freeing: usize,
    /// User data that was made and freed.
    pub made: usize,
    /// User data that was freed.
    pub freed: usize,
    /// User data without a callback that frees it; this program's own.
    pub kept: Vec<*mut Data>,
}

/// The user data of a host function.
pub struct Data {
    /// The function's index.
    pub function: usize,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// Looks at the world, or changes it. `work` must not call the library.
pub fn world<T>(work: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with(|world| work(&mut world.borrow_mut()))
}

/// The item that `which` chooses: its token, and its index if it is there.
fn find<T>(
    list: &[T],
    which: Which,
    token: impl Fn(&T) -> (usize, bool),
    foreign: impl FnOnce(u8) -> usize,
) -> (usize, Option<usize>) {
    match which {
        Which::Some(number) if !list.is_empty() => {
            let index = list.len() - 1 - usize::from(number) % list.len();
            let (token, is_there) = token(&list[index]);
            (token, is_there.then_some(index))
        }
        Which::Some(_) | Which::Null => (0, None),
        Which::Never => (0x1230, None),
        Which::Foreign(number) => (foreign(number), None),
    }
}

impl World {
    /// A plugin.
    pub fn plugin(&self, which: Which) -> (usize, Option<usize>) {
        let foreign = |number| self.other(number, &[&self.functions(), &self.compiled(), &self.over, &self.handles()]);
        find(&self.plugins, which, |plugin| (plugin.token, plugin.is_there), foreign)
    }

    /// A host function.
    pub fn function(&self, which: Which) -> (usize, Option<usize>) {
        let foreign = |number| self.other(number, &[&self.plugins(), &self.compiled(), &self.over, &self.handles()]);
        find(&self.functions, which, |function| (function.token, function.is_there), foreign)
    }

    /// A compiled plugin.
    pub fn compiled_plugin(&self, which: Which) -> (usize, Option<usize>) {
        let foreign = |number| self.other(number, &[&self.plugins(), &self.functions(), &self.over, &self.handles()]);
        find(&self.compiled, which, |compiled| (compiled.token, compiled.is_there), foreign)
    }

    /// A cancel handle, of a plugin that was asked for it.
    pub fn handle(&self, which: Which) -> (usize, Option<usize>) {
        let foreign = |number| self.other(number, &[&self.plugins(), &self.functions(), &self.compiled(), &self.over]);
        find(&self.plugins, which, |plugin| (plugin.handle, plugin.is_there && plugin.handle != 0), foreign)
    }

    /// The pointer that C has to a plugin that calls a host function, and the index of its frame if that has not returned.
    pub fn current(&self, which: Which) -> (usize, Option<usize>) {
        if let Which::Some(number) = which
            && number < 200
        {
            return find(&self.frames, which, |frame| (frame.token, true), |_| 0);
        }
        let lists: [&[usize]; 5] = [&self.over, &self.plugins(), &self.functions(), &self.compiled(), &self.handles()];
        match which {
            Which::Some(number) => (*self.over.iter().rev().nth(usize::from(number) - 200).unwrap_or(&0), None),
            Which::Foreign(number) => (self.other(number, &lists), None),
            Which::Null => (0, None),
            Which::Never => (0x1230, None),
        }
    }

    fn other(&self, number: u8, lists: &[&[usize]]) -> usize {
        let all = lists.concat();
        if all.is_empty() { 0 } else { all[usize::from(number) % all.len()] }
    }

    fn plugins(&self) -> Vec<usize> {
        self.plugins.iter().map(|plugin| plugin.token).collect()
    }

    fn functions(&self) -> Vec<usize> {
        self.functions.iter().map(|function| function.token).collect()
    }

    fn compiled(&self) -> Vec<usize> {
        self.compiled.iter().map(|compiled| compiled.token).collect()
    }

    fn handles(&self) -> Vec<usize> {
        self.plugins.iter().map(|plugin| plugin.handle).collect()
    }

    /// The index of the run of this plugin, if it is running.
    pub fn run_of(&self, plugin: usize) -> Option<usize> {
        self.runs.iter().position(|run| run.plugin == Some(plugin))
    }

    /// Notes that something has, or no longer has, these functions, or is about to let them go.
    pub fn count(&mut self, functions: &[usize], holders: isize, leaving: isize) {
        for index in functions {
            let function = &mut self.functions[*index];
            function.holders = function.holders.checked_add_signed(holders).expect("not below 0");
            function.leaving = function.leaving.checked_add_signed(leaving).expect("not below 0");
        }
    }

    /// Fails if user data is still there that nobody has, or the other way round.
    pub fn check_data(&self) {
        if self.freeing > 0 {
            return;
        }
        for (index, function) in self.functions.iter().enumerate() {
            let is_used = function.is_there || function.holders + function.leaving > 0;
            assert!(is_used || !function.owes_data, "the data of function {index} was not freed");
        }
    }
}

/// Marks this world as one in which user data may be freed at any time, until `work` has returned.
pub fn freeing<T>(work: impl FnOnce() -> T) -> T {
    world(|world| world.freeing += 1);
    let result = work();
    world(|world| {
        world.freeing -= 1;
        world.check_data();
    });
    result
}

/// Notes a text of `errmsg`.
pub fn keep_text(text: *mut c_char) {
    world(|world| {
        world.freed_texts.retain(|freed| *freed != text.addr());
        world.texts.push(text.expose_provenance());
    });
}
