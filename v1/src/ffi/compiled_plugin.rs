//! The functions of compiled plugins.

use std::ffi::c_char;

use super::create::{Arguments, create};
use super::plugin::ExtismPlugin;
use crate::making;
use crate::registry::COMPILED;
use extism_capi::boolean::BoolArg;
use extism_capi::ffi::{ExtismFunction, ExtismSize};
use extism_capi::guard::guard;
use extism_capi::thread_end::{self, Stage};

/// A manifest whose modules are loaded and compiled, and of which any number of plugins can be made, by any thread. Made
/// by `extism_compiled_plugin_new`, freed by `extism_compiled_plugin_free`; its contents are private.
pub struct ExtismCompiledPlugin {
    _private: (),
}

/// Loads and compiles the modules of a plugin, which may take seconds. Nothing of them runs: an import that nobody serves,
/// or a start function that fails, shows when a plugin is made.
///
/// @param wasm A WebAssembly module, binary or text, or a manifest in JSON or TOML. Borrowed until the return.
/// @param wasm_size The number of bytes at `wasm`.
/// @param functions Host functions for the plugins, as for `extism_plugin_new`.
/// @param n_functions As for `extism_plugin_new`.
/// @param with_wasi Whether the modules may import WASI.
/// @param errmsg As for `extism_plugin_new`.
/// @return The compiled plugin, to be freed with `extism_compiled_plugin_free`. NULL if it cannot be made.
///
/// # Safety
/// As for `extism_plugin_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_compiled_plugin_new(
    wasm: *const u8,
    wasm_size: ExtismSize,
    functions: *mut *const ExtismFunction,
    n_functions: ExtismSize,
    with_wasi: BoolArg,
    errmsg: *mut *mut c_char,
) -> *mut ExtismCompiledPlugin {
    let arguments = Arguments { wasm, wasm_size, functions, n_functions, with_wasi, fuel_limit: None };
    // SAFETY: C passes what it says, see above.
    let make = || unsafe { arguments.read(making::compiled_plugin) };
    // SAFETY: as above.
    unsafe { create(errmsg, &make) }
}

/// Like `extism_compiled_plugin_new`, with a limit on the instructions that each call of its plugins may execute, as for
/// `extism_plugin_new_with_fuel_limit`.
///
/// @param wasm As for `extism_compiled_plugin_new`.
/// @param wasm_size As for `extism_compiled_plugin_new`.
/// @param functions As for `extism_compiled_plugin_new`.
/// @param n_functions As for `extism_compiled_plugin_new`.
/// @param with_wasi As for `extism_compiled_plugin_new`.
/// @param fuel_limit The number of instructions. Takes the place of `fuel` in the manifest.
/// @param errmsg As for `extism_compiled_plugin_new`.
/// @return As for `extism_compiled_plugin_new`.
///
/// # Safety
/// As for `extism_plugin_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_compiled_plugin_new_with_fuel_limit(
    wasm: *const u8,
    wasm_size: ExtismSize,
    functions: *mut *const ExtismFunction,
    n_functions: ExtismSize,
    with_wasi: BoolArg,
    fuel_limit: u64,
    errmsg: *mut *mut c_char,
) -> *mut ExtismCompiledPlugin {
    let arguments = Arguments { wasm, wasm_size, functions, n_functions, with_wasi, fuel_limit: Some(fuel_limit) };
    // SAFETY: C passes what it says, see above.
    let make = || unsafe { arguments.read(making::compiled_plugin) };
    // SAFETY: as above.
    unsafe { create(errmsg, &make) }
}

/// Makes a plugin of a compiled plugin. It has an id, a configuration, variables and a memory of its own, and shares the
/// code and the host functions. It may outlive the compiled plugin. Start functions of the modules run before this returns,
/// on this thread, and may call the host functions.
///
/// @param compiled The compiled plugin.
/// @param errmsg As for `extism_plugin_new`.
/// @return The plugin, to be freed with `extism_plugin_free`. NULL if it cannot be made.
///
/// # Safety
/// `errmsg` must be NULL or point to a pointer that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_plugin_new_from_compiled(
    compiled: *const ExtismCompiledPlugin,
    errmsg: *mut *mut c_char,
) -> *mut ExtismPlugin {
    // SAFETY: C passes what it says, see above.
    unsafe { create(errmsg, &|| making::instance(compiled.addr())) }
}

/// Frees a compiled plugin. Plugins that were made of it keep what they need of it.
///
/// @param compiled The compiled plugin. NULL and those that have been freed before are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn extism_compiled_plugin_free(compiled: *mut ExtismCompiledPlugin) {
    guard((), || {
        if thread_end::stage() == Stage::Ending && !thread_end::is_busy() {
            // If no thread can be made, it lives until the process ends.
            let _ = thread_end::elsewhere(|| extism_compiled_plugin_free(compiled));
            return;
        }
        drop(COMPILED.remove(compiled.addr()));
    });
}
