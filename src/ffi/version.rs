//! The version of this library, beside that of the C interface.

use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("the package version has a NUL byte"),
};

/// The version of libextism on Wasmer, such as `0.1.0`; the header's `EXTISM_WASMER_VERSION_MAJOR` and so on are the one
/// that a program was compiled with. Extism's own library does not have this function: where `dlsym` finds none, the
/// library is another.
///
/// @return A NUL-terminated text that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn extism_wasmer_version() -> *const c_char {
    VERSION.as_ptr()
}
