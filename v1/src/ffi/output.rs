//! The functions that read the output of a call.

use std::ptr;

use super::plugin::ExtismPlugin;
use crate::registry;
use extism_capi::ffi::ExtismSize;
use extism_capi::guard::guard;

/// The length in bytes of the output of the last call that this thread made of a plugin; of the newest call if it has made
/// none. Does not wait for a running call. Leaves the error as it is.
///
/// @param plugin The plugin.
/// @return The length. 0 if there is no output, the plugin was reset since, a call is running on this very thread, or there is
///         no such plugin.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_output_length(plugin: *mut ExtismPlugin) -> ExtismSize {
    guard(0, || registry::with(plugin.addr(), |plugin| plugin.output().1).unwrap_or(0))
}

/// The output that `extism_plugin_output_length` tells the length of. Does not wait for a running call. Leaves the error as
/// it is.
///
/// @param plugin The plugin.
/// @return The bytes, which are not NUL-terminated, but the one after them may be read. Not NULL even if there is no output.
///         NULL if there is no such plugin. Up to 4096 bytes: valid until this thread calls the plugin or ends, or it is
///         reset or freed. Larger: until any thread calls it, too; ask again after that.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_output_data(plugin: *mut ExtismPlugin) -> *const u8 {
    guard(ptr::null(), || registry::with(plugin.addr(), |plugin| plugin.output().0).unwrap_or(ptr::null()))
}
