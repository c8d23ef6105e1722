//! The functions of plugins: create, replace, free, configure, call, and read the results of a call.

use std::ffi::c_char;
use std::ptr;

use super::context::ExtismContext;
use super::in_context::{call_in_context, with, with_context};
use extism_capi::arg;
use extism_capi::boolean::{Bool, BoolArg};
use extism_capi::ffi::{self, ExtismFunction, ExtismSize};
use extism_capi::guard::guard;
use extism_capi::handed_out::hand_out;
use extism_core::error;

/// The id of a plugin in its context; 0 and up. Negative: no plugin.
pub type ExtismPlugin = i32;

/// The text of `extism_error` for an unknown context.
const NO_CONTEXT: &str = "the context is NULL, has been freed, or never was one";

/// Makes a plugin.
///
/// @param ctx The context that the plugin will belong to.
/// @param wasm A WebAssembly module, binary or text, or a manifest in JSON or TOML, whose keys `docs/manifest.md` lists.
///             Borrowed until the return.
/// @param wasm_size The number of bytes at `wasm`.
/// @param with_wasi Whether the modules may import WASI.
/// @return The plugin's id, or -1; `extism_error(ctx, -1)` then says why.
///
/// # Safety
/// `wasm` must be NULL or point to `wasm_size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_new(
    ctx: *mut ExtismContext,
    wasm: *const u8,
    wasm_size: ExtismSize,
    with_wasi: BoolArg,
) -> ExtismPlugin {
    // SAFETY: the arguments are those of this call, which waits for it.
    let again = || unsafe { extism_plugin_new(ctx, wasm, wasm_size, with_wasi) };
    with_context(ctx.addr(), None, -1, again, |context| {
        // SAFETY: C passes as many bytes as it says, see above.
        let wasm = unsafe { arg::bytes("wasm", wasm, wasm_size) }?;
        Ok(context.create(wasm, Vec::new(), with_wasi.into())?)
    })
}

/// Replaces a plugin by a new one under the same id. Nothing of the old one stays but its host functions: memory,
/// variables, configuration and error are new. Waits for a call that is running on it. If the new plugin cannot be
/// made, the old one stays.
///
/// @param ctx The context that the plugin belongs to.
/// @param index The plugin's id.
/// @param wasm A module or manifest as for `extism_plugin_new`. Borrowed until the return.
/// @param wasm_size The number of bytes at `wasm`.
/// @param with_wasi Whether the modules may import WASI.
/// @return false if the plugin cannot be made or there is none with this id; `extism_error(ctx, -1)` says which.
///
/// # Safety
/// `wasm` must be NULL or point to `wasm_size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_update(
    ctx: *mut ExtismContext,
    index: ExtismPlugin,
    wasm: *const u8,
    wasm_size: ExtismSize,
    with_wasi: BoolArg,
) -> Bool {
    // SAFETY: the arguments are those of this call, which waits for it.
    let again = || unsafe { extism_plugin_update(ctx, index, wasm, wasm_size, with_wasi) };
    with_context(ctx.addr(), None, Bool::FALSE, again, |context| {
        // SAFETY: C passes as many bytes as it says, see above.
        let wasm = unsafe { arg::bytes("wasm", wasm, wasm_size) }?;
        context.update(index, wasm, with_wasi.into())?;
        Ok(Bool::TRUE)
    })
}

/// Frees a plugin, waiting for a call that is running on it. NULL contexts and unknown ids are ignored.
///
/// @param ctx The context that the plugin belongs to, or NULL.
/// @param plugin The plugin's id.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_free(ctx: *mut ExtismContext, plugin: ExtismPlugin) {
    let again = || extism_plugin_free(ctx, plugin);
    with_context(ctx.addr(), Some(plugin), (), again, |context| Ok(context.free(plugin)?));
}

/// Changes the configuration that a plugin reads. Waits for a call that is running on it. Clears errors like
/// `extism_plugin_call`.
///
/// @param ctx The context that the plugin belongs to.
/// @param plugin The plugin's id.
/// @param json An object of strings and nulls, in JSON: a string sets its key, null removes it, other keys stay. As in
///             a manifest, it may be a list of pairs, an empty list too, and begin with a byte order mark. Borrowed
///             until the return.
/// @param json_size The number of bytes at `json`.
/// @return false if there is no such plugin or `json` is anything else; nothing is changed then, and `extism_error`
///         says why.
///
/// # Safety
/// `json` must be NULL or point to `json_size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_config(
    ctx: *mut ExtismContext,
    plugin: ExtismPlugin,
    json: *const u8,
    json_size: ExtismSize,
) -> Bool {
    // SAFETY: the arguments are those of this call, which waits for it.
    let again = || unsafe { extism_plugin_config(ctx, plugin, json, json_size) };
    with_context(ctx.addr(), Some(plugin), Bool::FALSE, again, |context| {
        // SAFETY: C passes as many bytes as it says, see above.
        let json = unsafe { arg::bytes("json", json, json_size) }?;
        context.configure(plugin, json)?;
        Ok(Bool::TRUE)
    })
}

