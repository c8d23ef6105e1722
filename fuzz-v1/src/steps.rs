//! A caller's steps, and how each is taken.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::arguments::documents;
use crate::world::{World, world};
use crate::{calls, making, texts};

/// One of the things of a kind.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// One that was made, counted from the newest, modulo their number. It may have been freed.
    Some(u8),
    /// NULL.
    Null,
    /// An address that was never given out.
    Never,
    /// Something of another kind.
    Foreign(u8),
}

/// The parts that a plugin or a compiled plugin is made with.
#[derive(Debug, Clone, Copy)]
pub struct Making {
    /// The document, modulo their number.
    pub document: u8,
    /// The functions, and how many of them are passed; 4 stands for NULL with a number, 5 for too many.
    pub functions: ([Which; 3], u8),
    /// Whether it may import WASI.
    pub with_wasi: bool,
    /// The limit of instructions.
    pub fuel: Option<u64>,
    /// Whether it says where the error goes.
    pub wants_text: bool,
}

/// An act of a host function on the plugin that calls it.
#[derive(Debug, Clone, Copy)]
pub enum Use {
    /// `extism_current_plugin_memory_alloc` of so many bytes.
    Alloc(u64),
    /// `extism_current_plugin_memory_free` of a block, modulo their number, or of no block.
    Free(u8),
    /// `extism_current_plugin_memory_length` of any handle.
    Length(u64),
    /// `extism_current_plugin_error_set`.
    Fail(bool),
    /// `extism_current_plugin_host_context` and `_memory`.
    Look,
}

/// A function to call. A callback takes the next steps itself.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Makes a host function. Numbers choose from lists, modulo their length, as everywhere.
    NewFunction {
        /// Its name.
        name: u8,
        /// The types of its parameters and results.
        types: u8,
        /// The kind of its user data.
        data: u8,
    },
    /// Changes where a host function is imported from.
    SetNamespace {
        /// The function.
        function: Which,
        /// The namespace.
        namespace: u8,
    },
    /// Frees a host function.
    FreeFunction(Which),
    /// Makes a plugin.
    NewPlugin(Making),
    /// Makes a compiled plugin.
    NewCompiled(Making),
    /// Makes a plugin of a compiled one.
    FromCompiled {
        /// The compiled plugin.
        compiled: Which,
        /// Whether the caller says where the error goes.
        wants_text: bool,
    },
    /// Frees a plugin.
    FreePlugin(Which),
    /// Frees a compiled plugin.
    FreeCompiled(Which),
    /// Frees a text of `errmsg`.
    FreeText(u8),
    /// Calls a plugin.
    Call {
        /// The plugin.
        plugin: Which,
        /// The function's name.
        name: u8,
        /// The input.
        input: u8,
        /// The host context; 0 for a call without one.
        context: u8,
    },
    /// Asks whether a plugin has a function.
    Exists {
        /// The plugin.
        plugin: Which,
        /// The function's name.
        name: u8,
    },
    /// Changes a plugin's configuration.
    Configure {
        /// The plugin.
        plugin: Which,
        /// The configuration.
        config: u8,
    },
    /// Resets a plugin.
    Reset(Which),
    /// Asks a plugin for error, output, id, cancel handle and fuel.
    Look(Which),
    /// Cancels a plugin's calls.
    Cancel(Which),
    /// Does something with the plugin that calls a host function.
    Current {
        /// The pointer that the library has given for it.
        current: Which,
        /// The act.
        what: Use,
    },
    /// Sets where the log goes.
    Log {
        /// Its level.
        level: u8,
        /// The file, or memory.
        file: u8,
    },
    /// Takes the lines of the log, or passes NULL.
    Drain(bool),
    /// Chooses a compiler.
    Compiler(u8),
    /// Ends the innermost callback.
    Return,
}

impl<'a> Arbitrary<'a> for Which {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let number = noise.arbitrary::<u8>()?;
        Ok(match number {
            0..=219 => Self::Some(noise.arbitrary::<u8>()?),
            220..=229 => Self::Null,
            230..=235 => Self::Never,
            _ => Self::Foreign(noise.arbitrary()?),
        })
    }
}

impl Which {
    /// Mostly one of the newest.
    fn new(noise: &mut Unstructured<'_>) -> Result<Self> {
        let which = noise.arbitrary()?;
        Ok(match which {
            Self::Some(number) if number < 192 => Self::Some(number % 3),
            which => which,
        })
    }
}

