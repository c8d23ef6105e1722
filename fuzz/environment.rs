//! What a target's process runs with, whatever the environment it was started in says.
#![expect(unsafe_code, reason = "LeakSanitizer asks by name")]

use std::ffi::{OsString, c_char};

use extism::tool;

/// Nothing is fetched, and nothing kept on disk; and `more`, before the first input.
pub(crate) fn isolate(more: &[(&str, OsString)]) {
    let mut variables = vec![("EXTISM_OFFLINE", "1".into()), ("EXTISM_CACHE_DIR", OsString::new())];
    variables.extend_from_slice(more);
    assert!(tool::set_environment(variables), "the library has been used before");
}

/// What LeakSanitizer does not report. Wasmer's compilers start threads for each module and do not wait for them to end; what
/// glibc frees last of such a thread, its list of destructors, looks lost if the thread ends just then.
// SAFETY: LeakSanitizer looks for a function of this name and type.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const c_char {
    c"leak:__cxa_thread_atexit_impl\n".as_ptr()
}
