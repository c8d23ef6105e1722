//! The functions of contexts. A C caller holds a token, not a pointer (`token.rs`).

use std::collections::HashMap;
use std::sync::Arc;

use super::guard::{guard, with_context};
use super::thread_end::{self, Stage};
use super::{fork, token};
use crate::context::Context;
use crate::recent::{Recent, with_recent};
use extism_core::first_use;
use extism_core::sync::{Lazy, RwLock};

/// A set of plugins. Made by `extism_context_new`, freed by `extism_context_free`; its contents are private.
///
/// All functions may be called from any thread. Calls on different plugins of a context run in parallel, calls on the
/// same plugin wait for each other. A context that is NULL, has been freed, or never was one is recognised: functions
/// then do nothing and return their error value.
pub struct ExtismContext {
    _private: (),
}

static CONTEXTS: Lazy<RwLock<HashMap<usize, Arc<Context>>>> = Lazy::new(RwLock::default);

/// The number of contexts that a thread finds in its own cache, without the shared table.
const RECENT: usize = 4;

thread_local! {
    static RECENTLY: Recent<usize, Context, RECENT> = const { Recent::new() };
}

/// Calls `work` with the context of a token; `None` if the token is unknown.
pub(super) fn with<T>(token: *const ExtismContext, work: impl FnOnce(&Context) -> T) -> Option<T> {
    let token = token.addr();
    with_recent(&RECENTLY, token, token, || find(token), work)
}

#[cold]
fn find(token: usize) -> Option<Arc<Context>> {
    CONTEXTS.read().get(&token).cloned()
}

/// In a forked process: marks as lost the plugins that other threads were using; those threads do not exist here.
pub(super) fn forked() {
    CONTEXTS.read().values().for_each(|context| context.forked());
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
        let token = token::take();
        CONTEXTS.write().insert(token, Arc::default());
        std::ptr::without_provenance_mut(token)
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
        let context = CONTEXTS.write().remove(&ctx.addr());
        if let Some(context) = context {
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
    with_context(ctx, None, (), again, |context| Ok(context.reset()?));
}
