//! Host functions, plugins and compiled plugins: made, and freed in any order.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::ffi::{CStr, c_char, c_void};
use std::{ptr, slice};

use extism_capi::boolean::BoolArg;
use extism_v1::ffi::{self, ExtismFunction, ExtismPlugin, ExtismValType};

use crate::arguments::{FUNCTION_NAMES, Fate, NAMESPACES, TYPES, of};
use crate::callbacks;
use crate::calls;
use crate::steps::{Making, Which};
use crate::texts;
use crate::world::{Compiled, Data, Function, Plugin, Run, World, freeing, keep_text, world};

/// Makes a host function. Its user data is freed by a callback, kept by this program, or NULL.
pub(crate) fn function(name: u8, types: u8, data: u8) {
    const KEPT: u8 = 0;
    const NULL: u8 = 1;
    const NO_WORK: u8 = 2;
    let name = *of(&FUNCTION_NAMES, name);
    let (inputs, outputs, is_usable, is_right) = *of(&TYPES, types);
    let kind = data % 16;
    let own = if kind == NULL {
        ptr::null_mut()
    } else {
        Box::into_raw(Box::new(Data { function: world(|world| world.functions.len()) }))
    };
    let work: ffi::ExtismFunctionType = if kind == NO_WORK { None } else { Some(callbacks::host_function) };
    let free: Option<unsafe extern "C" fn(*mut c_void)> = if kind == KEPT { None } else { Some(callbacks::free_data) };
    let [(inputs, n_inputs), (outputs, n_outputs)] =
        [inputs, outputs].map(|types| (types.as_ptr().cast::<ExtismValType>(), types.len() as u64));
    let name_pointer = name.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: the name is NULL or a C string, pointers and numbers are those of slices, and the functions are those for
    // this data.
    let token =
        unsafe { ffi::extism_function_new(name_pointer, inputs, n_inputs, outputs, n_outputs, work, own.cast(), free) };
    let name = name.and_then(|name| name.to_str().ok());
    assert_eq!(token.is_null(), name.is_none());
    let Some(name) = name else {
        if !own.is_null() {
            // SAFETY: made above, and the library does not keep it.
            drop(unsafe { Box::from_raw(own) });
        }
        return;
    };
    let owes_data = !matches!(kind, KEPT | NULL);
    let is_usable = is_usable && kind != NO_WORK;
    let namespace = "extism:host/user";
    let (token, is_there, holders, leaving) = (token.addr(), true, 0, 0);
    world(|world| {
        world.made += usize::from(owes_data);
        world.kept.extend((kind == KEPT).then_some(own));
        world.functions.push(Function {
            token,
            is_there,
            name,
            namespace,
            is_usable,
            is_right,
            holders,
            leaving,
            owes_data,
        });
    });
}

/// Changes the namespace of a host function.
pub(crate) fn set_namespace(which: Which, namespace: u8) {
    let (token, index) = world(|world| world.function(which));
    let namespace = *of(&NAMESPACES, namespace);
    // SAFETY: NULL or a C string.
    unsafe {
        ffi::extism_function_set_namespace(
            ptr::without_provenance_mut(token),
            namespace.map_or(ptr::null(), CStr::as_ptr),
        );
    };
    if let (Some(index), Some(namespace)) = (index, namespace.and_then(|namespace| namespace.to_str().ok())) {
        world(|world| world.functions[index].namespace = namespace);
    }
}

/// Frees a host function.
pub(crate) fn free_function(which: Which) {
    let (token, index) = world(|world| world.function(which));
    if let Some(index) = index {
        world(|world| world.functions[index].is_there = false);
    }
    freeing(|| ffi::extism_function_free(ptr::without_provenance_mut(token)));
}

/// The arguments of a creation, and what must come of it.
struct Plan {
    making: Making,
    document: usize,
    tokens: Vec<*const ExtismFunction>,
    /// The functions that are there, of those that are passed.
    functions: Vec<usize>,
    serves: Option<usize>,
    has_limit: bool,
    /// A compiled plugin can be made.
    compiles: bool,
    /// All imports are served.
    links: bool,
}

/// The result of a creation: the token, or the text of why there is none.
type Made = Result<usize, Option<String>>;

impl Plan {
    fn new(world: &World, making: Making) -> Self {
        let number = usize::from(making.document) % world.documents.len();
        let document = &world.documents[number];
        let (which, count) = making.functions;
        let passed: Vec<_> = which.iter().take(usize::from(count % 4)).map(|which| world.function(*which)).collect();
        let functions: Vec<_> = passed.iter().filter_map(|(_, index)| *index).collect();
        let are_usable = count != 5
            && functions.len() == passed.len()
            && functions.iter().all(|index| world.functions[*index].is_usable);
        let is_it = |function: &Function| Some((function.namespace, function.name)) == document.import;
        let serves = functions.iter().copied().rfind(|index| is_it(&world.functions[*index]));
        let is_served = document.import.is_none() || serves.is_some_and(|index| world.functions[index].is_right);
        Self {
            making,
            document: number,
            tokens: passed.iter().map(|(token, _)| ptr::without_provenance(*token)).collect(),
            functions,
            serves,
            has_limit: document.has_limit || making.fuel.is_some(),
            compiles: are_usable && document.fate != Fate::Bad,
            links: is_served && (making.with_wasi || !document.needs_wasi),
        }
    }

