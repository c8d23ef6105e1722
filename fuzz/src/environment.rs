//! The environment variables of a fuzz target's process, independent of those it was started with.
#![expect(unsafe_code, reason = "LeakSanitizer asks by name")]

use std::ffi::{OsString, c_char};

use extism_core::first_use;

/// Switches off the network and the cache, and sets the variables `more`. Must come before the first input.
pub fn isolate(more: &[(&str, OsString)]) {
    let mut variables = vec![("EXTISM_OFFLINE", "1".into()), ("EXTISM_CACHE_DIR", OsString::new())];
    variables.extend_from_slice(more);
    assert!(first_use::set_environment(variables), "the library has been used before");
    // Named here, so that the linker takes it out of this package's library: LeakSanitizer does without it.
    std::hint::black_box(__lsan_default_suppressions as extern "C" fn() -> *const c_char);
}

/// The leaks that LeakSanitizer does not report. Wasmer's compilers start threads for each module and do not wait for
/// them. A thread's list of destructors, which glibc frees last, looks lost if the thread ends at that moment.
// SAFETY: LeakSanitizer looks for a function of this name and type.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const c_char {
    c"leak:__cxa_thread_atexit_impl\n".as_ptr()
}
