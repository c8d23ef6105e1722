//! The functions that ask about a plugin, and change what it gets. None of them waits for a running call.

use std::ffi::c_char;

use super::guarded::with_plugin;
use super::plugin::ExtismPlugin;
use extism_capi::arg;
use extism_capi::boolean::Bool;
use extism_capi::ffi::ExtismSize;
use extism_capi::thread_end::Use;

/// Changes the configuration that a plugin reads, from its next look on. Does not wait for a running call. Clears the
/// plugin's error if it succeeds.
///
/// @param plugin The plugin.
/// @param json An object of strings and nulls, in JSON: a string sets its key, null removes it, other keys stay. As in a
///             manifest, it may be a list of pairs, and begin with a byte order mark. Borrowed until the return.
/// @param json_size The number of bytes at `json`.
/// @return false if there is no such plugin, or `json` is anything else. Nothing is changed then, and in the second case the
///         log has a line of level error that says why.
///
/// # Safety
/// `json` must be NULL or point to `json_size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_config(
    plugin: *mut ExtismPlugin,
    json: *const u8,
    json_size: ExtismSize,
) -> Bool {
    // SAFETY: the arguments are those of this call, which waits for it.
    let again = || unsafe { extism_plugin_config(plugin, json, json_size) };
    with_plugin(Use::Other, plugin.addr(), Bool::FALSE, again, |plugin| {
        // SAFETY: C passes as many bytes as it says, see above.
        let json = unsafe { arg::bytes("json", json, json_size) };
        plugin.configure(json).into()
    })
}

/// Tells whether a plugin's main module exports a function of this name that can be called: no parameters, result `i32` or
/// none. Does not wait for a running call. Clears the plugin's error if the name is UTF-8.
///
/// @param plugin The plugin.
/// @param func_name The function's name, in UTF-8. Borrowed until the return.
/// @return true if it does. Also false if the name is NULL or not UTF-8, or there is no such plugin.
///
/// # Safety
/// `func_name` must be NULL or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_function_exists(plugin: *mut ExtismPlugin, func_name: *const c_char) -> Bool {
    // SAFETY: the arguments are those of this call, which waits for it.
    let again = || unsafe { extism_plugin_function_exists(plugin, func_name) };
    with_plugin(Use::Other, plugin.addr(), Bool::FALSE, again, |plugin| {
        // SAFETY: C passes a NUL-terminated string, see above.
        let name = unsafe { arg::string("func_name", func_name) };
        name.is_ok_and(|name| name.is_some_and(|name| plugin.has_function(name))).into()
    })
}

/// Has a plugin get the headers of HTTP answers, from its next request on. Does not wait for a running call.
///
/// @param plugin The plugin.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_allow_http_response_headers(plugin: *mut ExtismPlugin) {
    let again = || extism_plugin_allow_http_response_headers(plugin);
    with_plugin(Use::Other, plugin.addr(), (), again, |plugin| plugin.allow_http_response_headers());
}