    /// Calls one of the four functions that make something of a document: the one for a plugin, or for a compiled plugin.
    fn make(&mut self, is_compiled: bool) -> Made {
        let documents = world(|world| std::rc::Rc::clone(&world.documents));
        let bytes = documents[self.document].bytes.as_deref();
        let (wasm, size) = bytes.map_or((ptr::null(), 5), |bytes| (bytes.as_ptr(), bytes.len() as u64));
        let (functions, count) = match self.making.functions.1 {
            4 => (ptr::null_mut(), 7),
            5 => (self.tokens.as_mut_ptr(), 100_001),
            _ => (self.tokens.as_mut_ptr(), self.tokens.len() as u64),
        };
        let (wasi, fuel) = (BoolArg::from(self.making.with_wasi), self.making.fuel);
        made(self.making.wants_text, |message| match (is_compiled, fuel) {
            (false, None) => {
                // SAFETY: pointers and lengths are those of slices, or NULL.
                unsafe { ffi::extism_plugin_new(wasm, size, functions, count, wasi, message) }.addr()
            }
            (false, Some(fuel)) => {
                let make = ffi::extism_plugin_new_with_fuel_limit;
                // SAFETY: as above.
                unsafe { make(wasm, size, functions, count, wasi, fuel, message) }.addr()
            }
            (true, None) => {
                // SAFETY: as above.
                unsafe { ffi::extism_compiled_plugin_new(wasm, size, functions, count, wasi, message) }.addr()
            }
            (true, Some(fuel)) => {
                let make = ffi::extism_compiled_plugin_new_with_fuel_limit;
                // SAFETY: as above.
                unsafe { make(wasm, size, functions, count, wasi, fuel, message) }.addr()
            }
        })
    }
}

/// Calls a function that makes something, with a place for the error that the library must not read.
fn made(wants_text: bool, make: impl FnOnce(*mut *mut c_char) -> usize) -> Made {
    let garbage = ptr::without_provenance_mut(0xdead);
    let mut message: *mut c_char = garbage;
    let token = make(if wants_text { &raw mut message } else { ptr::null_mut() });
    if token != 0 {
        assert_eq!(message, garbage, "left alone on success");
        return Ok(token);
    }
    if !wants_text {
        return Err(None);
    }
    assert!(message != garbage && !message.is_null(), "a failure has an error");
    keep_text(message);
    // SAFETY: the library's texts are NUL-terminated.
    Err(texts::text(message))
}

/// Checks a creation against what was expected of it. Returns the token if there is one.
fn checked(made: Made, is_expected: bool, has_limit: bool) -> Option<usize> {
    match made {
        Ok(token) => {
            assert!(is_expected, "nothing could have been made");
            Some(token)
        }
        Err(text) => {
            let is_stopped = |text: &String| text.contains("timeout") || text.contains("fuel");
            let is_due = !is_expected || has_limit && text.as_ref().is_none_or(is_stopped);
            assert!(is_due, "{text:?}");
            None
        }
    }
}

/// Makes a plugin.
pub(crate) fn plugin(making: Making) {
    let mut plan = world(|world| Plan::new(world, making));
    let (made, run) = starting(&plan.functions.clone(), plan.serves, || plan.make(false));
    let Plan { document, functions, serves, has_limit, .. } = plan;
    let is_expected = plan.compiles && plan.links && starts(document, &run);
    add(checked(made, is_expected, has_limit), document, functions, serves, has_limit);
}

/// Makes a compiled plugin.
pub(crate) fn compiled_plugin(making: Making) {
    let mut plan = world(|world| Plan::new(world, making));
    let (made, run) = starting(&plan.functions.clone(), None, || plan.make(true));
    assert_eq!(run.calls, 0, "nothing runs");
    let Plan { document, functions, serves, links, has_limit, .. } = plan;
    if let Some(token) = checked(made, plan.compiles, has_limit) {
        world(|world| {
            world.count(&functions, 1, 0);
            world.compiled.push(Compiled { token, document, has_limit, functions, serves, links, is_there: true });
        });
    }
    world(|world| world.check_data());
}

/// Makes a plugin of a compiled plugin.
pub(crate) fn instance(which: Which, wants_text: bool) {
    let (token, index) = world(|world| world.compiled_plugin(which));
    let compiled = ptr::without_provenance(token);
    // SAFETY: the message may be written, or is NULL.
    let make = || made(wants_text, |message| unsafe { ffi::extism_plugin_new_from_compiled(compiled, message) }.addr());
    let Some(index) = index else {
        assert!(make().is_err(), "there is no such compiled plugin");
        return;
    };
    let (document, functions, serves, links, has_limit) = world(|world| {
        let Compiled { document, functions, serves, links, has_limit, .. } = &world.compiled[index];
        (*document, functions.clone(), *serves, *links, *has_limit)
    });
    let (made, run) = starting(&functions, serves, make);
    add(checked(made, links && starts(document, &run), has_limit), document, functions, serves, has_limit);
}

