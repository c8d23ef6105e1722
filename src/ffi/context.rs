//! The functions of contexts. A C caller holds a token, not a pointer (`extism_capi::token`).

use std::sync::Arc;

use super::in_context::{CONTEXTS, with_context};
use extism_capi::fork;
use extism_capi::guard::guard;
use extism_capi::thread_end::{self, Stage};
use extism_core::first_use;

/// A set of plugins. Made by `extism_context_new`, freed by `extism_context_free`; its contents are private.
///
/// All functions may be called from any thread. Calls on different plugins of a context run in parallel, calls on the
/// same plugin wait for each other. A context that is NULL, has been freed, or never was one is recognised: functions
/// then do nothing and return their error value.
pub struct ExtismContext {
    _private: (),
}

/// Makes a context without plugins.
///
/// The first call of this function, `extism_log_file` or a function about compilers reads the environment; variables
/// that are set later have no effect.
///
/// @return The context, to be freed with `extism_context_free`. NULL after an internal error of the library.
#[unsafe(no_mangle)]
pub extern "C" fn extism_context_new() -> *mut ExtismContext {
    guard(std::ptr::null_mut(), || {
        first_use::begin();
        fork::prepare();
        fork::call_in_child(|| CONTEXTS.for_each(|context| context.forked()));
        std::ptr::without_provenance_mut(CONTEXTS.insert(Arc::default()))
    })
}

/// Frees a context and its plugins, waiting for those that are running.
///
/// NULL and contexts that have been freed before are ignored.
///
/// @param ctx The context, or NULL.
#[unsafe(no_mangle)]
pub extern "C" fn extism_context_free(ctx: *mut ExtismContext) {
    guard((), || {
        if thread_end::stage() == Stage::Ending && !thread_end::is_busy() {
            // If no thread can be made, the plugins live until the process ends.
            let _ = thread_end::elsewhere(|| extism_context_free(ctx));
            return;
        }
        if let Some(context) = CONTEXTS.remove(ctx.addr()) {
            // A plugin that runs on this very thread is freed when its call returns.
            let _ = context.close();
        }
    });
}

/// Frees all plugins of a context, waiting for those that are running. The context can be used further; the ids of
/// its plugins are not given again.
///
/// @param ctx The context; NULL is ignored.
#[unsafe(no_mangle)]
pub extern "C" fn extism_context_reset(ctx: *mut ExtismContext) {
    let again = || extism_context_reset(ctx);
    with_context(ctx.addr(), None, (), again, |context| Ok(context.reset()?));
}
