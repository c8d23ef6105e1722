//! One plugin's place in a context: the plugin behind its lock, and its error, which can be read while the plugin runs.

use std::cell::{RefCell, RefMut};

use parking_lot::{Mutex, ReentrantMutex};

use super::{Error, PluginId};
use crate::plugin::Plugin;

/// Shared by the context and the threads that use the plugin.
pub(super) struct Slot {
    id: PluginId,
    /// `None` once the plugin has been freed. The lock lets a thread in that has it already, such as a logger of the
    /// host that calls the library; the cell then tells that the plugin is busy.
    plugin: ReentrantMutex<RefCell<Option<Plugin>>>,
    error: Mutex<Option<String>>,
}

impl Slot {
    pub(super) fn new(id: PluginId, plugin: Plugin) -> Self {
        Self { id, plugin: ReentrantMutex::new(RefCell::new(Some(plugin))), error: Mutex::new(None) }
    }

    /// Waits for the plugin and gives it to `work`.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Plugin) -> T) -> Result<T, Error> {
        let lock = self.plugin.lock();
        let plugin = lock.try_borrow_mut().map_err(|_| Error::Reentered(self.id))?;
        let mut plugin = RefMut::filter_map(plugin, Option::as_mut).map_err(|_| Error::NoSuchPlugin(self.id))?;
        Ok(work(&mut plugin))
    }

    /// Waits for the plugin and puts `plugin` in its place; returns the one before.
    pub(super) fn replace(&self, plugin: Option<Plugin>) -> Result<Option<Plugin>, Error> {
        let lock = self.plugin.lock();
        let mut place = lock.try_borrow_mut().map_err(|_| Error::Reentered(self.id))?;
        if place.is_none() {
            return Err(Error::NoSuchPlugin(self.id));
        }
        Ok(std::mem::replace(&mut *place, plugin))
    }

    pub(super) fn set_error(&self, text: Option<String>) {
        *self.error.lock() = text;
    }

    pub(super) fn error(&self) -> Option<String> {
        self.error.lock().clone()
    }
}
