//! A handle: the place of one plugin behind a lock, and the plugin's error, which can be read during a call.
//!
//! A table of the library has the handle, and so have the threads that use it, in their caches ([`crate::recent`]). The
//! plugin in it can be replaced, and is freed while the handle stays.

use std::cell::{Cell, RefCell, RefMut};
use std::sync::Weak;

use extism_core::plugin::{HostFunction, Plugin};
use extism_core::sync::{AtomicBool, Lost, Mutex, Ordering, ReentrantMutex};

use crate::cancel::Canceller;
use crate::error_text::ErrorText;
use crate::recent::Passing;

/// Why the plugin in a handle cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It has been freed.
    Freed,
    /// It is running on this very thread, which asks for it from inside the call.
    Reentered,
    /// Another thread was using it when this process was forked, and is not in it.
    Lost,
}

/// A plugin's place. Aligned, so that handles share no cache line.
#[repr(align(128))]
pub struct PluginHandle {
    /// The plugin has been freed, or will be once its run has ended.
    gone: AtomicBool,
    /// The lock admits the thread that holds it again, such as a host function that calls the library during a call;
    /// the cell then reports that the plugin is busy.
    place: ReentrantMutex<Place>,
    error: ErrorText,
    canceller: Canceller,
    /// The plugin's host functions, to be had during a call. They live as long as the plugin.
    functions: Mutex<Weak<[HostFunction]>>,
}

struct Place {
    /// `None` once the plugin has been freed.
    plugin: RefCell<Option<Plugin>>,
    /// The plugin is to be freed at the end of the run in which the program has asked for it.
    is_freed_inside: Cell<bool>,
}

impl Passing for PluginHandle {
    #[inline]
    fn is_over(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

impl PluginHandle {
    /// A handle with `plugin` in it.
    pub fn new(plugin: Plugin) -> Self {
        let (canceller, functions) = (Canceller::new(&plugin), Mutex::new(plugin.functions()));
        let place = Place { plugin: RefCell::new(Some(plugin)), is_freed_inside: Cell::new(false) };
        let place = ReentrantMutex::new(place);
        Self { gone: AtomicBool::new(false), place, error: ErrorText::default(), canceller, functions }
    }

    /// Waits for the plugin and calls `work` with it. If the plugin is freed inside, it is dropped here, when the lock is
    /// released: it may have host functions whose end calls the library.
    ///
    /// # Errors
    /// The plugin is unusable.
    pub fn with<T>(&self, work: impl FnOnce(&mut Plugin) -> T) -> Result<T, Unusable> {
        let lock = self.place.lock().map_err(|Lost| Unusable::Lost)?;
        let plugin = lock.plugin.try_borrow_mut().map_err(|_| Unusable::Reentered)?;
        let mut plugin = RefMut::filter_map(plugin, Option::as_mut).map_err(|_| Unusable::Freed)?;
        let result = work(&mut plugin);
        drop(plugin);
        if lock.is_freed_inside.get() {
            let plugin = lock.plugin.take();
            drop(lock);
            drop(plugin);
        }
        Ok(result)
    }

    /// Waits for the plugin and replaces it by `plugin`; returns the old one.
    ///
    /// # Errors
    /// The old plugin is unusable, and stays.
    pub fn replace(&self, plugin: Plugin) -> Result<Plugin, Unusable> {
        self.exchange(Some(plugin))
    }

    /// Waits for the plugin and takes it out of the handle; the caller drops it.
    ///
    /// # Errors
    /// The plugin is unusable. A lost one counts as freed from here on, although its memory is not.
    pub fn free(&self) -> Result<Plugin, Unusable> {
        let plugin = self.exchange(None);
        if matches!(plugin, Ok(_) | Err(Unusable::Lost)) {
            self.gone.store(true, Ordering::Release);
            // Threads may keep this handle in their caches for long.
            self.error.clear();
        }
        plugin
    }

    /// In a forked process, before it has a second thread: the plugin is lost if another thread was using it.
    pub fn forked(&self) {
        self.place.forked();
    }

    /// Marks the plugin as gone: threads that have this handle in their caches use it no more.
    pub fn doom(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Frees the plugin, which is running on this very thread, when that run has ended.
    pub fn free_at_return(&self) {
        self.doom();
        self.error.clear();
        if let Ok(lock) = self.place.lock() {
            lock.is_freed_inside.set(true);
        }
    }

    /// Like [`free`](Self::free), for a plugin that nobody may use any more. It is dropped here.
    ///
    /// # Errors
    /// The plugin is running on this very thread. It is freed when its call returns.
    pub fn close(&self) -> Result<(), Unusable> {
        self.doom();
        self.error.clear();
        match self.exchange(None) {
            Ok(_) | Err(Unusable::Freed | Unusable::Lost) => Ok(()),
            Err(Unusable::Reentered) => {
                self.free_at_return();
                Err(Unusable::Reentered)
            }
        }
    }

    fn exchange(&self, plugin: Option<Plugin>) -> Result<Plugin, Unusable> {
        let lock = self.place.lock().map_err(|Lost| Unusable::Lost)?;
        let mut place = lock.plugin.try_borrow_mut().map_err(|_| Unusable::Reentered)?;
        let old = place.take().ok_or(Unusable::Freed)?;
        if let Some(plugin) = &plugin {
            self.canceller.follow(plugin);
            *self.functions.lock() = plugin.functions();
        }
        *place = plugin;
        Ok(old)
    }

    /// The plugin's host functions; none once it has been freed. Does not wait for the plugin.
    pub fn functions(&self) -> Vec<HostFunction> {
        let functions = self.functions.lock().upgrade();
        functions.map_or_else(Vec::new, |functions| functions.to_vec())
    }

    /// A canceller of the plugin's calls.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Keeps `text` as the plugin's error, instead of the one before. Does not wait for the plugin.
    pub fn set_error(&self, text: String) {
        self.error.set(text);
    }

    /// Forgets the plugin's error. Does not wait for the plugin.
    #[inline]
    pub fn clear_error(&self) {
        self.error.clear();
    }

    /// The plugin's error, if there is one. Does not wait for the plugin.
    pub fn error(&self) -> Option<String> {
        self.error.get()
    }
}
