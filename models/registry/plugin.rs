//! A plugin that does nothing but check who uses it.

use std::cell::Cell;
use std::ffi::CStr;

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::thread;
use thiserror::Error;

use crate::stop::{Handle, State};

/// The number of live plugins.
pub(crate) type Alive = Arc<AtomicU64>;

pub(crate) struct Plugin {
    /// Identifies the plugin; its calls return it.
    number: i32,
    is_used: AtomicBool,
    state: Arc<State>,
    pub(crate) output: Vec<u8>,
    alive: Alive,
}

#[derive(Debug, Error)]
pub(crate) enum PluginError {
    #[error("no number: {0:?}")]
    NoNumber(Vec<u8>),
    #[error("plugin {0} cannot be configured")]
    Configuration(i32),
}

pub(crate) struct CallFailure {
    pub(crate) code: i32,
    text: String,
}

impl CallFailure {
    pub(crate) fn text(&self) -> String {
        self.text.clone()
    }
}

/// A function of the host program: here, there are none.
#[derive(Clone)]
pub(crate) enum HostFunction {}

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) wasi: bool,
    pub(crate) functions: Vec<HostFunction>,
    pub(crate) fuel: Option<u64>,
}

/// A function that plugins call while they run.
pub(crate) type Logger = Box<dyn FnMut() + Send>;

shuttle::thread_local! {
    /// The counter for plugins that this thread makes.
    static ALIVE: Cell<Option<Alive>> = const { Cell::new(None) };
    static LOGGER: Cell<Option<Logger>> = const { Cell::new(None) };
}

/// Counts the plugins that this thread makes from here on in `alive`.
pub(crate) fn count(alive: &Alive) {
    ALIVE.with(|place| place.set(Some(Arc::clone(alive))));
}

/// Calls `logger` in the next call of a plugin on this thread.
pub(crate) fn set_logger(logger: Option<Logger>) {
    LOGGER.with(|place| place.set(logger));
}

impl Plugin {
    pub(crate) fn new(input: &[u8], options: Options) -> Result<Self, PluginError> {
        assert!(!options.wasi && options.functions.is_empty() && options.fuel.is_none());
        let number = std::str::from_utf8(input).ok().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| PluginError::NoNumber(input.to_vec()))?;
        let alive = ALIVE.with(|place| {
            let alive = place.take().expect("counted");
            place.set(Some(Arc::clone(&alive)));
            alive
        });
        alive.fetch_add(1, Ordering::SeqCst);
        Ok(Self { number, is_used: AtomicBool::new(false), state: Arc::default(), output: Vec::new(), alive })
    }

    /// Runs `work` as a use of the plugin during which other threads may run.
    pub(crate) fn used<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        assert!(!self.is_used.swap(true, Ordering::SeqCst), "two threads at once");
        thread::yield_now();
        let result = work(self);
        assert!(self.is_used.swap(false, Ordering::SeqCst));
        result
    }

    pub(crate) fn configure(&mut self, json: &[u8]) -> Result<(), PluginError> {
        self.used(|plugin| if json.is_empty() { Err(PluginError::Configuration(plugin.number)) } else { Ok(()) })
    }

    pub(crate) fn functions(&self) -> std::sync::Weak<[HostFunction]> {
        std::sync::Weak::<[HostFunction; 0]>::new()
    }

    pub(crate) fn has_function(&self, _name: &CStr) -> Result<bool, PluginError> {
        Ok(true)
    }

    /// Returns its number, or fails if the input says so.
    pub(crate) fn call(&mut self, _name: &CStr, input: &[u8]) -> Result<i32, Box<CallFailure>> {
        self.used(|plugin| {
            let state = Arc::clone(&plugin.state);
            let run = state.run();
            if let Some(mut logger) = LOGGER.with(Cell::take) {
                logger();
            }
            thread::yield_now();
            plugin.output = input.to_vec();
            if run.is_cancelled() {
                return Err(Box::new(CallFailure { code: -1, text: "cancelled".to_owned() }));
            }
            match input {
                b"fail" => Err(Box::new(CallFailure { code: -1, text: plugin.number.to_string() })),
                _ => Ok(plugin.number),
            }
        })
    }

    pub(crate) fn output(&mut self) -> Result<(*const u8, u64), PluginError> {
        self.used(|plugin| Ok((plugin.output.as_ptr(), plugin.output.len() as u64)))
    }

    pub(crate) fn forget_output(&mut self) {
        self.used(|plugin| plugin.output.clear());
    }

    pub(crate) fn fuel_used(&mut self) -> u64 {
        self.used(|plugin| plugin.output.len() as u64)
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle::new(&self.state)
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        assert!(!self.is_used.swap(true, Ordering::SeqCst), "freed while it is used");
        self.state.end();
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}
