//! Stops the calls of a plugin from another thread.

use extism_core::plugin::Plugin;
use extism_core::stop::Handle;
use extism_core::sync::{Arc, Mutex};

/// Stops the running call of the plugin in a place, also of one that replaced another; does nothing once it is freed.
/// All copies are alike, and any thread may use them.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<Mutex<Handle>>);

impl Canceller {
    /// A canceller of the calls of `plugin`.
    pub(crate) fn new(plugin: &Plugin) -> Self {
        Self(Arc::new(Mutex::new(plugin.handle())))
    }

    /// Cancels the calls of `plugin` from here on, instead of those of the plugin before.
    pub(crate) fn follow(&self, plugin: &Plugin) {
        *self.0.lock() = plugin.handle();
    }

    /// Returns `false` if nothing runs.
    pub fn cancel(&self) -> bool {
        let handle = *self.0.lock();
        handle.cancel()
    }
}
