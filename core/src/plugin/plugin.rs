//! A plugin: how it is made, and what can be asked of it between calls.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::Instant;

use log::Level;
use wasmer::Extern;

use super::error::{Error, PluginError};
use super::instance::{Live, create};
use super::link::{self, Plan};
#[cfg(feature = "compiler")]
use super::options::Options;
use super::recipe::{LoadedModules, Recipe};
use super::report;
use super::stack;
use super::timeout::{Timeout, deadline};
use crate::environment;
use crate::error::Excerpt;
use crate::host::{Network, PluginState, SharedState, Vars};
#[cfg(feature = "compiler")]
use crate::input::Input;
use crate::log as sink;
use crate::manifest::{self, AfterTrap, Manifest};
use crate::module::reserved;
use crate::panics;
use crate::reserve::Reserve;
use crate::sandbox::{self, Memories};
use crate::stop::{self, Run, Stopper};
use crate::wasi;

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
    /// Makes a plugin of a module or a manifest and instantiates it.
    ///
    /// # Errors
    /// The manifest, a module, an import or a start function is invalid or fails.
    pub fn new(input: &[u8], with_wasi: bool) -> Result<Self, PluginError> {
        Ok(Self::of_manifest(|| manifest::parse(input), with_wasi)?)
    }

    /// Makes a plugin of a file, with additions to its manifest.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    #[cfg(feature = "compiler")]
    pub fn of_input(input: &Input, options: Options) -> Result<Self, PluginError> {
        let with_wasi = options.wasi;
        let mut manifest = input.manifest().map_err(Error::from)?;
        options.add_to(&mut manifest);
        Ok(Self::of_manifest(|| Ok(manifest), with_wasi)?)
    }

    fn of_manifest<'a>(
        manifest: impl FnOnce() -> Result<Manifest<'a>, manifest::Error>,
        with_wasi: bool,
    ) -> Result<Self, Error> {
        panics::quietly(|| {
            let since = report::clock();
            with_room(|| {
                environment::check()?;
                Self::make(manifest()?, with_wasi, since)
            })
        })
    }

    fn make(mut manifest: Manifest<'_>, with_wasi: bool, since: Option<Instant>) -> Result<Self, Error> {
        manifest.log_warnings();
        let timeout = Timeout::of(manifest.timeout);
        if timeout.is_some() {
            stop::check_timer()?;
        }
        let deadline = deadline(timeout);
        let programs = manifest.modules.iter().map(|entry| (entry.name.clone(), entry.program.clone())).collect();
        let loaded = LoadedModules::load(&mut manifest, with_wasi, timeout, deadline)?;
        let mut recipe = Recipe::new(&mut manifest, &loaded, programs)?;
        if recipe.after_trap == AfterTrap::Keep {
            warn_of_untold_stacks(&recipe.plan);
        }
        let network = Network::new(&manifest.allowed_hosts, manifest.memory.max_http_response_bytes);
        let state = PluginState::new(manifest.config, Vars::new(manifest.memory.max_var_bytes), network, None);
        let (stopper, live) = match start(&recipe, deadline, &state) {
            Err(refused @ Error::NoReservation(_)) if recipe.compiled.template.memories() == Memories::Reserved => {
                recipe.move_memories(&loaded, refused)?;
                start(&recipe, deadline, &state)?
            }
            started => started?,
        };
        if !recipe.allowed_paths.is_empty() && !recipe.plan.imports_wasi {
            warn_of_unused_paths(&recipe.allowed_paths, with_wasi);
        }
        report::created(&recipe.plan, &loaded.modules, &recipe.compiled, None, since);
        Ok(Self { recipe, live: Some(Box::new(live)), stopper, state, spent: false, initialised: false })
    }

    /// Merges a JSON object of strings into the configuration; null removes a key. The other forms that
    /// a manifest may have for a map are taken, too.
    ///
    /// # Errors
    /// The text is anything else; the configuration is unchanged.
    pub fn configure(&mut self, json: &[u8]) -> Result<(), PluginError> {
        let changes = manifest::config_changes(json).map_err(Error::Config)?;
        let config = &mut self.state.lock().config;
        for (key, value) in changes {
            match value {
                Some(value) => config.insert(key, value),
                None => config.remove(&key),
            };
        }
        Ok(())
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

/// Makes a plugin with a reserve of memory behind it: an allocation that the system refuses becomes an error.
fn with_room(make: impl FnOnce() -> Result<Plugin, Error>) -> Result<Plugin, Error> {
    let reserve = Reserve::share()?;
    let plugin = make()?;
    reserve.check()?;
    Ok(plugin)
}

/// Makes the first instance, and what stops it.
fn start(recipe: &Recipe, deadline: Option<Instant>, state: &SharedState) -> Result<(Stopper, Live), Error> {
    let stopper = Stopper::new(Arc::clone(&recipe.compiled.code));
    let run = stopper.begin(deadline)?;
    let live = create(recipe, &run, stopper.watch(), state);
    over(run);
    Ok((stopper, live?))
}

/// Ends a run. Frees the stack that a nested run leaves over (`sandbox/stacks.rs`).
#[inline]
pub(super) fn over(run: Run) {
    if run.is_nested() {
        sandbox::give_up_spare();
    }
}

/// Logs a warning for each module whose stack pointer cannot be put back after a trap.
fn warn_of_untold_stacks(plan: &Plan) {
    for module in stack::untold(plan) {
        let module = Excerpt::of(module);
        let line = format_args!(
            "module `{module}`: its stack pointer cannot be told; with after_trap = \"keep\", a trap leaves it where it was"
        );
        sink::record(Level::Warn, sink::TARGET, line);
    }
}

/// Says what is wrong with directories of `allowed_paths`, in a plugin that does not import WASI: else it is an error.
fn warn_of_unused_paths(allowed_paths: &BTreeMap<String, String>, with_wasi: bool) {
    let warn =
        |line: std::fmt::Arguments<'_>| sink::record(Level::Warn, sink::TARGET, format_args!("manifest: {line}"));
    if !sink::is_enabled(Level::Warn) {
        return;
    }
    if !with_wasi {
        warn(format_args!("`allowed_paths` has no effect, the plugin was created without WASI"));
    }
    wasi::check(allowed_paths).for_each(|error| warn(format_args!("{error}")));
}