/// Tells whether a plugin's main module exports a function of this name, of any type. Clears errors like
/// `extism_plugin_call`.
///
/// @param ctx The context that the plugin belongs to.
/// @param plugin The plugin's id.
/// @param func_name The function's name, in UTF-8. Borrowed until the return.
/// @return true if it does. Also false if there is no such plugin or the name is NULL or not UTF-8; `extism_error`
///         tells these cases apart.
///
/// # Safety
/// `func_name` must be NULL or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_function_exists(
    ctx: *mut ExtismContext,
    plugin: ExtismPlugin,
    func_name: *const c_char,
) -> Bool {
    // SAFETY: the arguments are those of this call, which waits for it.
    let again = || unsafe { extism_plugin_function_exists(ctx, plugin, func_name) };
    with_context(ctx.addr(), Some(plugin), Bool::FALSE, again, |context| {
        // SAFETY: C passes a NUL-terminated string, see above.
        let name = unsafe { arg::c_str("func_name", func_name) }?;
        Ok(context.has_function(plugin, name)?.into())
    })
}

/// Calls a function that a plugin exports: no parameters, result `i32` or none. Waits for a running call on the plugin.
///
/// Clears the plugin's error and this thread's error of the context, and empties the output.
///
/// After a call that trapped, was stopped or exited, the next call gets a new instance: memory and globals are as when
/// the plugin was made; configuration and variables stay. `"after_trap": "keep"` in the manifest keeps the instance
/// after a trap or an exit.
///
/// The first call on a thread, or the first plugin that it makes, unblocks SIGSEGV, SIGILL, SIGFPE, SIGURG and one
/// real-time signal there, which traps and timeouts arrive as, and sets an alternate signal stack unless there is one
/// of 64 KiB. A thread that blocks the signals later gets no timeouts, and a trap in it ends the process.
///
/// All functions may be called while thread-local values are destroyed, at a thread's end or by `exit`. They then run
/// on another thread, for which the caller waits. After `exit` was called, new plugins can only use modules that a
/// plugin has already.
///
/// @param ctx The context that the plugin belongs to.
/// @param plugin_id The plugin's id.
/// @param func_name The function's name, in UTF-8. Borrowed until the return.
/// @param data The input. Borrowed until the return. NULL: the input is empty, whatever `data_len` says.
/// @param data_len The number of bytes at `data`.
/// @return The function's result, by convention 0 for success; 0 if it returns nothing; the status 0 to 125 if it
///         called WASI's `proc_exit`; -1 if it could not be called or trapped. `extism_error` has the text, which a
///         plugin may also set together with a result of 0.
///
/// # Safety
/// `func_name` must be NULL or a NUL-terminated string, `data` must be NULL or point to `data_len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_call(
    ctx: *mut ExtismContext,
    plugin_id: ExtismPlugin,
    func_name: *const c_char,
    data: *const u8,
    data_len: ExtismSize,
) -> i32 {
    // SAFETY: the arguments are those of this call, which waits for it.
    let again = || unsafe { extism_plugin_call(ctx, plugin_id, func_name, data, data_len) };
    call_in_context(ctx.addr(), plugin_id, -1, again, |context| {
        // SAFETY: C passes a NUL-terminated string, see above.
        let name = unsafe { arg::c_str("func_name", func_name) };
        let length = if data.is_null() { 0 } else { data_len };
        // SAFETY: C passes as many bytes as it says, see above.
        let input = unsafe { arg::bytes("data", data, length) };
        match (name, input) {
            (Ok(name), Ok(input)) => Ok(context.call(plugin_id, name, input)?),
            (Err(error), _) | (_, Err(error)) => {
                context.refuse_call(plugin_id, error.to_string())?;
                Ok(-1)
            }
        }
    })
}

/// The error text of a plugin, or of the context if there is no plugin with this id (such as -1). Does not wait for a
/// running call and clears nothing. A plugin has one error: threads that share a plugin clear each other's error by
/// their next call. A context has one error for each thread that failed in it; a thread without one gets the newest.
///
/// @param ctx The context.
/// @param plugin The plugin's id, or -1.
/// @return A NUL-terminated text, or NULL if there is no error. It belongs to the library and is valid until this
///         thread calls `extism_error` again or ends. Short texts stay valid for some calls more, for languages that
///         may move to another thread before they have copied the text.
#[unsafe(no_mangle)]
pub extern "C" fn extism_error(ctx: *mut ExtismContext, plugin: ExtismPlugin) -> *const c_char {
    guard(ptr::null(), || {
        let text = with(ctx.addr(), |context| context.error(plugin));
        match text.unwrap_or_else(|| Some(NO_CONTEXT.to_owned())) {
            Some(text) => hand_out(error::to_c_string(&text)),
            None => ptr::null(),
        }
    })
}

