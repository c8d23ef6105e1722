//! The functions that stop a call from another thread.

use std::ptr;

use super::context::ExtismContext;
use super::in_context::with_context;
use super::plugin::ExtismPlugin;
use extism_capi::boolean::Bool;
use extism_capi::cancel::Canceller;
use extism_capi::guard::guard;
use extism_capi::token::TokenTable;

/// Stops the calls of one plugin. Made by `extism_plugin_cancel_handle`, freed by `extism_cancel_handle_free`; its
/// contents are private. Any thread may use it at any time, also after its plugin and context have been freed.
pub struct ExtismCancelHandle {
    _private: (),
}

static CANCELLERS: TokenTable<Canceller> = TokenTable::new();

/// Makes a handle that stops calls of a plugin, also after `extism_plugin_update`. Does not wait for a running call.
///
/// @param ctx The context that the plugin belongs to.
/// @param plugin The plugin's id.
/// @return The handle, to be freed with `extism_cancel_handle_free`. NULL if there is no such plugin.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_cancel_handle(
    ctx: *mut ExtismContext,
    plugin: ExtismPlugin,
) -> *const ExtismCancelHandle {
    let again = || extism_plugin_cancel_handle(ctx, plugin);
    with_context(ctx.addr(), Some(plugin), ptr::null(), again, |context| {
        Ok(ptr::without_provenance(CANCELLERS.insert(context.canceller(plugin)?)))
    })
}

/// Stops a plugin's running call, which then returns -1; its error text contains `cancelled`, or `timeout` if its time
/// was over before. The call stops at once in the plugin's own code and while it waits for a timer or an HTTP answer.
/// Other work that the library does for the plugin, such as filling memory, is finished first. The plugin can be called
/// again. Does not wait for the call to stop.
///
/// @param handle The handle. NULL and handles that have been freed are ignored.
/// @return true if a call was running; it may still have ended by itself. false if no call was running: nothing has
///         happened then. Also false where the system refuses each signal that could reach the plugin's thread, as
///         filters of system calls do: a running call then ends in the next host function that it calls.
#[unsafe(no_mangle)]
pub extern "C" fn extism_plugin_cancel(handle: *const ExtismCancelHandle) -> Bool {
    guard(Bool::FALSE, || CANCELLERS.get(handle.addr()).is_some_and(|canceller| canceller.cancel()).into())
}

/// Frees a handle. NULL and handles that have been freed before are ignored.
///
/// @param handle The handle, or NULL.
#[unsafe(no_mangle)]
pub extern "C" fn extism_cancel_handle_free(handle: *const ExtismCancelHandle) {
    guard((), || drop(CANCELLERS.remove(handle.addr())));
}
