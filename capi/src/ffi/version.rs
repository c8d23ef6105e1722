//! The version of this library, beside that of the C interface.

use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("the package version has a NUL byte"),
};

/// The version of libextism on Wasmer, such as `0.1.0`. The header's macros `EXTISM_WASMER_VERSION_MAJOR`, `_MINOR` and
/// `_PATCH` are the version that a program was compiled with.
///
/// Extism's own library lacks this function. A program that loads a library at run time can tell the two by `dlsym`.
///
/// @return A NUL-terminated text that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn extism_wasmer_version() -> *const c_char {
    VERSION.as_ptr()
}
