//! The functions that call plugins, and tell what came of it.

use std::ffi::{c_char, c_void};
use std::ptr;

use super::guarded::with_plugin;
use super::plugin::ExtismPlugin;
use crate::error_message::to_c_string;
use crate::registry;
use extism_capi::arg;
use extism_capi::ffi::ExtismSize;
use extism_capi::guard::guard;
use extism_capi::handed_out::hand_out;
use extism_capi::thread_end::Use;

/// Calls a function that a plugin exports: no parameters, result `i32` or none. Waits for a running call of the plugin.
///
/// Forgets the error and this thread's output of the plugin, and frees the blocks of the call before.
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
/// on another thread, for which the caller waits.
///
/// @param plugin The plugin.
/// @param func_name The function's name, in UTF-8. Borrowed until the return.
/// @param data The input. Borrowed until the return. NULL: the input is empty, whatever `data_len` says.
/// @param data_len The number of bytes at `data`.
/// @return The function's result, by convention 0 for success; 0 if it returns nothing; the status 0 to 125 if it called
///         WASI's `proc_exit`; 134 if it trapped, timed out or was cancelled; -1 if it failed otherwise, could not be
///         called, or there is no such plugin. `extism_plugin_error` has the text, which a plugin may also set together
///         with a result of 0.
///
/// # Safety
/// `func_name` must be NULL or a NUL-terminated string, `data` must be NULL or point to `data_len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_call(
    plugin: *mut ExtismPlugin,
    func_name: *const c_char,
    data: *const u8,
    data_len: ExtismSize,
) -> i32 {
    // SAFETY: C promises the same for that function.
    unsafe { extism_plugin_call_with_host_context(plugin, func_name, data, data_len, ptr::null_mut()) }
}

/// Like `extism_plugin_call`, with a pointer for the host functions that the plugin calls.
///
/// @param plugin As for `extism_plugin_call`.
/// @param func_name As for `extism_plugin_call`.
/// @param data As for `extism_plugin_call`.
/// @param data_len As for `extism_plugin_call`.
/// @param host_context What `extism_current_plugin_host_context` returns during this call. The library only hands it on.
/// @return As for `extism_plugin_call`.
///
/// # Safety
/// As for `extism_plugin_call`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_call_with_host_context(
    plugin: *mut ExtismPlugin,
    func_name: *const c_char,
    data: *const u8,
    data_len: ExtismSize,
    host_context: *mut c_void,
) -> i32 {
    let again = || {
        // SAFETY: the arguments are those of this call, which waits for it.
        unsafe { extism_plugin_call_with_host_context(plugin, func_name, data, data_len, host_context) }
    };
    with_plugin(Use::Call, plugin.addr(), -1, again, |plugin| {
        // SAFETY: C passes a NUL-terminated string, see above.
        let name = unsafe { arg::c_str("func_name", func_name) };
        let length = if data.is_null() { 0 } else { data_len };
        // SAFETY: C passes as many bytes as it says, see above.
        let input = unsafe { arg::bytes("data", data, length) };
        plugin.call(name.and_then(|name| Ok((name, input?))), host_context)
    })
}

/// The error of a plugin's last call. Does not wait for a running call, and clears nothing. It is cleared by the next call,
/// by `extism_plugin_function_exists`, and by an `extism_plugin_config` that succeeds.
///
/// @param plugin The plugin.
/// @return A NUL-terminated text in UTF-8. NULL if the call had no error, or if there is no such plugin. The text belongs
///         to the library and is valid until this thread asks for an error again or ends. Short texts stay valid for some
///         calls more, for languages that may move to another thread before they have copied the text.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_error(plugin: *mut ExtismPlugin) -> *const c_char {
    guard(ptr::null(), || {
        let text = registry::with(plugin.addr(), |plugin| plugin.error()).flatten();
        text.map_or(ptr::null(), |text| hand_out(to_c_string(&text)))
    })
}

/// The same as `extism_plugin_error`, under its old name.
///
/// @param plugin The plugin.
/// @return As for `extism_plugin_error`.
#[unsafe(no_mangle)]
pub extern "C" fn extism_error(plugin: *mut ExtismPlugin) -> *const c_char {
    extism_plugin_error(plugin)
}

/// The number of instructions of a plugin's last call in all its modules, if it has a limit of them. After a stop or a
/// trap, the last few may be missing. Waits for a running call; leaves the error as it is. Extism's own library lacks this
/// function.
///
/// @param plugin The plugin.
/// @return The number; 0 if instructions are not counted, nothing has been called, a call is running on this very thread,
///         or there is no such plugin.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_fuel_consumed(plugin: *mut ExtismPlugin) -> u64 {
    let again = || extism_plugin_fuel_consumed(plugin);
    with_plugin(Use::Other, plugin.addr(), 0, again, |plugin| plugin.fuel_consumed())
}
