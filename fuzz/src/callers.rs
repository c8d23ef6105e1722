//! Contexts and plugins as a caller in C has them, and the answers that the C functions must give about each, also
//! about those that were freed or never existed.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use extism::ffi;
use extism_testkit::host::{Answer, CancelHandle, Context, Plugin};

use crate::arguments::{Document, KIT, of};

/// A context, and the plugins that are known to be in it.
pub struct Caller {
    /// The context, which may have been freed or never have existed.
    pub context: Context,
    /// Whether the context exists.
    pub is_there: bool,
    /// The inputs of its plugins by their ids.
    pub plugins: BTreeMap<i32, &'static Document>,
}

/// A context, and a plugin in it or an id of no plugin.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The index of the context, as in [`pick`].
    pub context: usize,
    /// The index of the plugin in its context, modulo their count, or an id.
    pub plugin: Result<usize, i32>,
}

/// The caller at `index`, modulo their count.
pub fn pick(callers: &mut [Caller], index: usize) -> &mut Caller {
    let count = callers.len();
    &mut callers[index % count]
}

impl Caller {
    /// A caller with a new context.
    pub fn with_context() -> Self {
        Self { context: Context::new(), is_there: true, plugins: BTreeMap::new() }
    }

    /// Frees the context, which ends its plugins too.
    pub fn free(&mut self) {
        (self.is_there, self.plugins) = (false, BTreeMap::new());
        ffi::extism_context_free(self.context.0);
    }

    /// Frees all plugins of the context.
    pub fn reset(&mut self) {
        self.plugins.clear();
        ffi::extism_context_reset(self.context.0);
    }

    /// Creates a plugin, and notes it.
    pub fn create(&mut self, document: &'static Document, with_wasi: bool) {
        match self.context.create(&document.bytes, with_wasi) {
            Ok(plugin) => {
                assert!(self.is_there && plugin.id >= 0);
                assert!(self.plugins.insert(plugin.id, document).is_none(), "{} is given twice", plugin.id);
            }
            Err(error) => {
                assert!(!self.is_there || !document.is_good || error.contains("timeout"), "{error}");
                assert!(!error.starts_with("internal error"), "{error}");
            }
        }
    }
}

impl Place {
    /// The id of the plugin.
    pub fn id(self, callers: &[Caller]) -> i32 {
        match self.plugin {
            Ok(index) => {
                let plugins = &of(callers, self.context).plugins;
                plugins.keys().nth(index % plugins.len().max(1)).copied().unwrap_or(-1)
            }
            Err(id) => id,
        }
    }

