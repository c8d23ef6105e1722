//! The functions by which a host function uses the plugin that calls it.

use std::ffi::{c_char, c_void};
use std::ptr;

use super::types::{ExtismCurrentPlugin, ExtismMemoryHandle, ExtismSize};
use crate::guard::guard;
use crate::{arg, callback};

/// The plugin's memory for input, output and blocks. The block of handle `h` begins at this address plus `h`.
///
/// The memory does not move, so that addresses in it are good until the plugin's call ends. Its first byte is 0. Bytes
/// outside of blocks belong to the library.
///
/// @param plugin The plugin that calls the host function.
/// @return The address of the first byte. NULL if `plugin` is not good here.
#[unsafe(no_mangle)]
pub extern "C" fn extism_current_plugin_memory(plugin: *mut ExtismCurrentPlugin) -> *mut u8 {
    guard(ptr::null_mut(), || callback::with_plugin(plugin.addr(), |plugin| plugin.memory()).unwrap_or(ptr::null_mut()))
}

/// Makes a block in the plugin's memory, of which all bytes are 0. It is freed when the plugin is next called or reset,
/// or by `extism_current_plugin_memory_free`. The plugin's code may free it, too.
///
/// @param plugin The plugin that calls the host function.
/// @param size The number of bytes.
/// @return The block's handle, from 1 to 2147483647. 0 if `size` is 0, if the block is larger than the plugin's memory may
///         be, if there is no room, or if `plugin` is not good here.
#[unsafe(no_mangle)]
pub extern "C" fn extism_current_plugin_memory_alloc(
    plugin: *mut ExtismCurrentPlugin,
    size: ExtismSize,
) -> ExtismMemoryHandle {
    guard(0, || callback::with_plugin(plugin.addr(), |plugin| plugin.alloc(size)).unwrap_or(0))
}

/// The length of a block in the plugin's memory: one of the host's or of the plugin's, such as the plugin's arguments.
///
/// @param plugin The plugin that calls the host function.
/// @param handle The block's handle.
/// @return The number of bytes. 0 if no block begins there, or if `plugin` is not good here.
#[unsafe(no_mangle)]
pub extern "C" fn extism_current_plugin_memory_length(
    plugin: *mut ExtismCurrentPlugin,
    handle: ExtismMemoryHandle,
) -> ExtismSize {
    guard(0, || callback::with_plugin(plugin.addr(), |plugin| plugin.length(handle)).unwrap_or(0))
}

/// Frees a block in the plugin's memory, the host's or the plugin's. Does nothing if no block begins there, or if
/// `plugin` is not good here.
///
/// @param plugin The plugin that calls the host function.
/// @param handle The block's handle.
#[unsafe(no_mangle)]
pub extern "C" fn extism_current_plugin_memory_free(plugin: *mut ExtismCurrentPlugin, handle: ExtismMemoryHandle) {
    guard((), || callback::with_plugin(plugin.addr(), |plugin| plugin.free(handle)).unwrap_or(()));
}

/// The host context of the plugin's call: a pointer of the program's own that came with the call.
///
/// @param plugin The plugin that calls the host function.
/// @return The pointer. NULL if the call has none, as every call of the interface of Extism 0.1.0, or if `plugin` is not
///         good here.
#[unsafe(no_mangle)]
pub extern "C" fn extism_current_plugin_host_context(plugin: *mut ExtismCurrentPlugin) -> *mut c_void {
    guard(ptr::null_mut(), || callback::host_context(plugin.addr()))
}

/// Has the host function fail: once it returns, the plugin's call ends with this text as its error. Extism's own library
/// lacks this function.
///
/// @param plugin The plugin that calls the host function. Nothing happens if it is not good here.
/// @param text The error, of which the first 1048576 bytes count; bytes that are not UTF-8 are replaced. Borrowed until
///             the return. An empty one is replaced by one that says so. NULL takes back what an earlier call has set.
///
/// # Safety
/// `text` must be NULL or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn extism_current_plugin_error_set(plugin: *mut ExtismCurrentPlugin, text: *const c_char) {
    /// In bytes.
    const MOST: usize = 1 << 20;
    /// In place of an empty text, which would look like no error.
    const NO_TEXT: &[u8] = b"the host function failed without a text";
    guard((), || {
        // SAFETY: C passes a NUL-terminated string, see above.
        let text = unsafe { arg::c_str("text", text) }.ok();
        let text = text.map(|text| {
            let bytes = if text.is_empty() { NO_TEXT } else { text.to_bytes() };
            String::from_utf8_lossy(&bytes[..bytes.len().min(MOST)]).into_owned()
        });
        callback::set_error(plugin.addr(), text);
    });
}
