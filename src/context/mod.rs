//! A context: the plugins that one C caller has, by id, and the errors it can ask for.
//!
//! Every method may be called from any thread. Calls on different plugins run side by side; on one plugin they queue,
//! and who frees or replaces it queues too. The registry's own lock is never held while a plugin runs.

mod error_text;
mod ids;
mod slot;
mod thread_errors;

use std::collections::BTreeMap;
use std::ffi::CStr;

use thiserror::Error;

use crate::plugin::{self, Complaint, Plugin};
use crate::recent::{Passing, Recent, with_recent};
use crate::sync::{self, Arc, AtomicBool, Mutex, Ordering};
use ids::Ids;
pub(crate) use ids::PluginId;
pub(crate) use slot::Canceller;
use slot::Slot;
use thread_errors::ThreadErrors;

/// The plugins of one caller.
#[derive(Default)]
pub(crate) struct Context {
    registry: Mutex<Registry>,
    /// Its caller has freed it.
    closed: AtomicBool,
    errors: ThreadErrors,
}

impl Passing for Context {
    fn is_over(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// How many plugins a thread finds again without the registry.
const RECENT: usize = 64;

/// A plugin's id and where its context is. An id is given again, and a context's place, only when the plugin is gone.
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
    /// Boxed, as all results have room for it.
    #[error(transparent)]
    Plugin(Box<plugin::Error>),
}

impl From<plugin::Error> for Error {
    fn from(error: plugin::Error) -> Self {
        Self::Plugin(Box::new(error))
    }
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

    /// Puts a new plugin in the place of `id`, once that is not running. If it cannot be made, the old one stays.
    ///
    /// # Errors
    /// The plugin cannot be made, or there is no plugin `id`.
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
            // Its memory stays with the thread that used it.
            Some(Err(Error::Lost(_))) => None,
            // There is none, or another thread was faster.
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
        // All at once, before anything can go wrong with one of them; and who finds one outside the registry knows that it is to go.
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
        // Who makes a plugin at this moment has put it into the registry, or will see that it is over.
        self.closed.store(true, Ordering::Release);
        self.reset()
    }

    /// In a process that was forked off, before it has a second thread: finds the plugins that other threads were using.
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

    /// Calls the function `name` of plugin `id`. Clears errors first; the outcome's error becomes the plugin's.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(crate) fn call(&self, id: PluginId, name: &CStr, input: &[u8]) -> Result<i32, Error> {
        self.use_plugin(id, |plugin, slot| {
            match plugin.call(name, input) {
                Ok(code) => {
                    // A logger that used the plugin in vain meanwhile has left an error of its own.
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

    /// Stands for a call of plugin `id` whose arguments cannot be used: clears errors and output, and keeps `text` as the
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
    /// There is no such plugin, or no room for a copy of output that cannot be read in place.
    pub(crate) fn output(&self, id: PluginId) -> Result<(*const u8, u64), Error> {
        Ok(self.use_plugin(id, |plugin, _| plugin.output())??)
    }

    /// How many instructions the last call of plugin `id` has executed, if they are counted.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(crate) fn fuel_used(&self, id: PluginId) -> Result<u64, Error> {
        let used = self.with_slot(id, |slot| slot.with(Plugin::fuel_used));
        used.unwrap_or(Err(Error::NoSuchPlugin(id)))
    }

    /// To stop what plugin `id` runs. Does not wait for it.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(crate) fn canceller(&self, id: PluginId) -> Result<Canceller, Error> {
        self.with_slot(id, Slot::canceller).ok_or(Error::NoSuchPlugin(id))
    }

    /// The error of plugin `id`, or of the context if there is no such plugin: this thread's, else the newest. Does not wait for a
    /// running call.
    pub(crate) fn error(&self, id: PluginId) -> Option<String> {
        self.with_slot(id, Slot::error).unwrap_or_else(|| self.errors.get())
    }

    /// Keeps `text`, that of `error`, for [`Context::error`]: with plugin `id` if it exists and `error` is about what it did, else
    /// with the context.
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

    /// Gives `work` the slot of plugin `id`, if there is one.
    fn with_slot<T>(&self, id: PluginId, work: impl FnOnce(&Slot) -> T) -> Option<T> {
        let address = (id, std::ptr::from_ref(self).addr());
        with_recent(&SLOTS, id.cast_unsigned() as usize, address, || self.find(id), work)
    }

    #[cold]
    fn find(&self, id: PluginId) -> Option<Arc<Slot>> {
        self.registry.lock().plugins.get(&id).cloned()
    }

    /// Waits for plugin `id`, clears its error and this thread's of the context, and gives it to `work`.
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