/// Runs `make`, in which start functions may call these host functions, and returns what they did.
fn starting(functions: &[usize], serves: Option<usize>, make: impl FnOnce() -> Made) -> (Made, Run) {
    world(|world| {
        world.count(functions, 0, 1);
        world.runs.push(Run { functions: functions.to_vec(), serves, ..Run::default() });
    });
    let made = make();
    let run = world(|world| world.runs.pop()).expect("pushed above");
    // From here on until the plugin is noted, nothing else is done.
    world(|world| world.count(functions, 0, -1));
    (made, run)
}

/// Whether a module that links also starts.
fn starts(document: usize, run: &Run) -> bool {
    world(|world| world.documents[document].fate == Fate::Good) && !run.has_failed
}

/// Notes a plugin that was made.
fn add(token: Option<usize>, document: usize, functions: Vec<usize>, serves: Option<usize>, has_limit: bool) {
    if let Some(token) = token {
        let id = id(token).expect("it is there");
        assert_eq!((id.1[6] >> 4, id.1[8] >> 6), (4, 2), "a UUID of version 4");
        world(|world| {
            assert!(world.plugins.iter().all(|plugin| plugin.token != token && plugin.id.1 != id.1), "given twice");
            world.count(&functions, 1, 0);
            let (handle, has_error, output) = (0, false, Some(Vec::new()));
            let is_there = true;
            let plugin =
                Plugin { token, document, has_limit, functions, serves, is_there, handle, id, has_error, output };
            world.plugins.push(plugin);
        });
    }
    world(|world| world.check_data());
}

/// The address of a plugin's id, and its bytes.
pub(crate) fn id(token: usize) -> Option<(usize, [u8; 16])> {
    let address = ffi::extism_plugin_id(ptr::without_provenance_mut(token));
    if address.is_null() {
        return None;
    }
    // SAFETY: the library promises 16 bytes.
    let bytes = unsafe { slice::from_raw_parts(address, 16) };
    Some((address.addr(), bytes.try_into().expect("16 bytes")))
}

/// Frees a plugin, which may be running.
pub(crate) fn free_plugin(which: Which) {
    let (token, index) = world(|world| world.plugin(which));
    free_plugin_at(token, index);
}

fn free_plugin_at(token: usize, index: Option<usize>) {
    if let Some(index) = index {
        world(|world| {
            world.plugins[index].is_there = false;
            let functions = world.plugins[index].functions.clone();
            let run = world.run_of(index);
            world.count(&functions, -1, isize::from(run.is_some()));
            if let Some(run) = run {
                world.runs[run].is_freed = true;
            }
        });
    }
    let plugin: *mut ExtismPlugin = ptr::without_provenance_mut(token);
    freeing(|| ffi::extism_plugin_free(plugin));
    calls::check_absent(token);
}

/// Frees a compiled plugin.
pub(crate) fn free_compiled(which: Which) {
    let (token, index) = world(|world| world.compiled_plugin(which));
    free_compiled_at(token, index);
}

fn free_compiled_at(token: usize, index: Option<usize>) {
    if let Some(index) = index {
        world(|world| {
            world.compiled[index].is_there = false;
            let functions = world.compiled[index].functions.clone();
            world.count(&functions, -1, 0);
        });
    }
    freeing(|| ffi::extism_compiled_plugin_free(ptr::without_provenance_mut(token)));
}

/// Frees all that is left, in an order that `order` chooses.
pub(crate) fn free_all(order: &mut impl FnMut() -> u8) {
    let is_left = |world: &World| {
        let functions = world.functions.iter().enumerate().filter(|(_, function)| function.is_there);
        let plugins = world.plugins.iter().enumerate().filter(|(_, plugin)| plugin.is_there);
        let compiled = world.compiled.iter().enumerate().filter(|(_, compiled)| compiled.is_there);
        let functions = functions.map(|(index, function)| (0, index, function.token));
        let plugins = plugins.map(|(index, plugin)| (1, index, plugin.token));
        functions.chain(plugins).chain(compiled.map(|(index, compiled)| (2, index, compiled.token))).collect::<Vec<_>>()
    };
    loop {
        let left = world(|world| is_left(world));
        if left.is_empty() {
            break;
        }
        let (kind, index, token) = *of(&left, order());
        match kind {
            0 => {
                world(|world| world.functions[index].is_there = false);
                freeing(|| ffi::extism_function_free(ptr::without_provenance_mut(token)));
            }
            1 => free_plugin_at(token, Some(index)),
            _ => free_compiled_at(token, Some(index)),
        }
    }
    for data in world(|world| std::mem::take(&mut world.kept)) {
        // SAFETY: made in `function`, and nothing can use it any more.
        drop(unsafe { Box::from_raw(data) });
    }
}
