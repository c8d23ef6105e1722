//! Contexts. A C caller holds a token, not a pointer (`token.rs`).

use std::collections::HashMap;
use std::sync::Arc;

use super::guard::{guard, with_context};
use super::{fork, token};
use super::thread_end::{self, Stage};
use crate::context::Context;
use crate::first_use;
use crate::recent::{Recent, with_recent};
use crate::sync::{Lazy, RwLock};

/// A set of plugins. Made by `extism_context_new`, freed by `extism_context_free`; its contents are private.
///
/// All functions may be called from any thread. Calls on different plugins of a context run in parallel, calls on the
/// same plugin wait for each other. A context that is NULL, has been freed, or never was one is recognised: functions
/// then do nothing and return their error value.
pub struct ExtismContext {
    _private: (),
}

static CONTEXTS: Lazy<RwLock<HashMap<usize, Arc<Context>>>> = Lazy::new(RwLock::default);

/// How many contexts a thread finds again without the table.
const RECENT: usize = 4;

thread_local! {
    static RECENTLY: Recent<usize, Context, RECENT> = const { Recent::new() };
}

/// Gives `work` the context behind a token, if there is one.
pub(super) fn with<T>(token: *const ExtismContext, work: impl FnOnce(&Context) -> T) -> Option<T> {
    let token = token.addr();
    with_recent(&RECENTLY, token, token, || find(token), work)
}

#[cold]
fn find(token: usize) -> Option<Arc<Context>> {
    CONTEXTS.read().get(&token).cloned()
}

/// In a process that was forked off: notes which plugins other threads were using, which are not there any more.
pub(super) fn forked() {
    CONTEXTS.read().values().for_each(|context| context.forked());
}

/// Makes a context without plugins.
///
/// The first call of this function, `extism_log_file` or one of those about compilers reads the environment; variables that are set
/// later have no effect.
///
/// @return The context, to be freed with `extism_context_free`. NULL if something inside the library fails that must not.
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
            // Should there be no thread for it, the plugins are left to the end of the process.
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
