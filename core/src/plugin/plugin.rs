//! A plugin, and what can be asked of it between calls. `compiled_plugin.rs` makes it.

use std::ffi::CStr;
use std::sync::{Arc, Weak};

use wasmer::Extern;

use super::error::{Error, PluginError};
use super::facts::{Facts, configure};
use super::host_function::HostFunction;
use super::instance::Live;
use super::link;
use super::recipe::Recipe;
use crate::host::SharedState;
use crate::module::reserved;
use crate::sandbox;
use crate::stop::{self, Run, Stopper};

/// A plugin and its current instance. One thread at a time may use it; any thread may.
pub struct Plugin {
    // Dropped first, as it uses what `recipe` owns. `None` if the last one was spent and no new one could be made.
    pub(super) live: Option<Box<Live>>,
    pub(super) recipe: Recipe,
    pub(super) stopper: Stopper,
    /// Configuration and variables, which all instances share.
    pub(super) state: SharedState,
    /// The instance must not serve another call: a `_start` ran in it, a call ended early, or the host panicked in one.
    pub(super) spent: bool,
    /// The main module's initialisers have run in this instance.
    pub(super) initialised: bool,
}

impl Plugin {
    /// Merges a JSON object of strings into the configuration, as [`Facts::configure`] does.
    ///
    /// # Errors
    /// As for that.
    pub fn configure(&mut self, json: &[u8]) -> Result<(), PluginError> {
        configure(&self.state, json)
    }

    /// The answers that are to be had while the plugin runs. They outlive the plugin, and keep its code.
    pub fn facts(&self) -> Facts {
        let main = self.recipe.plan.modules.last().map(|main| main.module.clone());
        Facts::new(main, &self.recipe.compiled, &self.state)
    }

    /// True if the main module exports a function of this name, whatever its type.
    ///
    /// # Errors
    /// The name is not UTF-8.
    pub fn has_function(&self, name: &CStr) -> Result<bool, PluginError> {
        let name = name.to_str().map_err(|error| Error::FunctionName(error.valid_up_to()))?;
        let is_there = match &self.live {
            Some(live) => matches!(live.main.exports.get_extern(name), Some(Extern::Function(_))),
            None => self.recipe.plan.modules.last().is_some_and(|main| link::exports_function(&main.module, name)),
        };
        Ok(is_there && !reserved::is_reserved(name))
    }

    /// Address and length of the last call's output, valid until the next call or the end of the plugin.
    ///
    /// # Errors
    /// The output cannot be read in place, and there is no memory for a copy.
    pub fn output(&mut self) -> Result<(*const u8, u64), PluginError> {
        /// An address for empty output: the byte after any output must be readable.
        static NOTHING: u8 = 0;
        match &mut self.live {
            Some(live) => Ok(live.guest_mut().io.output_address().map_err(Error::Output)?),
            None => Ok((&raw const NOTHING, 0)),
        }
    }

    /// The bytes of the last call's output.
    pub fn output_in_place(&mut self) -> &[u8] {
        self.live.as_mut().map_or(&[], |live| live.guest_mut().io.output_in_place())
    }

    /// The functions of the host program that it was made with, as long as it lives.
    pub fn functions(&self) -> Weak<[HostFunction]> {
        Arc::downgrade(&self.recipe.functions)
    }

    /// A copy of the last call's output.
    #[cfg(feature = "compiler")]
    pub fn output_bytes(&mut self) -> Vec<u8> {
        self.live.as_mut().map_or_else(Vec::new, |live| live.guest_mut().io.output_bytes())
    }

    /// Empties the output of the last call.
    pub fn forget_output(&mut self) {
        if let Some(live) = &mut self.live {
            live.guest_mut().io.forget_output();
        }
    }

    /// Forgets input, output, blocks and the error that the plugin has set. The plugin's own memory, its variables and
    /// its configuration stay. False if a cancellation came in between: some bytes may be left then.
    pub fn reset(&mut self) -> bool {
        let watch = self.stopper.watch();
        self.live.as_mut().is_none_or(|live| {
            let guest = live.guest_mut();
            guest.take_error();
            guest.io.reset(watch).is_ok()
        })
    }

    /// The number of instructions that the last call executed; 0 if they are not counted.
    pub fn fuel_used(&mut self) -> u64 {
        let Some(live) = &mut self.live else { return 0 };
        live.with_guest(|guest, store| guest.fuel.as_ref().map_or(0, |fuel| fuel.used(store)))
    }

    /// A handle with which other threads can cancel a run of the plugin.
    pub fn handle(&self) -> stop::Handle {
        self.stopper.handle()
    }
}

/// Ends a run. Frees the stack that a nested run leaves over (`sandbox/stacks.rs`).
#[inline]
pub(super) fn over(run: Run) {
    if run.is_nested() {
        sandbox::give_up_spare();
    }
}
