//! What a target's process runs with, whatever the environment it was started in says.
#![expect(unsafe_code, reason = "the environment is changed, and LeakSanitizer asked for by name")]

use std::ffi::{OsStr, c_char};

/// Nothing is fetched, and nothing kept on disk.
pub(crate) fn isolate() {
    set("EXTISM_OFFLINE", "1");
    set("EXTISM_CACHE_DIR", "");
}

/// Sets a variable, before the first input.
pub(crate) fn set(variable: &str, value: impl AsRef<OsStr>) {
    // SAFETY: the library has not been called yet, and has no thread that could read the environment.
    unsafe { std::env::set_var(variable, value) };
}

/// What LeakSanitizer does not report. Wasmer's compilers start threads for each module and do not wait for them to end; what
/// glibc frees last of such a thread, its list of destructors, looks lost if the thread ends just then.
// SAFETY: LeakSanitizer looks for a function of this name and type.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const c_char {
    c"leak:__cxa_thread_atexit_impl\n".as_ptr()
}