    /// The plugin, whether or not it exists.
    pub fn plugin(self, callers: &[Caller]) -> Plugin<'_> {
        Plugin { context: &of(callers, self.context).context, id: self.id(callers) }
    }

    /// The input of the plugin, if it exists.
    pub fn document(self, callers: &[Caller]) -> Option<&'static Document> {
        of(callers, self.context).plugins.get(&self.id(callers)).copied()
    }

    /// Reads everything that can be read of a plugin.
    pub fn look(self, callers: &[Caller]) -> Answer {
        let plugin = self.plugin(callers);
        let error = plugin.context.error(plugin.id);
        assert!(!error.as_ref().is_some_and(|error| error.starts_with("internal error")), "{error:?}");
        let (fuel, output) = (plugin.fuel_used(), plugin.output());
        let is_null = ffi::extism_plugin_output_data(plugin.context.0, plugin.id).is_null();
        match self.document(callers) {
            Some(_) => assert!(!is_null),
            None => {
                assert_eq!((is_null, fuel, output.len()), (true, 0, 0));
                assert!(
                    plugin
                        .context
                        .error(plugin.id)
                        .is_some_and(|error| error.contains("context") || error.contains("exist"))
                );
            }
        }
        Answer { code: 0, error, output }
    }

    /// Gives the plugin another input.
    pub fn update(self, callers: &mut [Caller], document: &'static Document, with_wasi: bool) {
        let was_there = self.document(callers).is_some();
        let is_updated = self.plugin(callers).update(&document.bytes, with_wasi);
        assert!(was_there || !is_updated);
        if is_updated {
            let id = self.id(callers);
            pick(callers, self.context).plugins.insert(id, document);
        } else {
            let error = of(callers, self.context).context.error(-1).expect("a failure has an error");
            assert!(!was_there || !document.is_good || error.contains("timeout"), "{error}");
        }
        self.look(callers);
    }

    /// Frees the plugin.
    pub fn free(self, callers: &mut [Caller]) {
        self.plugin(callers).free();
        let id = self.id(callers);
        pick(callers, self.context).plugins.remove(&id);
        self.look(callers);
    }

    /// Changes the plugin's configuration, by a text that `is_right` or is refused.
    pub fn configure(self, callers: &[Caller], config: &str, is_right: bool) {
        assert_eq!(self.plugin(callers).configure(config), is_right && self.document(callers).is_some());
        self.look(callers);
    }

    /// A handle for cancelling calls of the plugin; NULL if it does not exist.
    pub fn cancel_handle(self, callers: &[Caller]) -> CancelHandle {
        let handle = self.plugin(callers).cancel_handle();
        assert_eq!(handle.0.is_null(), self.document(callers).is_none());
        handle
    }

    /// Asks whether the plugin has a function, and whether it has one without a name.
    pub fn exists(self, callers: &[Caller], name: &CStr) {
        let plugin = self.plugin(callers);
        // SAFETY: the name is a C string.
        let exists: bool =
            unsafe { ffi::extism_plugin_function_exists(plugin.context.0, plugin.id, name.as_ptr()) }.into();
        match self.document(callers) {
            Some(document) if document.is_kit => {
                let is_one = name != c"memory" && KIT.contains(&format!("(export {name:?})"));
                assert_eq!(exists, is_one, "{name:?}");
            }
            Some(_) => {}
            None => assert!(!exists),
        }
        // SAFETY: NULL is allowed.
        let exists = unsafe { ffi::extism_plugin_function_exists(plugin.context.0, plugin.id, ptr::null()) };
        assert!(!bool::from(exists));
        self.look(callers);
    }

    /// Calls a function without a name, which fails.
    pub fn call_nameless(self, callers: &[Caller]) {
        assert_eq!(self.plugin(callers).call_nameless(), -1);
        assert!(self.look(callers).output.is_empty(), "it was not called");
    }

    /// Passes the output of another plugin, or its own, as the input of `echo`, and then its own as a function's name.
    pub fn call_with_output(self, callers: &[Caller], of: Self) {
        let expected = of.look(callers).output;
        let code = self.plugin(callers).call_with_output_of("echo", &of.plugin(callers));
        self.check_echo(callers, code, &expected);
        if self.look(callers).output.contains(&0) {
            self.plugin(callers).call_named_by_output(b"input");
            self.look(callers);
        }
    }

    /// Calls a function, and cancels it if it would not end.
    pub fn call(self, callers: &[Caller], name: &CStr, input: &[u8]) {
        let plugin = self.plugin(callers);
        let is_endless = name == c"loop" || name == c"fill";
        let Some(document) = self.document(callers) else {
            assert_eq!(plugin.call_named(name, input), -1);
            self.look(callers);
            return;
        };
        if is_endless && !document.has_limit {
            return self.call_cancelled(callers, name);
        }
        let code = plugin.call_named(name, input);
        if name == c"echo" {
            return self.check_echo(callers, code, input);
        }
        let answer = self.look(callers);
        assert!(code != -1 || answer.error.is_some(), "a failure has an error");
        assert!(!is_endless || code == -1, "{name:?} has ended");
    }

    /// Calls an endless function, until another thread has cancelled it.
    fn call_cancelled(self, callers: &[Caller], name: &CStr) {
        let plugin = self.plugin(callers);
        let (handle, is_over) = (plugin.cancel_handle(), AtomicBool::new(false));
        let code = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    handle.cancel();
                    thread::yield_now();
                }
            });
            let code = plugin.call_named(name, b"");
            is_over.store(true, Ordering::Relaxed);
            code
        });
        let error = self.look(callers).error;
        assert!(code == -1 && error.as_ref().is_some_and(|error| error.contains("cancelled")), "{code}: {error:?}");
    }

    /// Checks the result of a call of `echo`.
    fn check_echo(self, callers: &[Caller], code: i32, input: &[u8]) {
        let answer = self.look(callers);
        match self.document(callers) {
            Some(document) if document.is_kit => {
                let is_stopped = document.has_limit && code == -1 && answer.error().contains("timeout");
                assert!(is_stopped || (code == 0 && answer.output == input), "{code}, {:?}", answer.error);
            }
            Some(_) => {}
            None => assert_eq!(code, -1),
        }
    }
}
