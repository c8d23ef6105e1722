//! The C interface in a short form for tests.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::{mem, ptr, slice};

use extism_capi::boolean::BoolArg;
use extism_v1::ffi::{
    self, ExtismCancelHandle, ExtismCompiledPlugin, ExtismCurrentPlugin, ExtismFunction, ExtismPlugin, ExtismVal,
    ExtismValType, ExtismValUnion,
};

/// A plugin that is freed at the end of the test.
#[derive(Debug)]
pub(crate) struct Plugin(pub(crate) *mut ExtismPlugin);

// SAFETY: the library promises that plugins may be used from any thread.
unsafe impl Send for Plugin {}
// SAFETY: as above, and from several at once.
unsafe impl Sync for Plugin {}

/// Calls a function that makes plugins. Returns its pointer, or the text of `errmsg`.
fn made<T>(make: impl FnOnce(*mut *mut c_char) -> *mut T) -> Result<*mut T, String> {
    // Not a pointer: the library must not read it.
    let garbage = ptr::without_provenance_mut(0xdead);
    let mut message: *mut c_char = garbage;
    let made = make(&raw mut message);
    if !made.is_null() {
        assert_eq!(message, garbage, "left alone on success");
        return Ok(made);
    }
    // SAFETY: written on failure, NUL-terminated, and freed below.
    let text = unsafe { CStr::from_ptr(message) }.to_str().expect("errors are UTF-8").to_owned();
    ffi::extism_plugin_new_error_free(message);
    ffi::extism_plugin_new_error_free(message);
    Err(text)
}

fn tokens(functions: &[&Function]) -> Vec<*const ExtismFunction> {
    functions.iter().map(|function| function.0.cast_const()).collect()
}

impl Plugin {
    /// Makes a plugin with everything that `extism_plugin_new_with_fuel_limit` takes.
    pub(crate) fn try_new(input: &str, functions: &[&Function], fuel: Option<u64>) -> Result<Self, String> {
        let mut tokens = tokens(functions);
        let (wasm, size, functions, count) =
            (input.as_ptr(), input.len() as u64, tokens.as_mut_ptr(), tokens.len() as u64);
        let wasi = BoolArg::from(true);
        made(|message| match fuel {
            // SAFETY: pointers and lengths are those of slices.
            None => unsafe { ffi::extism_plugin_new(wasm, size, functions, count, wasi, message) },
            // SAFETY: as above.
            Some(fuel) => unsafe {
                ffi::extism_plugin_new_with_fuel_limit(wasm, size, functions, count, wasi, fuel, message)
            },
        })
        .map(Self)
    }

    /// A plugin that must work.
    pub(crate) fn new(input: &str, functions: &[&Function]) -> Self {
        Self::try_new(input, functions, None).expect("the plugin can be made")
    }

    /// The return value of a call.
    pub(crate) fn call(&self, name: &str, input: &[u8]) -> i32 {
        self.call_with(name, input, ptr::null_mut())
    }

    /// The return value of a call with a host context.
    pub(crate) fn call_with(&self, name: &str, input: &[u8], context: *mut c_void) -> i32 {
        let name = CString::new(name).expect("no NUL");
        let (data, length) = (input.as_ptr(), input.len() as u64);
        // SAFETY: the name is NUL-terminated, pointer and length are those of a slice.
        unsafe { ffi::extism_plugin_call_with_host_context(self.0, name.as_ptr(), data, length, context) }
    }

    /// Calls a function that must succeed, and returns the output.
    pub(crate) fn output_of(&self, name: &str, input: &[u8]) -> Vec<u8> {
        assert_eq!((self.call(name, input), self.error()), (0, None));
        self.output()
    }

    pub(crate) fn output(&self) -> Vec<u8> {
        let length = usize::try_from(ffi::extism_plugin_output_length(self.0)).expect("short");
        let data = ffi::extism_plugin_output_data(self.0);
        assert!(!data.is_null());
        // SAFETY: the library promises as many bytes.
        unsafe { slice::from_raw_parts(data, length) }.to_vec()
    }

    pub(crate) fn error(&self) -> Option<String> {
        text(ffi::extism_plugin_error(self.0))
    }

    /// The error of a call that must have failed.
    pub(crate) fn refusal(&self) -> String {
        self.error().expect("an error")
    }

    pub(crate) fn has(&self, name: &CStr) -> bool {
        // SAFETY: NUL-terminated.
        unsafe { ffi::extism_plugin_function_exists(self.0, name.as_ptr()) }.into()
    }

