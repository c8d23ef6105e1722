//! The functions of the log and the version, which need no context.

use std::ffi::c_char;
use std::fmt::Arguments;

use log::LevelFilter;

use super::guard::guard;
use super::{arg, fork};
use extism_core::error::Excerpt;
use extism_core::first_use;
use extism_core::log as sink;
use extism_core::log::Destination;

/// The version as C text.
const VERSION: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("the package version has a NUL byte"),
    };

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
pub unsafe extern "C" fn extism_log_file(filename: *const c_char, log_level: *const c_char) -> bool {
    guard(false, || {
        first_use::begin();
        fork::prepare();
        let filename = if filename.is_null() {
            Ok("stderr")
        } else {
            // SAFETY: C passes a NUL-terminated string, see above.
            unsafe { arg::string("filename", filename) }
        };
        let level = if log_level.is_null() {
            Ok("error")
        } else {
            // SAFETY: C passes a NUL-terminated string, see above.
            unsafe { arg::string("log_level", log_level) }
        };
        match (filename, level) {
            (Ok(filename), Ok(level)) => set(filename, level),
            (Err(error), _) | (_, Err(error)) => refuse(format_args!("{error}")),
        }
    })
}

fn set(filename: &str, level: &str) -> bool {
    let destination = match filename {
        "-" | "stdout" => Destination::Stdout,
        "stderr" => Destination::Stderr,
        path => Destination::File(path),
    };
    let Ok(filter) = level.parse::<LevelFilter>() else {
        let level = Excerpt::of(level);
        return refuse(format_args!("log_level: `{level}` is not off, error, warn, info, debug or trace"));
    };
    match sink::set(destination, filter) {
        Ok(()) => true,
        Err(error) => refuse(format_args!("`{}`: {error}", Excerpt::of(filename))),
    }
}

/// Says in the log as it is why it is not set anew.
fn refuse(why: Arguments<'_>) -> bool {
    sink::record(log::Level::Error, sink::TARGET, format_args!("extism_log_file: {why}"));
    false
}

/// The version of the library, such as `0.1.0`.
///
/// @return A NUL-terminated text that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn extism_version() -> *const c_char {
    VERSION.as_ptr()
}
