//! A context: the registry of one C caller's plugins, by id, and the errors that it can ask for.
//!
//! Every method may be called from any thread. Calls on different plugins run in parallel. Calls on one plugin wait for
//! each other, and so does freeing or replacing it. The registry's own lock is never held while a plugin runs.

mod error_text;
mod ids;
mod slot;
mod thread_errors;

use std::collections::BTreeMap;
use std::ffi::CStr;

use thiserror::Error;

use crate::recent::{Passing, Recent, with_recent};
use extism_core::plugin::{Complaint, Plugin, PluginError};
use extism_core::sync::{self, Arc, AtomicBool, Mutex, Ordering};
use ids::Ids;
pub(crate) use ids::PluginId;
pub(crate) use slot::Canceller;
use slot::Slot;
use thread_errors::ThreadErrors;

/// The plugins of one caller.
#[derive(Default)]
pub(crate) struct Context {
    registry: Mutex<Registry>,
    /// The caller has freed the context.
    closed: AtomicBool,
    errors: ThreadErrors,
}

impl Passing for Context {
    fn is_over(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The number of plugins that a thread finds in its own cache, without the registry.
const RECENT: usize = 64;

/// A plugin's id and the address of its context. Neither an id nor an address is reused before the plugin is gone.
type Address = (PluginId, usize);

sync::thread_local! {
    static SLOTS: Recent<Address, Slot, RECENT> = const { Recent::new() };
}

#[derive(Default)]
struct Registry {
    plugins: BTreeMap<PluginId, Arc<Slot>>,
    ids: Ids,
}

/// Why an operation on a plugin of a context failed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("Plugin does not exist: {0}")]
    NoSuchPlugin(PluginId),
    #[error("Plugin index does not exist")]
    NoSuchIndex,
    #[error("the context has been freed meanwhile")]
    Closed,
    #[error("All plugin descriptors are in use, unable to allocate a new plugin")]
    NoIdLeft,
    #[error("plugin {0} is running on this very thread and cannot be used from inside its own call")]
    Reentered(PluginId),
    #[error(
        "plugin {0} was in use on another thread when this process was forked, and that thread is not in it: free the plugin, and \
         make another"
    )]
    Lost(PluginId),
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

impl Context {
    /// Makes a plugin of a module or manifest. Older errors stay.
    ///
    /// # Errors
    /// The plugin cannot be made, or there is no id left.
    pub(crate) fn create(&self, input: &[u8], with_wasi: bool) -> Result<PluginId, Error> {
        let plugin = Plugin::new(input, with_wasi)?;
        let mut registry = self.registry.lock();
        if self.is_over() {
            return Err(Error::Closed);
        }
        let id = registry.ids.take().ok_or(Error::NoIdLeft)?;
        registry.plugins.insert(id, Arc::new(Slot::new(id, plugin)));
        Ok(id)
    }

    /// Replaces plugin `id` by a new one, once it is not running. If the new one cannot be made, the old one stays.
    ///
    /// # Errors
    /// The new plugin cannot be made, or there is no plugin `id`.
    pub(crate) fn update(&self, id: PluginId, input: &[u8], with_wasi: bool) -> Result<(), Error> {
        let plugin = Plugin::new(input, with_wasi)?;
        let replaced = self.with_slot(id, |slot| {
            let old = slot.replace(plugin)?;
            slot.clear_error();
            drop(old);
            Ok(())
        });
        match replaced {
            None | Some(Err(Error::NoSuchPlugin(_))) => Err(Error::NoSuchIndex),
            Some(result) => result,
        }
    }

    /// Frees the plugin `id`, once it is not running; unknown ids are ignored.
    ///
    /// # Errors
    /// The plugin is running on this very thread.
    pub(crate) fn free(&self, id: PluginId) -> Result<(), Error> {
        let old = match self.with_slot(id, Slot::free) {
            Some(Ok(old)) => Some(old),
            // A vanished thread holds the slot: its memory is never freed.
            Some(Err(Error::Lost(_))) => None,
            // There is no such plugin, or another thread has freed it first.
            None | Some(Err(Error::NoSuchPlugin(_))) => return Ok(()),
            Some(Err(error)) => return Err(error),
        };
        {
            let mut registry = self.registry.lock();
            registry.plugins.remove(&id);
            registry.ids.give_back(id);
        }
        drop(old);
        Ok(())
    }

    /// Frees all plugins; their ids are not used again.
    ///
    /// # Errors
    /// One of them is running on this very thread; the others are freed.
    pub(crate) fn reset(&self) -> Result<(), Error> {
        let mut registry = self.registry.lock();
        let plugins = std::mem::take(&mut registry.plugins);
        let mut result = Ok(());
        // All are marked before closing one can fail. A thread with one of them in its cache then sees that it is gone.
        plugins.values().for_each(|slot| slot.doom());
        drop(registry);
        for (_, slot) in plugins {
            result = slot.close().and(result);
        }
        result
    }

