//! The functions of the log.

use std::ffi::c_char;

use extism_capi::boolean::Bool;
use extism_capi::ffi::ExtismSize;
use extism_capi::guard::guard;
use extism_capi::{arg, log};

/// Gets one line of the log.
///
/// @param data The line in UTF-8, which ends in a newline; a NUL follows. Borrowed until the return.
/// @param size The number of bytes at `data`, with the newline and without the NUL.
pub type ExtismLogDrainFunctionType = Option<unsafe extern "C" fn(data: *const c_char, size: ExtismSize)>;

/// Sets the destination of log lines, for the whole process. Can be called again at any time, from any thread.
///
/// @param filename `-` or `stderr`, `stdout`, or the path of a file, which is appended to and made if it is missing; no
///                 directory is made. NULL means `stderr`. Borrowed.
/// @param log_level `off`, `error`, `warn`, `info`, `debug` or `trace`, in any case, or a filter such as
///                  `extism=trace,cranelift=debug`, of which the part for `extism` counts. NULL means `error`. Borrowed.
/// @return false if the level is none of these, a text is not UTF-8, or the file cannot be opened; the log then stays as it
///         was, and gets a line of level error that says which.
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
        log::set_v1(filename, log_level).into()
    })
}

/// Has log lines kept in memory until `extism_log_drain` takes them, for the whole process. The library keeps the newest
/// 16 MiB of them; where older ones are left out, a line says how many. Can be called again at any time: lines that are
/// kept stay.
///
/// @param log_level As for `extism_log_file`.
/// @return false if the level cannot be used, as for `extism_log_file`.
///
/// # Safety
/// `log_level` must be NULL or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_log_custom(log_level: *const c_char) -> Bool {
    guard(Bool::FALSE, || {
        // SAFETY: C passes a NUL-terminated string, see above.
        log::set_buffer(unsafe { arg::string("log_level", log_level) }).into()
    })
}

/// Takes the lines that `extism_log_custom` has kept, and calls a function with each, oldest first. No lock is held then:
/// the function may log, drain and call plugins. Lines that are logged meanwhile are for the next drain.
///
/// @param handler The function; it must return. If it is NULL, nothing happens and the lines stay.
///
/// # Safety
/// `handler` must be NULL or a function of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_log_drain(handler: ExtismLogDrainFunctionType) {
    let Some(handler) = handler else { return };
    guard((), || {
        log::drain(|line| {
            // SAFETY: C passes a function of this type, see above.
            unsafe { handler(line.as_ptr(), line.count_bytes() as ExtismSize) };
        });
    });
}
