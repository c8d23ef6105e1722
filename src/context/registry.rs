//! The registry: plugins by id.
//!
//! Every method may be called from any thread. Calls on different plugins run in parallel. Calls on one plugin wait for
//! each other, and so does freeing or replacing it. The registry's own lock is never held while a plugin runs.

use std::collections::BTreeMap;
use std::ffi::CStr;

use super::error::Error;
use super::ids::{Ids, PluginId};
use extism_capi::cancel::Canceller;
use extism_capi::handle::{PluginHandle, Unusable};
use extism_capi::recent::{Passing, Recent, with_recent};
use extism_capi::thread_errors::ThreadErrors;
use extism_core::plugin::{HostFunction, Options, Plugin};
use extism_core::sync::{self, Arc, AtomicBool, Mutex, Ordering};

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

/// The number of places in a thread's own cache, where it finds plugins without the registry. An id modulo this number
/// chooses the place.
const RECENT: usize = 64;

/// A plugin's id and the address of its context. Neither an id nor an address is reused before the plugin is gone.
type Address = (PluginId, usize);

sync::thread_local! {
    static HANDLES: Recent<Address, PluginHandle, RECENT> = const { Recent::new() };
}

#[derive(Default)]
struct Registry {
    plugins: BTreeMap<PluginId, Arc<PluginHandle>>,
    ids: Ids,
}

impl Context {
    /// Makes a plugin of a module or manifest, which may import `functions`. Older errors stay.
    ///
    /// # Errors
    /// The plugin cannot be made, or there is no id left.
    pub(crate) fn create(
        &self,
        input: &[u8],
        functions: Vec<HostFunction>,
        with_wasi: bool,
    ) -> Result<PluginId, Error> {
        let plugin = Plugin::new(input, options(functions, with_wasi))?;
        // Released before the plugin, if there is an error: the end of its functions may call the library.
        let mut registry = self.registry.lock();
        if self.is_over() {
            return Err(Error::Closed);
        }
        let id = registry.ids.take().ok_or(Error::NoIdLeft)?;
        registry.plugins.insert(id, Arc::new(PluginHandle::new(plugin)));
        Ok(id)
    }

    /// Replaces plugin `id` by a new one with the same host functions, once it is not running. If the new one cannot be
    /// made, the old one stays.
    ///
    /// # Errors
    /// The new plugin cannot be made, or there is no plugin `id`.
    pub(crate) fn update(&self, id: PluginId, input: &[u8], with_wasi: bool) -> Result<(), Error> {
        // What is wrong with the input is told before that there is no plugin `id`.
        let functions = self.with_handle(id, PluginHandle::functions).unwrap_or_default();
        let plugin = Plugin::new(input, options(functions, with_wasi))?;
        let replaced = self.with_handle(id, |handle| {
            let old = handle.replace(plugin)?;
            handle.clear_error();
            drop(old);
            Ok(())
        });
        match replaced {
            None | Some(Err(Unusable::Freed)) => Err(Error::NoSuchIndex),
            Some(result) => result.map_err(|why| Error::of(id, why)),
        }
    }

    /// Frees the plugin `id`, once it is not running; unknown ids are ignored.
    ///
    /// # Errors
    /// The plugin is running on this very thread.
    pub(crate) fn free(&self, id: PluginId) -> Result<(), Error> {
        let old = match self.with_handle(id, PluginHandle::free) {
            Some(Ok(old)) => Some(old),
            // A vanished thread holds the handle: its memory is never freed.
            Some(Err(Unusable::Lost)) => None,
            // There is no such plugin, or another thread has freed it first.
            None | Some(Err(Unusable::Freed)) => return Ok(()),
            Some(Err(Unusable::Reentered)) => return Err(Error::Reentered(id)),
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
        // Each is dropped here, by this thread, and no lock is held then.
        plugins.values().for_each(|handle| handle.doom());
        drop(registry);
        for (id, handle) in plugins {
            result = handle.close().map_err(|why| Error::of(id, why)).and(result);
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
        self.registry.lock().plugins.values().for_each(|handle| handle.forked());
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
        self.use_plugin(id, |plugin, handle| {
            match plugin.call(name, input) {
                Ok(code) => {
                    // A logger that tried to use the plugin during the call has left an error.
                    handle.clear_error();
                    code
                }
                Err(failure) => {
                    handle.set_error(failure.text());
                    failure.code
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
        self.use_plugin(id, |plugin, handle| {
            plugin.forget_output();
            handle.set_error(text);
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
        let used = self.with_handle(id, |handle| handle.with(Plugin::fuel_used));
        used.unwrap_or(Err(Unusable::Freed)).map_err(|why| Error::of(id, why))
    }

    /// A canceller for the runs of plugin `id`. Does not wait for a running call.
    ///
    /// # Errors
    /// There is no such plugin.
    pub(crate) fn canceller(&self, id: PluginId) -> Result<Canceller, Error> {
        self.with_handle(id, PluginHandle::canceller).ok_or(Error::NoSuchPlugin(id))
    }

    /// The error of plugin `id`. If there is no such plugin, the context's: that of this thread, else the newest. Does
    /// not wait for a running call.
    pub(crate) fn error(&self, id: PluginId) -> Option<String> {
        self.with_handle(id, PluginHandle::error).unwrap_or_else(|| self.errors.get())
    }

    /// Keeps `text`, that of `error`, for [`Context::error`]: with plugin `id` if it exists and `error` is about what
    /// it did, else with the context.
    pub(crate) fn report(&self, id: Option<PluginId>, error: &Error, text: String) {
        let about_plugin = !matches!(error, Error::NoSuchPlugin(_));
        self.report_text(id.filter(|_| about_plugin), text);
    }

    /// Keeps `text` for [`Context::error`], with plugin `id` if it exists, else with the context.
    pub(crate) fn report_text(&self, id: Option<PluginId>, text: String) {
        match id.and_then(|id| self.with_handle(id, |handle| handle.set_error(text.clone()))) {
            Some(()) => {}
            None => self.errors.set(text),
        }
    }

    /// Calls `work` with the handle of plugin `id`; `None` if there is none.
    fn with_handle<T>(&self, id: PluginId, work: impl FnOnce(&PluginHandle) -> T) -> Option<T> {
        let address = (id, std::ptr::from_ref(self).addr());
        with_recent(&HANDLES, id.cast_unsigned() as usize, address, || self.find(id), work)
    }

    #[cold]
    fn find(&self, id: PluginId) -> Option<Arc<PluginHandle>> {
        self.registry.lock().plugins.get(&id).cloned()
    }

    /// Waits for plugin `id`, clears its error and this thread's error of the context, and calls `work` with it.
    fn use_plugin<T>(&self, id: PluginId, work: impl FnOnce(&mut Plugin, &PluginHandle) -> T) -> Result<T, Error> {
        let used = self.with_handle(id, |handle| {
            handle.with(|plugin| {
                self.errors.clear();
                handle.clear_error();
                work(plugin, handle)
            })
        });
        used.unwrap_or(Err(Unusable::Freed)).map_err(|why| Error::of(id, why))
    }
}

/// The options of a plugin of Extism 0.1.0.
fn options(functions: Vec<HostFunction>, wasi: bool) -> Options {
    Options { wasi, functions, ..Options::default() }
}
