//! The version of the C interface.

use std::ffi::{CStr, c_char};

/// The newest version of Extism's own library whose functions this one has.
const VERSION: &CStr = c"1.41.0";

/// The version of Extism whose C interface this is, such as `1.41.0`. `extism_wasmer_version` is the library's own.
///
/// @return A NUL-terminated text that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn extism_version() -> *const c_char {
    VERSION.as_ptr()
}
