//! What a target's process runs with, whatever the environment it was started in says.
#![expect(unsafe_code, reason = "the environment is changed")]

use std::ffi::OsStr;

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
