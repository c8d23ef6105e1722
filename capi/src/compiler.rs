//! The choice of the compiler, as C makes it.

use std::ffi::{CStr, c_char};
use std::ptr;

use extism_core::compiler;
use extism_core::first_use;

use crate::{arg, fork};

/// Chooses the compiler for plugins that any thread makes from here on; `None` takes the choice back. False if the name
/// cannot be read or no compiler has it: the choice then stays as it was.
pub fn choose(name: Result<Option<&str>, arg::Error>) -> bool {
    first_use::begin();
    fork::prepare();
    name.is_ok_and(compiler::choose)
}

/// The name of the compiler for the next plugin, a C string that lives as long as the library. NULL if the environment
/// names a compiler that is not there.
pub fn chosen() -> *const c_char {
    first_use::begin();
    compiler::chosen().map_or(ptr::null(), CStr::as_ptr)
}

/// Whether the compiler `name` is built in.
pub fn is_built_in(name: Result<Option<&str>, arg::Error>) -> bool {
    first_use::begin();
    name.is_ok_and(|name| name.is_some_and(compiler::is_built_in))
}
