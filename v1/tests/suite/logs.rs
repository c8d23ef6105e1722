//! The log: the buffer and who empties it.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::{ptr, slice};

use extism_v1::ffi;

use crate::host::{Function, Plugin};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a line; uses the library, which must hold no lock.
unsafe extern "C" fn keep(data: *const c_char, size: u64) {
    let size = usize::try_from(size).expect("short");
    // SAFETY: the library promises as many bytes, and a NUL.
    let bytes = unsafe { slice::from_raw_parts(data.cast::<u8>(), size + 1) };
    assert!(bytes.ends_with(b"\n\0"));
    let line = String::from_utf8(bytes[..size].to_vec()).expect("UTF-8");
    LINES.with_borrow_mut(|lines| lines.push(line));
    // SAFETY: NULL is no function.
    unsafe { ffi::extism_log_drain(None) };
    assert_eq!(Plugin::new(r#"(module (func (export "f")))"#, &[]).call("f", b""), 0);
}

/// All lines since the last time, of plugins of all tests.
fn drained() -> Vec<String> {
    // SAFETY: a function of the type.
    unsafe { ffi::extism_log_drain(Some(keep)) };
    LINES.take()
}

fn custom(level: &CStr) -> bool {
    // SAFETY: NUL-terminated.
    unsafe { ffi::extism_log_custom(level.as_ptr()) }.into()
}

/// The log has a line about each host function that cannot be made or used.
fn unusable_functions() {
    let function = |name: Option<&CStr>, inputs, outputs| {
        let name = name.map_or(ptr::null(), CStr::as_ptr);
        let types = [ffi::ExtismValType::I64; 1001];
        let types = types.as_ptr();
        // SAFETY: the name is NULL or NUL-terminated, and there are as many types, or too many to be looked at.
        let function =
            unsafe { ffi::extism_function_new(name, types, inputs, types, outputs, None, ptr::null_mut(), None) };
        assert!(function.is_null());
    };
    function(None, 0, 0);
    function(Some(c"a\xff"), 0, 0);
    function(Some(c"f"), 1001, 0);
    function(Some(c"f"), 0, u64::MAX);
    let good = Function::of_i64("f", |_, handle| handle);
    let error = Plugin::try_new("(module)", &[&good, &Function(ptr::null_mut())], None).expect_err("NULL");
    assert_eq!(error, "Cannot pass null pointer");
    let lines = drained();
    for expected in [
        "extism_function_new: `name` is NULL",
        "extism_function_new: `name` is not UTF-8 from byte 1 on",
        "extism_function_new: `n_inputs` is 1001, and a function has at most 1000 of them",
        "extism_function_new: `n_outputs` is 18446744073709551615, and a function has at most 1000 of them",
        "functions[1] is NULL",
        "Cannot pass null pointer",
    ] {
        let line = format!("Z ERROR extism: {expected}\n");
        assert_eq!(lines.iter().filter(|found| found.ends_with(&line)).count(), 1, "{expected}: {lines:?}");
    }
}

/// One test, because the process has one log.
#[test]
fn failing_calls_are_in_the_buffer_with_the_plugins_id() {
    assert!(custom(c"extism=Error,cranelift=debug"));
    let plugin = Plugin::new(r#"(module (func (export "f") unreachable))"#, &[]);
    // SAFETY: the library promises 16 bytes.
    let id = unsafe { slice::from_raw_parts(ffi::extism_plugin_id(plugin.0), 16) };
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let mine = |line: &String| line.contains("plugin=\"") && line.replace('-', "").contains(&hex);
    assert_eq!((plugin.call("f", b""), plugin.configure("7")), (134, false));
    // SAFETY: the library must take NULL.
    assert!(!bool::from(unsafe { ffi::extism_plugin_config(plugin.0, ptr::null(), 5) }));
    let lines: Vec<_> = drained().into_iter().filter(mine).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[2].contains("config: `json` is NULL, but its length is 5"), "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("Z ERROR ")) && lines[0].contains("unreachable"), "{lines:?}");
    unusable_functions();
    assert!(custom(c"trace"));
    assert_eq!(plugin.call("f", b""), 134);
    assert!(!custom(c"nonsense"), "and the level stays");
    // SAFETY: NUL-terminated, or NULL.
    assert!(!bool::from(unsafe { ffi::extism_log_file(c"/nowhere/at/all".as_ptr(), ptr::null()) }));
    let lines = drained();
    assert_eq!(lines.iter().filter(|line| mine(line)).count(), 1, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("/nowhere/at/all")));
    assert!(custom(c"off"));
    assert_eq!(plugin.call("f", b""), 134);
    assert!(!drained().iter().any(mine));
}