impl<'a> Arbitrary<'a> for Making {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let document = noise.arbitrary()?;
        let functions = [Which::new(noise)?, Which::new(noise)?, Which::new(noise)?];
        let count = *noise.choose(&[1, 1, 1, 1, 1, 2, 2, 3, 0, 4, 5])?;
        let fuel = if noise.ratio(1, 8)? { Some(*noise.choose(&[0, 1, 20, 5000, 1_000_000])?) } else { None };
        let (with_wasi, wants_text) = (noise.ratio(1, 2)?, noise.ratio(7, 8)?);
        Ok(Self { document, functions: (functions, count), with_wasi, fuel, wants_text })
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let kind = noise.int_in_range(0..=47)?;
        Ok(match kind {
            0..5 => Self::NewFunction { name: noise.arbitrary()?, types: noise.arbitrary()?, data: noise.arbitrary()? },
            5 => Self::SetNamespace { function: Which::new(noise)?, namespace: noise.arbitrary()? },
            6..8 => Self::FreeFunction(Which::new(noise)?),
            8..13 => Self::NewPlugin(noise.arbitrary()?),
            13..15 => Self::NewCompiled(noise.arbitrary()?),
            15..18 => Self::FromCompiled { compiled: Which::new(noise)?, wants_text: noise.ratio(7, 8)? },
            18..20 => Self::FreePlugin(Which::new(noise)?),
            20 => Self::FreeCompiled(Which::new(noise)?),
            21 => Self::FreeText(noise.arbitrary()?),
            22..32 => Self::Call {
                plugin: Which::new(noise)?,
                name: noise.arbitrary()?,
                input: noise.arbitrary()?,
                context: noise.int_in_range(0..=3)?,
            },
            32 => Self::Exists { plugin: Which::new(noise)?, name: noise.arbitrary()? },
            33 => Self::Configure { plugin: Which::new(noise)?, config: noise.arbitrary()? },
            34 => Self::Reset(Which::new(noise)?),
            35..37 => Self::Look(Which::new(noise)?),
            37 => Self::Cancel(Which::new(noise)?),
            38..43 => Self::Current { current: Which::new(noise)?, what: a_use(noise)? },
            43 => Self::Log { level: noise.arbitrary()?, file: noise.arbitrary()? },
            44 => Self::Drain(noise.arbitrary()?),
            45 => Self::Compiler(noise.arbitrary()?),
            _ => Self::Return,
        })
    }
}

fn a_use(noise: &mut Unstructured<'_>) -> Result<Use> {
    Ok(match noise.int_in_range(0..=9)? {
        0..4 => Use::Alloc(*noise.choose(&[0, 1, 8, 100, 5000, 70_000, 3 << 20, 1 << 32, u64::MAX])?),
        4..6 => Use::Free(noise.arbitrary()?),
        6 => Use::Length(noise.arbitrary()?),
        7 => Use::Fail(noise.arbitrary()?),
        _ => Use::Look,
    })
}

/// Takes all steps in a world of its own, and then frees what is left, in an order that `steps` choose.
pub fn take_all(steps: Vec<Step>, mut order: impl FnMut() -> u8) {
    thread_local! {
        static DOCUMENTS: std::rc::Rc<Vec<crate::arguments::Document>> = std::rc::Rc::new(documents());
    }
    world(|world| {
        *world = World { documents: DOCUMENTS.with(std::rc::Rc::clone), steps: steps.into(), ..World::default() };
    });
    while let Some(step) = next() {
        step.take();
    }
    making::free_all(&mut order);
    texts::free_all();
    texts::forget_log();
    world(|world| assert_eq!((world.made, world.freed), (world.freed, world.made), "user data made and freed"));
}

/// Has each panic shown, and end the process. The library hides those that it catches, and a failed check in a callback
/// looks like one of them.
pub fn show_panics() {
    let functions = ([Which::Null; 3], 0);
    let making = Making { document: 0, functions, with_wasi: false, fuel: None, wants_text: false };
    // After the first plugin, which fails here, the library does not change what happens with panics.
    take_all(vec![Step::NewPlugin(making)], || 0);
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}\n{}", std::backtrace::Backtrace::force_capture());
        std::process::abort();
    }));
}

/// Takes up to `most` steps in a callback, or fewer if one ends it.
pub fn take_some(most: usize) {
    /// Callbacks that are deeper do nothing.
    const DEPTH: usize = 6;
    if world(|world| world.depth) >= DEPTH {
        return;
    }
    world(|world| world.depth += 1);
    for _ in 0..most {
        match next() {
            None | Some(Step::Return) => break,
            Some(step) => step.take(),
        }
    }
    world(|world| world.depth -= 1);
}

fn next() -> Option<Step> {
    world(|world| world.steps.pop_front())
}

impl Step {
    fn take(self) {
        match self {
            Self::NewFunction { name, types, data } => making::function(name, types, data),
            Self::SetNamespace { function, namespace } => making::set_namespace(function, namespace),
            Self::FreeFunction(function) => making::free_function(function),
            Self::NewPlugin(making) => making::plugin(making),
            Self::NewCompiled(making) => making::compiled_plugin(making),
            Self::FromCompiled { compiled, wants_text } => making::instance(compiled, wants_text),
            Self::FreePlugin(plugin) => making::free_plugin(plugin),
            Self::FreeCompiled(compiled) => making::free_compiled(compiled),
            Self::FreeText(text) => texts::free(text),
            Self::Call { plugin, name, input, context } => calls::call(plugin, name, input, context),
            Self::Exists { plugin, name } => calls::exists(plugin, name),
            Self::Configure { plugin, config } => calls::configure(plugin, config),
            Self::Reset(plugin) => calls::reset(plugin),
            Self::Look(plugin) => calls::look(plugin),
            Self::Cancel(plugin) => calls::cancel(plugin),
            Self::Current { current, what } => crate::callbacks::use_current(current, what),
            Self::Log { level, file } => texts::set_log(level, file),
            Self::Drain(is_null) => texts::drain(is_null),
            Self::Compiler(name) => texts::set_compiler(name),
            Self::Return => {}
        }
    }
}
