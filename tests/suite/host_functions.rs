//! Functions of the host program that plugins import: how they are given to plugins of a context, and when they are let
//! go. Their values, memory and errors are those of `v1/tests/suite/`: both libraries have the same code for them.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, ThreadId};
use std::{ptr, slice};

use extism::ffi::{self, ExtismContext, ExtismCurrentPlugin, ExtismFunction, ExtismVal, ExtismValType, ExtismValUnion};
use extism_capi::boolean::BoolArg;

use crate::child;
use crate::log::LogFile;

const NO_CONTEXT: *mut ExtismContext = ptr::null_mut();

/// Makes the block that `f` returns its output.
const MODULE: &str = r#"(module
    (import "extism:host/user" "f" (func $f (param i64) (result i64)))
    (import "env" "extism_input_offset" (func $input (result i64)))
    (import "env" "extism_length" (func $length (param i64) (result i64)))
    (import "env" "extism_output_set" (func $output (param i64 i64)))
    (func (export "run") (local $block i64)
        (local.set $block (call $f (call $input)))
        (call $output (local.get $block) (call $length (local.get $block)))))"#;

/// The user data of a function: how often it was freed, which must be on the thread that made it.
struct Data {
    freed: AtomicU32,
    thread: ThreadId,
}

impl Data {
    /// Lives until the process ends, as the tests look at it after it was freed.
    fn new() -> &'static Self {
        Box::leak(Box::new(Self { freed: AtomicU32::new(0), thread: thread::current().id() }))
    }

    fn freed(&self) -> u32 {
        self.freed.load(Ordering::Relaxed)
    }
}

/// A function that appends `!` to a block.
fn function(data: &'static Data) -> *mut ExtismFunction {
    let types = [ExtismValType::I64];
    let data = ptr::from_ref(data).cast_mut().cast();
    // SAFETY: the name is NUL-terminated, there is one type, and the functions are those for this data.
    unsafe {
        ffi::extism_function_new(c"f".as_ptr(), types.as_ptr(), 1, types.as_ptr(), 1, Some(run), data, Some(free))
    }
}

unsafe extern "C" fn run(
    plugin: *mut ExtismCurrentPlugin,
    inputs: *const ExtismVal,
    n_inputs: u64,
    outputs: *mut ExtismVal,
    n_outputs: u64,
    _: *mut c_void,
) {
    assert_eq!((n_inputs, n_outputs), (1, 1));
    assert!(ffi::extism_current_plugin_host_context(plugin).is_null());
    // SAFETY: the library promises one value.
    let input = unsafe { inputs.read() };
    // SAFETY: all bits are numbers.
    let handle = unsafe { input.v.i64 }.cast_unsigned();
    let block = |handle| {
        let length = usize::try_from(ffi::extism_current_plugin_memory_length(plugin, handle)).expect("short");
        let address = ffi::extism_current_plugin_memory(plugin).wrapping_add(usize::try_from(handle).expect("small"));
        // SAFETY: the block is there until the call ends.
        unsafe { slice::from_raw_parts_mut(address, length) }
    };
    let text = [block(handle), b"!".as_slice()].concat();
    if text == b"fail!" {
        // SAFETY: NUL-terminated.
        unsafe { ffi::extism_current_plugin_error_set(plugin, c"the host fails".as_ptr()) };
    }
    let answer = ffi::extism_current_plugin_memory_alloc(plugin, text.len() as u64);
    block(answer).copy_from_slice(&text);
    // SAFETY: the library promises a place for one value.
    unsafe { (*outputs).v = ExtismValUnion { i64: answer.cast_signed() } };
}

unsafe extern "C" fn free(data: *mut c_void) {
    // SAFETY: the data of `function`, which lives until the process ends.
    let data = unsafe { &*data.cast_const().cast::<Data>() };
    assert_eq!(thread::current().id(), data.thread);
    // No lock is held: the library can be used as a whole.
    let context = crate::host::Context::new();
    assert_eq!(context.plugin("(module)").call("f", "").code, -1);
    data.freed.fetch_add(1, Ordering::Relaxed);
}

fn create(context: *mut ExtismContext, functions: &mut [*const ExtismFunction]) -> i32 {
    let (wasm, size, count) = (MODULE.as_ptr(), MODULE.len() as u64, functions.len() as u64);
    // SAFETY: pointers and lengths are those of slices.
    unsafe {
        ffi::extism_plugin_new_with_functions(context, wasm, size, functions.as_mut_ptr(), count, BoolArg::from(false))
    }
}

fn update(context: *mut ExtismContext, plugin: i32, module: &str) -> bool {
    // SAFETY: pointer and length are those of a text.
    unsafe { ffi::extism_plugin_update(context, plugin, module.as_ptr(), module.len() as u64, BoolArg::from(false)) }
        .into()
}

