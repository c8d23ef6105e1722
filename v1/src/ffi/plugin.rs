//! The functions that make, free and reset plugins.

use std::ffi::c_char;
use std::ptr;

use super::create::{Arguments, create};
use super::guarded::with_plugin;
use crate::registry::{self, CANCELLERS};
use crate::{error_message, making};
use extism_capi::boolean::{Bool, BoolArg};
use extism_capi::ffi::{ExtismFunction, ExtismSize};
use extism_capi::guard::guard;
use extism_capi::thread_end::{self, Stage, Use};

/// A plugin. Made by `extism_plugin_new` and the like, freed by `extism_plugin_free`; its contents are private.
///
/// All functions may be called from any thread. Calls of different plugins run in parallel, calls of the same plugin wait
/// for each other. A plugin that is NULL, has been freed, or never was one is recognised: functions then do nothing and
/// return their error value. The same is true of all other pointers that this library hands out; that of
/// `ExtismCurrentPlugin` says how long.
pub struct ExtismPlugin {
    _private: (),
}

/// Makes a plugin.
///
/// Compiling may take seconds, unless the code is in the process or in the cache. Start functions of the modules run before
/// this returns, on this thread, and may call the host functions.
///
/// @param wasm A WebAssembly module, binary or text, or a manifest in JSON or TOML. Borrowed until the return.
/// @param wasm_size The number of bytes at `wasm`.
/// @param functions Host functions, `n_functions` of them, that the plugin may import. Each may be given to any number of
///                  plugins, and freed at any time. Of two with the same namespace and name, the later counts. NULL:
///                  there are none. The plugin cannot be made if one of them is NULL or has been freed, has a type that
///                  cannot be used, or was made without `func`.
/// @param n_functions The number of pointers at `functions`, at most 100000. Ignored if `functions` is NULL.
/// @param with_wasi Whether the modules may import WASI.
/// @param errmsg Where to put the text of why it failed, to be freed with `extism_plugin_new_error_free`. Written on
///               failure only, and never read. May be NULL.
/// @return The plugin, to be freed with `extism_plugin_free`. NULL if it cannot be made.
///
/// # Safety
/// `wasm` must be NULL or point to `wasm_size` readable bytes, `functions` must be NULL or point to `n_functions` pointers,
/// `errmsg` must be NULL or point to a pointer that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_new(
    wasm: *const u8,
    wasm_size: ExtismSize,
    functions: *mut *const ExtismFunction,
    n_functions: ExtismSize,
    with_wasi: BoolArg,
    errmsg: *mut *mut c_char,
) -> *mut ExtismPlugin {
    let arguments = Arguments { wasm, wasm_size, functions, n_functions, with_wasi, fuel_limit: None };
    // SAFETY: C passes what it says, see above.
    let make = || unsafe { arguments.read(making::plugin) };
    // SAFETY: as above.
    unsafe { create(errmsg, &make) }
}

/// Like `extism_plugin_new`, with a limit on the instructions that each call may execute. A call that reaches it fails with
/// an error that contains `fuel`. The start functions of the modules have the same limit: a plugin that reaches it there
/// cannot be made.
///
/// @param wasm As for `extism_plugin_new`.
/// @param wasm_size As for `extism_plugin_new`.
/// @param functions As for `extism_plugin_new`.
/// @param n_functions As for `extism_plugin_new`.
/// @param with_wasi As for `extism_plugin_new`.
/// @param fuel_limit The number of instructions. Takes the place of `fuel` in the manifest.
/// @param errmsg As for `extism_plugin_new`.
/// @return As for `extism_plugin_new`.
///
/// # Safety
/// As for `extism_plugin_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_new_with_fuel_limit(
    wasm: *const u8,
    wasm_size: ExtismSize,
    functions: *mut *const ExtismFunction,
    n_functions: ExtismSize,
    with_wasi: BoolArg,
    fuel_limit: u64,
    errmsg: *mut *mut c_char,
) -> *mut ExtismPlugin {
    let arguments = Arguments { wasm, wasm_size, functions, n_functions, with_wasi, fuel_limit: Some(fuel_limit) };
    // SAFETY: C passes what it says, see above.
    let make = || unsafe { arguments.read(making::plugin) };
    // SAFETY: as above.
    unsafe { create(errmsg, &make) }
}

/// Frees the text that a function which makes plugins has put into `errmsg`.
///
/// @param err The text. NULL, texts that have been freed before, and other pointers are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_new_error_free(err: *mut c_char) {
    guard((), || error_message::free(err));
}

/// Frees a plugin, waiting for a call that another thread is running on it. The host functions that it was made with are
/// released on this thread, before the return; while thread-local values are destroyed, on another, for which this waits.
///
/// From inside a host function that the plugin itself is calling, the plugin is freed when its call returns, which then
/// fails; for all functions, it is freed at once.
///
/// @param plugin The plugin. NULL and plugins that have been freed before are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_free(plugin: *mut ExtismPlugin) {
    guard((), || {
        if thread_end::stage() == Stage::Ending && !thread_end::is_busy() {
            // If no thread can be made, the plugin lives until the process ends.
            let _ = thread_end::elsewhere(|| extism_plugin_free(plugin));
            return;
        }
        if let Some(plugin) = registry::remove(plugin.addr()) {
            let (canceller, plugin) = plugin.free();
            CANCELLERS.remove(canceller);
            // No lock is held, and nothing of the plugin can be found any more.
            drop(plugin);
        }
    });
}

/// The plugin's id, by which lines of the log name it.
///
/// @param plugin The plugin.
/// @return The 16 bytes of a UUID (version 4), in the order of its text. They belong to the plugin, and are at the same
///         address until it is freed. NULL if there is no such plugin.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_id(plugin: *mut ExtismPlugin) -> *const u8 {
    guard(ptr::null(), || registry::with(plugin.addr(), |plugin| plugin.id()).unwrap_or(ptr::null()))
}

/// Frees the blocks in the plugin's memory for input and output, and empties its output. The plugin's own memory, globals,
/// variables and configuration stay, and so does its error. Waits for a running call.
///
/// @param plugin The plugin.
/// @return false if there is no such plugin, or if a call of it is running on this very thread; nothing has happened then.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_reset(plugin: *mut ExtismPlugin) -> Bool {
    let again = || extism_plugin_reset(plugin);
    with_plugin(Use::Other, plugin.addr(), Bool::FALSE, again, |plugin| plugin.reset().into())
}