/// The length in bytes of the output of a plugin's last call. Waits for a running call. Clears errors like
/// `extism_plugin_call`: read the error first.
///
/// @param ctx The context that the plugin belongs to.
/// @param plugin The plugin's id.
/// @return The length; 0 if there is no output or no such plugin, or if `extism_plugin_output_data` lacks memory.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_output_length(ctx: *mut ExtismContext, plugin: ExtismPlugin) -> ExtismSize {
    let again = || extism_plugin_output_length(ctx, plugin);
    with_context(ctx.addr(), Some(plugin), 0, again, |context| Ok(context.output(plugin)?.1))
}

/// The output of a plugin's last call. Waits for a running call. Clears errors like `extism_plugin_call`: read the
/// error first.
///
/// @param ctx The context that the plugin belongs to.
/// @param plugin The plugin's id.
/// @return The bytes, as many as `extism_plugin_output_length` reports. They are in the plugin's memory, are not
///         NUL-terminated, and are valid until the plugin is called, updated or freed, or the context is reset or
///         freed. Not NULL even if there is no output. NULL if there is no such plugin. Output that ends where the
///         memory ends is copied: NULL, and an error, if there is no memory for the copy.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_output_data(ctx: *mut ExtismContext, plugin: ExtismPlugin) -> *const u8 {
    let again = || extism_plugin_output_data(ctx, plugin);
    with_context(ctx.addr(), Some(plugin), ptr::null(), again, |context| Ok(context.output(plugin)?.0))
}

/// The number of instructions of a plugin's last call in all its modules, if the manifest has `fuel`. After a stop or
/// a trap, the last few may be missing. Waits for a running call; leaves errors as they are.
///
/// @param ctx The context that the plugin belongs to.
/// @param plugin The plugin's id.
/// @return The number; 0 if instructions are not counted, nothing has been called, or there is no such plugin.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_fuel_used(ctx: *mut ExtismContext, plugin: ExtismPlugin) -> u64 {
    let again = || extism_plugin_fuel_used(ctx, plugin);
    with_context(ctx.addr(), Some(plugin), 0, again, |context| Ok(context.fuel_used(plugin)?))
}

/// Makes a plugin, like `extism_plugin_new`, that can import host functions. Extism's own library lacks this function.
///
/// `extism_plugin_update` keeps the functions. What frees the plugin releases them on its thread, before it returns:
/// `extism_plugin_free`, `extism_context_reset` or `extism_context_free`.
///
/// Compiling may take seconds, unless the code is in the process or in the cache. Start functions of the modules run before
/// this returns, on this thread, and may call the host functions.
///
/// @param ctx The context that the plugin will belong to.
/// @param wasm A module or manifest as for `extism_plugin_new`. Borrowed until the return.
/// @param wasm_size The number of bytes at `wasm`.
/// @param functions Host functions, `n_functions` of them, that the plugin may import. Each may be given to any number of
///                  plugins, and freed at any time. Of two with the same namespace and name, the later counts. NULL:
///                  there are none. The plugin cannot be made if one of them is NULL or has been freed, has a type that
///                  cannot be used, or was made without `func`.
/// @param n_functions The number of pointers at `functions`, at most 100000. Ignored if `functions` is NULL.
/// @param with_wasi Whether the modules may import WASI.
/// @return The plugin's id, or -1; `extism_error(ctx, -1)` then says why.
///
/// # Safety
/// `wasm` must be NULL or point to `wasm_size` readable bytes, `functions` must be NULL or point to `n_functions` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_new_with_functions(
    ctx: *mut ExtismContext,
    wasm: *const u8,
    wasm_size: ExtismSize,
    functions: *mut *const ExtismFunction,
    n_functions: ExtismSize,
    with_wasi: BoolArg,
) -> ExtismPlugin {
    // SAFETY: the arguments are those of this call, which waits for it.
    let again = || unsafe { extism_plugin_new_with_functions(ctx, wasm, wasm_size, functions, n_functions, with_wasi) };
    with_context(ctx.addr(), None, -1, again, |context| {
        // SAFETY: C passes as many bytes as it says, see above.
        let wasm = unsafe { arg::bytes("wasm", wasm, wasm_size) }?;
        // SAFETY: C passes as many pointers as it says, see above.
        let functions = unsafe { ffi::collect(functions, n_functions) }?;
        Ok(context.create(wasm, functions, with_wasi.into())?)
    })
}