    pub(crate) fn configure(&self, json: &str) -> bool {
        // SAFETY: pointer and length are those of a slice.
        unsafe { ffi::extism_plugin_config(self.0, json.as_ptr(), json.len() as u64) }.into()
    }

    pub(crate) fn reset(&self) -> bool {
        ffi::extism_plugin_reset(self.0).into()
    }

    pub(crate) fn cancel_handle(&self) -> CancelHandle {
        CancelHandle(ffi::extism_plugin_cancel_handle(self.0))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        ffi::extism_plugin_free(self.0);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CancelHandle(pub(crate) *const ExtismCancelHandle);

// SAFETY: the library promises that handles may be used from any thread.
unsafe impl Send for CancelHandle {}

impl CancelHandle {
    pub(crate) fn cancel(self) -> bool {
        ffi::extism_plugin_cancel(self.0).into()
    }
}

/// The text that a C function returned.
pub(crate) fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: texts of the library are NUL-terminated and valid until this thread asks again.
    Some(unsafe { CStr::from_ptr(text) }.to_str().expect("errors are UTF-8").to_owned())
}

/// A compiled plugin that is freed at the end of the test.
#[derive(Debug)]
pub(crate) struct Compiled(pub(crate) *mut ExtismCompiledPlugin);

// SAFETY: the library promises that compiled plugins may be used from any thread.
unsafe impl Send for Compiled {}
// SAFETY: as above, and from several at once.
unsafe impl Sync for Compiled {}

impl Compiled {
    pub(crate) fn try_new(input: &str, functions: &[&Function], fuel: Option<u64>) -> Result<Self, String> {
        let mut tokens = tokens(functions);
        let (wasm, size, functions, count) =
            (input.as_ptr(), input.len() as u64, tokens.as_mut_ptr(), tokens.len() as u64);
        let wasi = BoolArg::from(true);
        made(|message| match fuel {
            // SAFETY: pointers and lengths are those of slices.
            None => unsafe { ffi::extism_compiled_plugin_new(wasm, size, functions, count, wasi, message) },
            // SAFETY: as above.
            Some(fuel) => unsafe {
                ffi::extism_compiled_plugin_new_with_fuel_limit(wasm, size, functions, count, wasi, fuel, message)
            },
        })
        .map(Self)
    }

    pub(crate) fn instance(&self) -> Result<Plugin, String> {
        // SAFETY: the pointer may be written.
        made(|message| unsafe { ffi::extism_plugin_new_from_compiled(self.0, message) }).map(Plugin)
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        ffi::extism_compiled_plugin_free(self.0);
    }
}

/// The plugin that calls a host function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Current(pub(crate) *mut ExtismCurrentPlugin);

// SAFETY: the library recognises it on other threads.
unsafe impl Send for Current {}

impl Current {
    pub(crate) fn memory(self) -> *mut u8 {
        ffi::extism_current_plugin_memory(self.0)
    }

    pub(crate) fn alloc(self, length: u64) -> u64 {
        ffi::extism_current_plugin_memory_alloc(self.0, length)
    }

    pub(crate) fn length(self, handle: u64) -> u64 {
        ffi::extism_current_plugin_memory_length(self.0, handle)
    }

    pub(crate) fn free(self, handle: u64) {
        ffi::extism_current_plugin_memory_free(self.0, handle);
    }

    pub(crate) fn host_context(self) -> *mut c_void {
        ffi::extism_current_plugin_host_context(self.0)
    }

    pub(crate) fn fail(self, text: Option<&CStr>) {
        // SAFETY: NULL or NUL-terminated.
        unsafe { ffi::extism_current_plugin_error_set(self.0, text.map_or(ptr::null(), CStr::as_ptr)) };
    }

    /// The bytes of a block.
    pub(crate) fn bytes(self, handle: u64) -> &'static mut [u8] {
        let length = usize::try_from(self.length(handle)).expect("short");
        let address = self.memory().wrapping_add(usize::try_from(handle).expect("small"));
        // SAFETY: the block is there for the rest of the call, and the test does not free it meanwhile.
        unsafe { slice::from_raw_parts_mut(address, length) }
    }

    /// Makes a block of these bytes.
    pub(crate) fn block(self, bytes: &[u8]) -> u64 {
        let handle = self.alloc(bytes.len() as u64);
        self.bytes(handle).copy_from_slice(bytes);
        handle
    }
}

/// The work of a host function in a test.
type Body = dyn Fn(Current, &[ExtismVal], &mut [ExtismVal]) + Send + Sync;

/// A host function that is freed at the end of the test. What its work owns is its user data.
pub(crate) struct Function(pub(crate) *mut ExtismFunction);

