//! The tables of what C has tokens of: plugins, compiled plugins, and cancellers of a plugin's calls.

use std::sync::Arc;

use extism_capi::cancel::Canceller;
use extism_capi::recent::{Recent, with_recent};
use extism_capi::token::TokenTable;
use extism_capi::{fork, recent};
use extism_core::first_use;
use extism_core::plugin::CompiledPlugin;

use crate::plugin::Plugin;

/// All plugins. One is in the table from its making to `extism_plugin_free`.
static PLUGINS: TokenTable<Arc<Plugin>> = TokenTable::new();

/// All compiled plugins.
pub(crate) static COMPILED: TokenTable<Arc<CompiledPlugin>> = TokenTable::new();

/// The cancellers of plugins' calls. C does not free them: each goes with its plugin.
pub(crate) static CANCELLERS: TokenTable<Canceller> = TokenTable::new();

/// The number of places in a thread's own cache, where it finds plugins without the shared table. A token modulo this
/// number chooses the place.
const RECENT: usize = 64;

thread_local! {
    static RECENTLY: Recent<usize, Plugin, RECENT> = const { Recent::new() };
}

impl recent::Passing for Plugin {
    #[inline]
    fn is_over(&self) -> bool {
        Plugin::is_over(self)
    }
}

/// Prepares the library for its first plugin; does nothing later.
pub(crate) fn begin() {
    first_use::begin();
    fork::prepare();
    fork::call_in_child(|| PLUGINS.for_each(|plugin| plugin.forked()));
}

/// Keeps a plugin, and returns its token.
pub(crate) fn add(plugin: Plugin) -> usize {
    PLUGINS.insert(Arc::new(plugin))
}

/// Calls `work` with the plugin of a token; `None` if the token is unknown.
#[inline(always)]
pub(crate) fn with<T>(token: usize, work: impl FnOnce(&Plugin) -> T) -> Option<T> {
    with_recent(&RECENTLY, token, token, || find(token), work)
}

#[cold]
fn find(token: usize) -> Option<Arc<Plugin>> {
    PLUGINS.get(token)
}

/// Takes out the plugin of a token, which is unknown from here on.
pub(crate) fn remove(token: usize) -> Option<Arc<Plugin>> {
    PLUGINS.remove(token)
}
