//! The functions of host functions.

use std::ffi::{c_char, c_void};
use std::ptr;

use thiserror::Error;

use super::host_function::{FUNCTIONS, Function, UserData};
use super::types::{ExtismFunction, ExtismFunctionType, ExtismSize, ExtismValType};
use crate::guard::guard;
use crate::{arg, fork, log};
use extism_core::first_use;

/// Makes a host function, which plugins made with it can import. Any number of plugins can be made with it, and it can be
/// freed as soon as they are.
///
/// @param name The import's name, in UTF-8. Borrowed until the return.
/// @param inputs The types of the parameters, `n_inputs` of them, at most 1000. Borrowed until the return. NULL: there are
///               none.
/// @param n_inputs The number of parameters.
/// @param outputs The types of the results, `n_outputs` of them, at most 1000. Borrowed until the return. NULL: there are
///                none.
/// @param n_outputs The number of results.
/// @param func The work of the function, which any thread may be given. If it is NULL, no plugin can be made with the
///             function.
/// @param user_data What `func` gets as its last argument, on each thread. May be NULL.
/// @param free_user_data Called once with `user_data` when nothing can use it any more: inside the call that frees the
///                       last of this function and of all that was made with it, on the same thread, before that call
///                       returns. It may use the library. Not called if it or `user_data` is NULL.
/// @return The function, to be freed with `extism_function_free`. NULL if the name is NULL or not UTF-8, or if there are
///         too many types: the log has a line of level error that says so, and `free_user_data` is not called.
///
/// # Safety
/// `name` must be NULL or point to a NUL-terminated string, `inputs` and `outputs` must be NULL or point to as many types
/// as their numbers say. `func` and `free_user_data` must be NULL or functions of their types, which any thread may call
/// with `user_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_function_new(
    name: *const c_char,
    inputs: *const ExtismValType,
    n_inputs: ExtismSize,
    outputs: *const ExtismValType,
    n_outputs: ExtismSize,
    func: ExtismFunctionType,
    user_data: *mut c_void,
    free_user_data: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> *mut ExtismFunction {
    guard(ptr::null_mut(), || {
        // A program's first function may be this one.
        first_use::begin();
        fork::prepare();
        // SAFETY: C passes a NUL-terminated string, see above.
        let name = unsafe { arg::some_string("name", name) };
        // SAFETY: C passes as many types as it says, see above.
        let inputs = unsafe { types("n_inputs", inputs, n_inputs) };
        // SAFETY: as above.
        let outputs = unsafe { types("n_outputs", outputs, n_outputs) };
        let make = || {
            let (name, inputs, outputs) = (name?, inputs?, outputs?);
            let user_data = UserData::new(user_data, free_user_data);
            Ok(FUNCTIONS.insert(Function::new(name, &inputs, &outputs, func, user_data)))
        };
        let made = make().inspect_err(|error: &BadArgument| log::note_failed("extism_function_new", error));
        ptr::without_provenance_mut(made.unwrap_or(0))
    })
}

/// Why there is no function.
#[derive(Debug, Error)]
enum BadArgument {
    #[error(transparent)]
    Name(#[from] arg::Error),
    #[error("`{0}` is {1}, and a function has at most {MOST} of them")]
    TooMany(&'static str, ExtismSize),
}

/// The most parameters, and the most results, that engines allow.
const MOST: usize = 1000;

/// The numbers of the types at `types`. Not as `ExtismValType`s: C may pass numbers that are none.
///
/// # Errors
/// They are more than a function may have. `name` is that of the parameter that says so.
///
/// # Safety
/// If `types` is not NULL, `count` types must be readable there.
unsafe fn types(name: &'static str, types: *const ExtismValType, count: ExtismSize) -> Result<Vec<u32>, BadArgument> {
    if types.is_null() {
        return Ok(Vec::new());
    }
    let few = usize::try_from(count).ok().filter(|count| *count <= MOST);
    let count = few.ok_or(BadArgument::TooMany(name, count))?;
    let types = types.cast::<u32>();
    let read = |number| {
        // SAFETY: the caller promises that it is one of those that are readable.
        let place = unsafe { types.add(number) };
        // SAFETY: as above.
        unsafe { place.read_unaligned() }
    };
    Ok((0..count).map(read).collect())
}

/// Sets the namespace of a host function: the module that plugins import it from. Counts for what is made with the function
/// later.
///
/// @param function The function. Nothing happens if it is NULL or has been freed.
/// @param namespace_ The namespace, in UTF-8; `extism:host/user` until it is set. Borrowed until the return. Nothing
///                   happens if it is NULL or not UTF-8.
///
/// # Safety
/// `namespace_` must be NULL or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_function_set_namespace(function: *mut ExtismFunction, namespace_: *const c_char) {
    guard((), || {
        // SAFETY: C passes a NUL-terminated string, see above.
        let namespace = unsafe { arg::string("namespace_", namespace_) };
        if let (Some(function), Ok(Some(namespace))) = (FUNCTIONS.get(function.addr()), namespace) {
            function.set_namespace(namespace);
        }
    });
}

/// Frees a host function. Plugins that were made with it keep what they need of it.
///
/// @param function The function. NULL and functions that have been freed before are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn extism_function_free(function: *mut ExtismFunction) {
    guard((), || drop(FUNCTIONS.remove(function.addr())));
}