/// Calls `run`; returns its output, or its error.
fn call(context: *mut ExtismContext, plugin: i32, input: &str) -> Result<String, String> {
    // SAFETY: the name is NUL-terminated, pointer and length are those of a text.
    let code = unsafe { ffi::extism_plugin_call(context, plugin, c"run".as_ptr(), input.as_ptr(), input.len() as u64) };
    if code != 0 {
        return Err(error(context, plugin));
    }
    let length = usize::try_from(ffi::extism_plugin_output_length(context, plugin)).expect("short");
    let data = ffi::extism_plugin_output_data(context, plugin);
    // SAFETY: the library promises as many bytes.
    Ok(String::from_utf8_lossy(unsafe { slice::from_raw_parts(data, length) }).into_owned())
}

fn error(context: *mut ExtismContext, plugin: i32) -> String {
    // SAFETY: the text is NUL-terminated.
    unsafe { CStr::from_ptr(ffi::extism_error(context, plugin)) }.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_plugin_and_those_that_replace_it_have_them() {
    let data = Data::new();
    let context = ffi::extism_context_new();
    let function = function(data);
    let plugin = create(context, &mut [function.cast_const()]);
    ffi::extism_function_free(function);
    assert_eq!(call(context, plugin, "a"), Ok("a!".to_owned()));
    let failed = call(context, plugin, "fail").expect_err("the host fails");
    assert!(failed.contains("the host fails"), "{failed}");
    assert_eq!(call(context, plugin, "b"), Ok("b!".to_owned()));
    assert!(!update(context, plugin, "no module"));
    assert_eq!(call(context, plugin, "c"), Ok("c!".to_owned()));
    assert!(update(context, plugin, MODULE));
    assert_eq!((call(context, plugin, "d"), data.freed()), (Ok("d!".to_owned()), 0));
    // The old function that makes plugins gives them none.
    // SAFETY: pointer and length are those of a text.
    let other = unsafe { ffi::extism_plugin_new(context, MODULE.as_ptr(), MODULE.len() as u64, BoolArg::from(false)) };
    assert!(other == -1 && error(context, -1).contains("`extism:host/user::f`"));
    ffi::extism_plugin_free(context, plugin);
    assert_eq!(data.freed(), 1);
    ffi::extism_context_free(context);
    assert_eq!(data.freed(), 1);
}

#[test]
fn what_frees_the_plugin_lets_them_go() {
    for end in [ffi::extism_context_reset, ffi::extism_context_free] {
        let data = Data::new();
        let context = ffi::extism_context_new();
        let function = function(data);
        let plugins = [(); 3].map(|()| create(context, &mut [function.cast_const()]));
        ffi::extism_function_free(function);
        assert_eq!(call(context, plugins[1], "a"), Ok("a!".to_owned()));
        ffi::extism_plugin_free(context, plugins[2]);
        assert_eq!(data.freed(), 0);
        end(context);
        assert_eq!(data.freed(), 1);
        assert!(call(context, plugins[0], "").is_err());
        ffi::extism_context_free(context);
    }
}

#[test]
fn functions_that_cannot_be_made_or_used_are_logged() {
    child::alone("host_functions::functions_that_cannot_be_made_or_used_are_logged", || {
        let log = LogFile::new("error");
        // SAFETY: the library must take NULL for the name; there are no types.
        let function = unsafe {
            ffi::extism_function_new(ptr::null(), ptr::null(), 0, ptr::null(), 0, None, ptr::null_mut(), None)
        };
        assert!(function.is_null());
        let context = ffi::extism_context_new();
        assert_eq!(create(context, &mut [ptr::null()]), -1);
        ffi::extism_context_free(context);
        let lines: Vec<_> = log.lines().into_iter().map(|line| line.message).collect();
        assert_eq!(lines[..2], ["extism_function_new: `name` is NULL", "functions[0] is NULL"], "{lines:?}");
    });
}

#[test]
fn a_creation_that_fails_lets_nothing_go() {
    let data = Data::new();
    let context = ffi::extism_context_new();
    let function = function(data);
    assert_eq!(create(context, &mut [ptr::null()]), -1);
    assert_eq!(error(context, -1), "Cannot pass null pointer");
    assert_eq!(create(NO_CONTEXT, &mut [function.cast_const()]), -1);
    let plugin = create(context, &mut [function.cast_const(); 2]);
    assert_eq!(call(context, plugin, "a"), Ok("a!".to_owned()));
    ffi::extism_function_free(function);
    assert_eq!((create(context, &mut [function.cast_const()]), data.freed()), (-1, 0));
    assert!(error(context, -1).starts_with("functions[0] has been freed"));
    ffi::extism_context_free(context);
    assert_eq!(data.freed(), 1);
}
