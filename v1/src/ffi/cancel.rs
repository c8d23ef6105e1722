//! The functions that stop a call from another thread.

use std::ptr;

use super::plugin::ExtismPlugin;
use crate::registry::{self, CANCELLERS};
use extism_capi::boolean::Bool;
use extism_capi::guard::guard;

/// Stops the calls of one plugin, to which it belongs: there is nothing to free. Its contents are private.
pub struct ExtismCancelHandle {
    _private: (),
}

/// The handle that stops the calls of a plugin from other threads. Does not wait for a running call.
///
/// @param plugin The plugin.
/// @return The handle, the same each time, until the plugin is freed. NULL if there is no such plugin.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_cancel_handle(plugin: *const ExtismPlugin) -> *const ExtismCancelHandle {
    guard(ptr::null(), || {
        let token =
            registry::with(plugin.addr(), |plugin| plugin.cancel_token(|canceller| CANCELLERS.insert(canceller)));
        ptr::without_provenance(token.flatten().unwrap_or(0))
    })
}

/// Stops a plugin's running call, which then returns 134 with an error that contains `timeout`. The call stops at once in
/// the plugin's own code and while it waits for a timer or an HTTP answer; in a host function, when that returns. The plugin
/// can be called again. Does not wait for the call to stop. Later calls are not stopped.
///
/// @param handle The handle.
/// @return true, also if no call is running: nothing has happened then. false if the handle is NULL, is no handle, or its
///         plugin has been freed.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_cancel(handle: *const ExtismCancelHandle) -> Bool {
    guard(Bool::FALSE, || {
        let canceller = CANCELLERS.get(handle.addr());
        canceller.as_ref().map(|canceller| canceller.cancel());
        canceller.is_some().into()
    })
}
