//! The functions of the log and the version, which need no context.

use std::ffi::{CStr, c_char};

use extism_capi::boolean::Bool;
use extism_capi::guard::guard;
use extism_capi::{arg, log};

/// The version of the C interface.
const VERSION: &CStr = c"0.1.0";

/// Sets the destination of log lines, for the whole process. Can be called again at any time, from any thread. Until
/// the first call, lines go to the host's logger, if the host is written in Rust and has one.
///
/// @param filename `-` or `stdout`, `stderr`, or the path of a file, which is appended to; missing directories are
///                 made, `$ENV{NAME}` is replaced by that environment variable. NULL means `stderr`. Borrowed.
/// @param log_level `off`, `error`, `warn`, `info`, `debug` or `trace`, in any case. NULL means `error`. Borrowed.
/// @return false if the level is none of these, a text is not UTF-8, the file cannot be opened, or a variable in its
///         name is not set; the log then stays as it was, and gets a line of level error that says which.
///
/// # Safety
/// Each pointer must be NULL or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_log_file(filename: *const c_char, log_level: *const c_char) -> Bool {
    guard(Bool::FALSE, || {
        // SAFETY: C passes a NUL-terminated string, see above.
        let filename = unsafe { arg::string("filename", filename) };
        // SAFETY: as above.
        let log_level = unsafe { arg::string("log_level", log_level) };
        log::set("extism_log_file", filename, log_level).into()
    })
}

/// The version of Extism whose C interface this is: `0.1.0`. `extism_wasmer_version` is the library's own.
///
/// @return A NUL-terminated text that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn extism_version() -> *const c_char {
    VERSION.as_ptr()
}