// SAFETY: the library promises that functions may be used from any thread.
unsafe impl Send for Function {}
// SAFETY: as above, and from several at once.
unsafe impl Sync for Function {}

impl Function {
    pub(crate) fn new(
        name: &str,
        inputs: &[ExtismValType],
        outputs: &[ExtismValType],
        body: impl Fn(Current, &[ExtismVal], &mut [ExtismVal]) + Send + Sync + 'static,
    ) -> Self {
        let body: Box<Body> = Box::new(body);
        let data = Box::into_raw(Box::new(body)).cast::<c_void>();
        let name = CString::new(name).expect("no NUL");
        let (n_inputs, n_outputs) = (inputs.len() as u64, outputs.len() as u64);
        // SAFETY: pointers and lengths are those of slices, and the functions are those for this data.
        let function = unsafe {
            ffi::extism_function_new(
                name.as_ptr(),
                inputs.as_ptr(),
                n_inputs,
                outputs.as_ptr(),
                n_outputs,
                Some(run),
                data,
                Some(free),
            )
        };
        assert!(!function.is_null());
        Self(function)
    }

    /// A function of an `i64` that returns one, as those of plugin development kits.
    pub(crate) fn of_i64(name: &str, body: impl Fn(Current, u64) -> u64 + Send + Sync + 'static) -> Self {
        Self::new(name, &[ExtismValType::I64], &[ExtismValType::I64], move |current, inputs, outputs| {
            // SAFETY: all bits are numbers.
            let argument = unsafe { inputs[0].v.i64 };
            outputs[0].v = ExtismValUnion { i64: body(current, argument.cast_unsigned()).cast_signed() };
        })
    }

    pub(crate) fn in_namespace(self, namespace: &CStr) -> Self {
        // SAFETY: NUL-terminated.
        unsafe { ffi::extism_function_set_namespace(self.0, namespace.as_ptr()) };
        self
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        ffi::extism_function_free(self.0);
    }
}

unsafe extern "C" fn run(
    plugin: *mut ExtismCurrentPlugin,
    inputs: *const ExtismVal,
    n_inputs: u64,
    outputs: *mut ExtismVal,
    n_outputs: u64,
    data: *mut c_void,
) {
    assert_eq!((inputs.is_null(), outputs.is_null()), (n_inputs == 0, n_outputs == 0));
    // SAFETY: the data of `Function::new`, which was not freed.
    let body = unsafe { &*data.cast::<Box<Body>>() };
    let count = |number| usize::try_from(number).expect("few");
    let inputs = if inputs.is_null() { ptr::NonNull::dangling().as_ptr() } else { inputs.cast_mut() };
    let outputs = if outputs.is_null() { ptr::NonNull::dangling().as_ptr() } else { outputs };
    // SAFETY: the library promises as many values.
    let inputs = unsafe { slice::from_raw_parts(inputs, count(n_inputs)) };
    // SAFETY: as above.
    let outputs = unsafe { slice::from_raw_parts_mut(outputs, count(n_outputs)) };
    body(Current(plugin), inputs, outputs);
}

unsafe extern "C" fn free(data: *mut c_void) {
    // SAFETY: the data of `Function::new`, which the library frees once.
    drop(unsafe { Box::from_raw(data.cast::<Box<Body>>()) });
}

/// The numbers in a value's place, as bits.
pub(crate) fn bits(value: &ExtismVal) -> u64 {
    // SAFETY: all bits are numbers.
    unsafe { value.v.i64 }.cast_unsigned()
}

/// Leaves the plugin to the test, which frees it.
pub(crate) fn leak(plugin: Plugin) -> *mut ExtismPlugin {
    let token = plugin.0;
    mem::forget(plugin);
    token
}

/// A module whose `run` hands its input to the host function `f` and makes what that returns its output. `more` are more
/// functions.
pub(crate) fn caller_of_f(more: &str) -> String {
    format!(
        r#"(module
            (import "extism:host/user" "f" (func $f (param i64) (result i64)))
            (import "extism:host/env" "input_offset" (func $input (result i64)))
            (import "extism:host/env" "length" (func $length (param i64) (result i64)))
            (import "extism:host/env" "output_set" (func $output (param i64 i64)))
            (import "extism:host/env" "error_set" (func $error (param i64)))
            (memory 1)
            (func (export "run") (result i32) (local $block i64)
                (local.set $block (call $f (call $input)))
                (call $output (local.get $block) (call $length (local.get $block)))
                (i32.const 0))
            {more})"#
    )
}
