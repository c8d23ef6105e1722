//! Functions that choose and report the compiler.

use std::ffi::c_char;
use std::ptr;

use crate::boolean::Bool;
use crate::guard::guard;
use crate::{arg, compiler};

/// Chooses the compiler for plugins that any thread makes from this call on, unless their manifest has `compiler`.
/// Existing plugins keep their code. Takes precedence over the environment variable `EXTISM_COMPILER`.
///
/// In a library without compilers, it chooses the compiler whose precompiled code is looked up.
///
/// @param name `cranelift`, `llvm` or `singlepass`; NULL goes back to `EXTISM_COMPILER` and the default. Borrowed.
/// @return false if the compiler is not built in, or there is none of that name; the choice then stays as it was. A
///         library without compilers accepts all three names.
///
/// # Safety
/// `name` must be NULL or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_compiler_set(name: *const c_char) -> Bool {
    // SAFETY: C passes a NUL-terminated string, see above.
    guard(Bool::FALSE, || compiler::choose(unsafe { arg::string("name", name) }).into())
}

/// The compiler for the next plugin whose manifest has no `compiler`.
///
/// @return A NUL-terminated name that lives as long as the library; `headless` if no compiler is built in and none was
///         chosen; NULL if `EXTISM_COMPILER` names one that is not there, which is also the error of the next plugin.
#[unsafe(no_mangle)]
pub extern "C" fn extism_compiler() -> *const c_char {
    guard(ptr::null(), compiler::chosen)
}

/// Tells whether a compiler is built into this library.
///
/// @param name The compiler's name. Borrowed.
/// @return false if it is not built in, if there is no compiler of that name, or for NULL.
///
/// # Safety
/// `name` must be NULL or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_compiler_available(name: *const c_char) -> Bool {
    // SAFETY: C passes a NUL-terminated string, see above.
    guard(Bool::FALSE, || compiler::is_built_in(unsafe { arg::string("name", name) }).into())
}
