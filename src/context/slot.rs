//! A slot: a plugin's place in a context. Holds the plugin behind a lock, and its error, readable during a call.

use std::cell::{RefCell, RefMut};

use super::error_text::ErrorText;
use super::{Error, PluginId};
use crate::recent::Passing;
use extism_core::plugin::Plugin;
use extism_core::stop::Handle;
use extism_core::sync::{Arc, AtomicBool, Lost, Mutex, Ordering, ReentrantMutex};

/// Shared by the context and the threads that use the plugin. Aligned, so that slots share no cache line.
#[repr(align(128))]
pub(super) struct Slot {
    id: PluginId,
    /// The plugin has been freed, or will be once its run has ended.
    gone: AtomicBool,
    /// `None` once the plugin has been freed. The lock admits the thread that holds it again, such as a host's logger
    /// that calls the library during a call; the cell then reports that the plugin is busy.
    plugin: ReentrantMutex<RefCell<Option<Plugin>>>,
    error: ErrorText,
    canceller: Canceller,
}

/// Stops the running call of the plugin in a slot, also of one that replaced another; does nothing once it is freed.
#[derive(Debug, Clone)]
pub(crate) struct Canceller(Arc<Mutex<Handle>>);

impl Canceller {
    /// Returns `false` if nothing runs.
    pub(crate) fn cancel(&self) -> bool {
        let handle = *self.0.lock();
        handle.cancel()
    }
}

impl Passing for Slot {
    fn is_over(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

impl Slot {
    pub(super) fn new(id: PluginId, plugin: Plugin) -> Self {
        let canceller = Canceller(Arc::new(Mutex::new(plugin.handle())));
        let plugin = ReentrantMutex::new(RefCell::new(Some(plugin)));
        Self { id, gone: AtomicBool::new(false), plugin, error: ErrorText::default(), canceller }
    }

    /// Waits for the plugin and calls `work` with it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Plugin) -> T) -> Result<T, Error> {
        let lock = self.plugin.lock().map_err(|Lost| Error::Lost(self.id))?;
        let plugin = lock.try_borrow_mut().map_err(|_| Error::Reentered(self.id))?;
        let mut plugin = RefMut::filter_map(plugin, Option::as_mut).map_err(|_| Error::NoSuchPlugin(self.id))?;
        let result = work(&mut plugin);
        drop(plugin);
        if self.is_over() {
            drop(lock.take());
        }
        Ok(result)
    }

    /// Waits for the plugin and replaces it by `plugin`; returns the old one.
    pub(super) fn replace(&self, plugin: Plugin) -> Result<Plugin, Error> {
        self.exchange(Some(plugin))
    }

    /// Waits for the plugin and takes it out of the slot; the caller drops it.
    pub(super) fn free(&self) -> Result<Plugin, Error> {
        let plugin = self.exchange(None);
        if matches!(plugin, Ok(_) | Err(Error::Lost(_))) {
            self.gone.store(true, Ordering::Release);
            // Threads may keep this slot in their caches for long.
            self.error.clear();
        }
        plugin
    }

    /// In a forked process, before it has a second thread: the plugin is lost if another thread was using it.
    pub(super) fn forked(&self) {
        self.plugin.forked();
    }

    /// Marks the plugin as gone; it is freed once its run has ended.
    pub(super) fn doom(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Like [`free`](Self::free). A plugin that is running on this very thread is freed when its call returns, which is
    /// still reported as an error.
    pub(super) fn close(&self) -> Result<(), Error> {
        self.doom();
        self.error.clear();
        match self.exchange(None) {
            Ok(_) | Err(Error::NoSuchPlugin(_) | Error::Lost(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn exchange(&self, plugin: Option<Plugin>) -> Result<Plugin, Error> {
        let lock = self.plugin.lock().map_err(|Lost| Error::Lost(self.id))?;
        let mut place = lock.try_borrow_mut().map_err(|_| Error::Reentered(self.id))?;
        let old = place.take().ok_or(Error::NoSuchPlugin(self.id))?;
        if let Some(plugin) = &plugin {
            *self.canceller.0.lock() = plugin.handle();
        }
        *place = plugin;
        Ok(old)
    }

    pub(super) fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    pub(super) fn set_error(&self, text: String) {
        self.error.set(text);
    }

    pub(super) fn clear_error(&self) {
        self.error.clear();
    }

    pub(super) fn error(&self) -> Option<String> {
        self.error.get()
    }
}
