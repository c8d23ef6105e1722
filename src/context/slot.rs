//! One plugin's place in a context: the plugin behind its lock, and its error, which can be read while the plugin runs.

use std::cell::{RefCell, RefMut};

use super::error_text::ErrorText;
use super::{Error, PluginId};
use crate::plugin::Plugin;
use crate::recent::Passing;
use crate::stop::Handle;
use crate::sync::{Arc, AtomicBool, Lost, Mutex, Ordering, ReentrantMutex};

/// Shared by the context and the threads that use the plugin. Two of them do not share a cache line.
#[repr(align(128))]
pub(super) struct Slot {
    id: PluginId,
    /// The plugin has been freed, or is to be once it does not run any more.
    gone: AtomicBool,
    /// `None` once the plugin has been freed. The lock lets a thread in that has it already, such as a logger of the
    /// host that calls the library; the cell then tells that the plugin is busy.
    plugin: ReentrantMutex<RefCell<Option<Plugin>>>,
    error: ErrorText,
    canceller: Canceller,
}

/// Stops what the plugin in a slot runs, whichever plugin that is; nothing, once there is none.
#[derive(Debug, Clone)]
pub(crate) struct Canceller(Arc<Mutex<Handle>>);

impl Canceller {
    /// `false` if nothing runs.
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

    /// Waits for the plugin and gives it to `work`.
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

    /// Waits for the plugin and puts `plugin` in its place; returns the one before.
    pub(super) fn replace(&self, plugin: Plugin) -> Result<Plugin, Error> {
        self.exchange(Some(plugin))
    }

    /// Waits for the plugin and frees it.
    pub(super) fn free(&self) -> Result<Plugin, Error> {
        let plugin = self.exchange(None);
        if matches!(plugin, Ok(_) | Err(Error::Lost(_))) {
            self.gone.store(true, Ordering::Release);
            // Threads that have used it of late may hold this place for long.
            self.error.clear();
        }
        plugin
    }

    /// In a process that was forked off, before it has a second thread: the plugin is lost if another thread was using it.
    pub(super) fn forked(&self) {
        self.plugin.forked();
    }

    /// Says that the plugin is to go.
    pub(super) fn doom(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// As [`free`](Self::free); a plugin that is running on this very thread is freed when its call returns, which is an
    /// error all the same.
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
