//! A plugin as C sees it: its lock, and beside that all that is to be had while it runs.

use std::ffi::{CStr, c_void};
use std::sync::Arc;

use thiserror::Error;

use extism_capi::callback::with_host_context;
use extism_capi::cancel::Canceller;
use extism_capi::handle::{PluginHandle, Unusable};
use extism_capi::recent::Passing;
use extism_capi::{arg, log};
use extism_core::plugin::{self, Facts};
use extism_core::sync::Mutex;

use crate::failure;
use crate::id::Id;
use crate::outputs::Outputs;

/// A plugin, and what C may ask of it at any time.
///
/// Threads may have it in their caches long after it was freed. It is then empty.
pub(crate) struct Plugin {
    handle: PluginHandle,
    outputs: Outputs,
    id: Id,
    /// `None` once the plugin was freed: it keeps the plugin's code.
    facts: Mutex<Option<Arc<Facts>>>,
    /// The token by which other threads cancel calls: 0 before the first one asks for it.
    cancel_token: Mutex<usize>,
}

/// Why a call has not begun.
#[derive(Debug, Error)]
enum Refused {
    #[error("the plugin has been freed")]
    Freed,
    #[error("the plugin is running on this very thread and cannot be called from inside its own call")]
    Reentered,
    #[error(
        "the plugin was in use on another thread when this process was forked, and that thread is not in it: free the plugin, and \
         make another"
    )]
    Lost,
}

impl From<Unusable> for Refused {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Freed => Self::Freed,
            Unusable::Reentered => Self::Reentered,
            Unusable::Lost => Self::Lost,
        }
    }
}

/// The result of a call that has no status.
const FAILED: i32 = -1;

impl Plugin {
    pub(crate) fn new(plugin: plugin::Plugin, id: Id) -> Self {
        let facts = Mutex::new(Some(Arc::new(plugin.facts())));
        let handle = PluginHandle::new(plugin);
        Self { handle, outputs: Outputs::default(), id, facts, cancel_token: Mutex::new(0) }
    }

    /// Calls the function `name` with an input, or fails if these cannot be used. Waits for a running call. Host functions
    /// find `host_context`.
    pub(crate) fn call(&self, arguments: Result<(&CStr, &[u8]), arg::Error>, host_context: *mut c_void) -> i32 {
        let called = self.handle.with(|plugin| self.call_alone(plugin, arguments, host_context));
        called.flatten().unwrap_or_else(|why| {
            self.fail(Refused::from(why).to_string());
            FAILED
        })
    }

    /// Calls a function of `plugin`, which no other thread uses.
    #[inline]
    fn call_alone(
        &self,
        plugin: &mut plugin::Plugin,
        arguments: Result<(&CStr, &[u8]), arg::Error>,
        host_context: *mut c_void,
    ) -> Result<i32, Unusable> {
        let running = self.outputs.begin(plugin)?;
        self.handle.clear_error();
        let result = arguments.map(|(name, input)| with_host_context(host_context, || plugin.call(name, input)));
        if result.is_err() {
            plugin.forget_output();
        }
        running.end(plugin)?;
        if self.is_over() {
            // A host function has freed it.
            self.outputs.clear();
            return Err(Unusable::Freed);
        }
        Ok(match result {
            Ok(Ok(code)) => {
                // A host function that tried to call the plugin has left an error.
                self.handle.clear_error();
                code
            }
            Ok(Err(failure)) => {
                let code = failure::code(&failure);
                self.handle.set_error(failure::text(*failure));
                code
            }
            Err(argument) => {
                self.fail(argument.to_string());
                FAILED
            }
        })
    }

    /// Keeps and logs the error of a call that has not begun.
    #[cold]
    pub(crate) fn fail(&self, text: String) {
        log::note_failure_v1(Some(&self.id.to_string()), &text);
        self.handle.set_error(text);
        // Asked afterwards, as another thread may free it meanwhile: what is freed keeps no text.
        if self.is_over() {
            self.handle.clear_error();
        }
    }

    /// The error of the last call, if it has one. Does not wait.
    pub(crate) fn error(&self) -> Option<String> {
        self.handle.error()
    }

    /// Address and length of the output of this thread's last call. The address is not null. Does not wait.
    pub(crate) fn output(&self) -> (*const u8, u64) {
        self.outputs.get()
    }

    /// True if the main module exports a function of this name that can be called. Forgets the error; does not wait.
    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.handle.clear_error();
        self.facts().is_some_and(|facts| facts.is_callable(name))
    }

    /// Merges a JSON object into the configuration. Forgets the error if that succeeds, and logs why if it does not; does
    /// not wait.
    pub(crate) fn configure(&self, json: Result<&[u8], arg::Error>) -> bool {
        let Some(facts) = self.facts() else { return false };
        let failed = match json.map(|json| facts.configure(json)) {
            Ok(Ok(())) => {
                self.handle.clear_error();
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(argument) => format!("config: {argument}"),
        };
        log::note_failure_v1(Some(&self.id.to_string()), &failed);
        false
    }

    /// Has the plugin get the headers of HTTP answers from its next request on. Does not wait.
    pub(crate) fn allow_http_response_headers(&self) {
        if let Some(facts) = self.facts() {
            facts.keep_http_headers();
        }
    }

    fn facts(&self) -> Option<Arc<Facts>> {
        self.facts.lock().clone()
    }

    /// Frees input, output and blocks. Waits for a running call; false if that is on this thread.
    pub(crate) fn reset(&self) -> bool {
        let reset = self.handle.with(|plugin| {
            self.outputs.clear();
            plugin.reset()
        });
        reset.unwrap_or(false)
    }

    /// The number of instructions of the last call, if they are counted. Waits for a running call; 0 if that is on this
    /// thread.
    pub(crate) fn fuel_consumed(&self) -> u64 {
        self.handle.with(plugin::Plugin::fuel_used).unwrap_or(0)
    }

    /// The address of the 16 bytes of its id.
    pub(crate) fn id(&self) -> *const u8 {
        self.id.address()
    }

    /// The token of what cancels its calls, which `add` keeps for it; the same each time. `None` once it has been freed.
    pub(crate) fn cancel_token(&self, add: impl FnOnce(Canceller) -> usize) -> Option<usize> {
        let mut token = self.cancel_token.lock();
        if self.is_over() {
            return None;
        }
        if *token == 0 {
            *token = add(self.handle.canceller());
        }
        Some(*token)
    }

    /// Frees the plugin, of which the caller has taken the token away: once it is not running. If it is running on this
    /// very thread, it is freed when that call returns, which then fails.
    ///
    /// Returns the token of what cancels its calls, or 0, and the plugin if it was not running. The caller drops it last:
    /// its host functions may call the library when they end.
    pub(crate) fn free(&self) -> (usize, Option<plugin::Plugin>) {
        let freed = self.handle.free();
        match freed {
            Ok(_) => self.outputs.clear(),
            Err(Unusable::Reentered) => self.handle.free_at_return(),
            Err(Unusable::Freed | Unusable::Lost) => {}
        }
        let facts = self.facts.lock().take();
        drop(facts);
        (std::mem::take(&mut *self.cancel_token.lock()), freed.ok())
    }

    /// True if it has been freed, or will be when its call returns.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.handle.is_over()
    }

    /// In a forked process, before it has a second thread: it is lost if another thread was using it.
    pub(crate) fn forked(&self) {
        self.handle.forked();
        self.outputs.forked();
    }
}