    /// Frees all plugins, and takes no more.
    ///
    /// # Errors
    /// As for [`reset`](Self::reset): the one that is running is freed when its call returns.
    pub(crate) fn close(&self) -> Result<(), Error> {
        // A thread that is making a plugin has either put it into the registry, or will see `closed`.
        self.closed.store(true, Ordering::Release);
        self.reset()
    }

    /// In a forked process, before it has a second thread: marks as lost the plugins that other threads were using.
    pub(crate) fn forked(&self) {
        self.registry.lock().plugins.values().for_each(|slot| slot.forked());
    }

    /// Merges a JSON object into the configuration of plugin `id`. Clears errors first.
    ///
    /// # Errors
    /// There is no such plugin, or the text is not an object of strings and nulls.
    pub(crate) fn configure(&self, id: PluginId, json: &[u8]) -> Result<(), Error> {
        Ok(self.use_plugin(id, |plugin, _| plugin.configure(json))??)
    }

    /// True if plugin `id` exports the function `name`. Clears errors first.
    ///
    /// # Errors
    /// There is no such plugin, or the name is not UTF-8.
    pub(crate) fn has_function(&self, id: PluginId, name: &CStr) -> Result<bool, Error> {
        Ok(self.use_plugin(id, |plugin, _| plugin.has_function(name))??)
    }

    /// Calls the function `name` of plugin `id`. Clears errors first; an error of the call becomes the plugin's.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(crate) fn call(&self, id: PluginId, name: &CStr, input: &[u8]) -> Result<i32, Error> {
        self.use_plugin(id, |plugin, slot| {
            match plugin.call(name, input) {
                Ok(code) => {
                    // A logger that tried to use the plugin during the call has left an error.
                    slot.clear_error();
                    code
                }
                Err(complaint) => {
                    let Complaint { code, text } = *complaint;
                    slot.set_error(text);
                    code
                }
            }
        })
    }

    /// Stands in for a call of plugin `id` with unusable arguments: clears errors and output, and makes `text` the
    /// plugin's error.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(crate) fn refuse_call(&self, id: PluginId, text: String) -> Result<(), Error> {
        self.use_plugin(id, |plugin, slot| {
            plugin.forget_output();
            slot.set_error(text);
        })
    }

    /// Address and length of the output of plugin `id`. Clears errors first.
    ///
    /// # Errors
    /// There is no such plugin, or no memory for a copy of output that cannot be read in place.
    pub(crate) fn output(&self, id: PluginId) -> Result<(*const u8, u64), Error> {
        Ok(self.use_plugin(id, |plugin, _| plugin.output())??)
    }

    /// The instructions that the last call of plugin `id` executed, if they are counted.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(crate) fn fuel_used(&self, id: PluginId) -> Result<u64, Error> {
        let used = self.with_slot(id, |slot| slot.with(Plugin::fuel_used));
        used.unwrap_or(Err(Error::NoSuchPlugin(id)))
    }

    /// A canceller for the runs of plugin `id`. Does not wait for a running call.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(crate) fn canceller(&self, id: PluginId) -> Result<Canceller, Error> {
        self.with_slot(id, Slot::canceller).ok_or(Error::NoSuchPlugin(id))
    }

    /// The error of plugin `id`. If there is no such plugin, the context's: that of this thread, else the newest. Does
    /// not wait for a running call.
    pub(crate) fn error(&self, id: PluginId) -> Option<String> {
        self.with_slot(id, Slot::error).unwrap_or_else(|| self.errors.get())
    }

    /// Keeps `text`, that of `error`, for [`Context::error`]: with plugin `id` if it exists and `error` is about what
    /// it did, else with the context.
    pub(crate) fn report(&self, id: Option<PluginId>, error: &Error, text: String) {
        let about_plugin = !matches!(error, Error::NoSuchPlugin(_));
        self.report_text(id.filter(|_| about_plugin), text);
    }

    /// Keeps `text` for [`Context::error`], with plugin `id` if it exists, else with the context.
    pub(crate) fn report_text(&self, id: Option<PluginId>, text: String) {
        match id.and_then(|id| self.with_slot(id, |slot| slot.set_error(text.clone()))) {
            Some(()) => {}
            None => self.errors.set(text),
        }
    }

    /// Calls `work` with the slot of plugin `id`; `None` if there is none.
    fn with_slot<T>(&self, id: PluginId, work: impl FnOnce(&Slot) -> T) -> Option<T> {
        let address = (id, std::ptr::from_ref(self).addr());
        with_recent(&SLOTS, id.cast_unsigned() as usize, address, || self.find(id), work)
    }

    #[cold]
    fn find(&self, id: PluginId) -> Option<Arc<Slot>> {
        self.registry.lock().plugins.get(&id).cloned()
    }

    /// Waits for plugin `id`, clears its error and this thread's error of the context, and calls `work` with it.
    fn use_plugin<T>(&self, id: PluginId, work: impl FnOnce(&mut Plugin, &Slot) -> T) -> Result<T, Error> {
        let used = self.with_slot(id, |slot| {
            slot.with(|plugin| {
                self.errors.clear();
                slot.clear_error();
                work(plugin, slot)
            })
        });
        used.unwrap_or(Err(Error::NoSuchPlugin(id)))
    }
}
