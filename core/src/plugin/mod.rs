//! A plugin from manifest to running instance: parse, load, rewrite, compile, link, instantiate, call.
//!
//! Start with [`Plugin`]. `link.rs` finds the provider of each import, `instance.rs` makes a live instance of the
//! result, `call.rs` is one call. This layer does not know ids, contexts or C.

mod call;
mod command;
mod instance;
mod link;
mod report;
mod stack;
mod trap;

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::Level;
use thiserror::Error;
use wasmer::Extern;

use crate::code::{self, CompiledPlugin, Modules};
use crate::compiler;
use crate::environment;
use crate::error::{Excerpt, Message};
use crate::host::{self, Bounds, Network, SharedState, State, Vars};
use crate::module::reserved;
use crate::reserve::{NoRoom, Reserve};
use crate::sandbox::{self, Limits, Memories};
use crate::stop::{self, NoTimer, Run, Stopped, Stopper, Watch};
use crate::wasi;

use crate::log as sink;
use crate::manifest::{self, AfterTrap, Manifest};
use crate::panics;
pub use call::Complaint;
use instance::Live;
use link::{Importer, Plan};

/// A plugin and its current instance. One thread at a time may use it; any thread may.
pub struct Plugin {
    // Dropped first, as it uses what `recipe` owns. `None` if the last one was spent and no new one could be made.
    live: Option<Box<Live>>,
    recipe: Recipe,
    stopper: Stopper,
    /// Configuration and variables, which all instances share.
    state: SharedState,
    /// The instance must not serve another call: a `_start` ran in it, a call ended early, or the host panicked in one.
    spent: bool,
    /// The main module's initialisers have run in this instance.
    initialised: bool,
}

/// Everything needed to make an instance.
struct Recipe {
    // Declared before `compiled`: its modules must be dropped before the engine that owns their code.
    plan: Plan,
    compiled: Arc<CompiledPlugin>,
    max_block_pages: Option<u32>,
    limits: Limits,
    bounds: Bounds,
    /// The limit on the time of a call, if there is one.
    timeout: Option<Timeout>,
    /// The program name that each module gets as a WASI program, by the name that it is linked by.
    programs: BTreeMap<String, String>,
    after_trap: AfterTrap,
    /// Host directory, possibly with the prefix `ro:`, to guest path.
    allowed_paths: BTreeMap<String, String>,
}

/// Why a plugin could not be made, configured or queried.
#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error(transparent)]
    Compiler(#[from] compiler::Error),
    #[error(transparent)]
    Code(#[from] code::Error),
    #[error("unknown import: `{module}::{name}` has not been defined{importer}{hint}")]
    UnknownImport { module: Excerpt, name: Excerpt, importer: Importer, hint: &'static str },
    #[error(
        "Invalid function import from {}: {name}\nThis host does not know it; the plugin may be made for a newer one",
        host::HOST_MODULE
    )]
    UnknownHostImport { name: Excerpt },
    #[error(
        "incompatible import type for `{module}::{name}`\n\nCaused by:\n    expected {wanted}, found {found}{importer}"
    )]
    IncompatibleImport { module: Excerpt, name: Excerpt, wanted: Message, found: Message, importer: Importer },
    #[error("modules import each other: {0}")]
    Cycle(Excerpt),
    #[error("module `{0}` exports both `_start` and `_initialize`: a library is a command or a reactor, not both")]
    CommandAndReactor(Excerpt),
    #[error("no room to make the plugin: {0}")]
    NoRoom(#[from] NoRoom),
    #[error("no main module")]
    NoMain,
    #[error("the memory for input and output: {0}")]
    IoMemory(String),
    #[error("{0}\nA memory reserves 8 GiB of address space, which the process may not have (RLIMIT_AS, `ulimit -v`)")]
    NoReservation(Box<Error>),
    #[error("{refused}\nIt would do with code for memories without that: {cause}")]
    NoMovingMemories { refused: Box<Error>, cause: Box<Error> },
    #[error("module `{module}` could not be instantiated\n\nCaused by:\n    {cause}", cause = cause.replace('\n', "\n    "))]
    Instantiate { module: Excerpt, cause: String },
    #[error("module `{module}` failed at its start\n\nCaused by:\n    {cause}", cause = cause.replace('\n', "\n    "))]
    Start { module: Excerpt, cause: String },
    #[error(transparent)]
    Environment(#[from] environment::Error),
    #[error("{}", stopped(*.0, *.1))]
    Stopped(Stopped, Option<Timeout>),
    #[error(transparent)]
    Timer(#[from] NoTimer),
    #[error(transparent)]
    Wasi(#[from] wasi::Error),
    #[error("the function's name is not UTF-8 from byte {0} on")]
    FunctionName(usize),
    #[error("config: {0}")]
    Config(manifest::Error),
    #[error("the output: {0}")]
    Output(host::Fault),
}

impl Plugin {
    /// Makes a plugin of a module or a manifest and instantiates it.
    ///
    /// # Errors
    /// The manifest, a module, an import or a start function is invalid or fails.
    pub fn new(input: &[u8], with_wasi: bool) -> Result<Self, Error> {
        panics::quietly(|| {
            let since = report::clock();
            with_room(|| {
                environment::check()?;
                Self::make(manifest::parse(input)?, with_wasi, since)
            })
        })
    }

    /// Makes a plugin of a manifest that has been parsed, and perhaps changed since.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    #[cfg(feature = "compiler")]
    pub(crate) fn of_manifest(manifest: Manifest<'_>, with_wasi: bool) -> Result<Self, Error> {
        panics::quietly(|| {
            let since = report::clock();
            with_room(|| {
                environment::check()?;
                Self::make(manifest, with_wasi, since)
            })
        })
    }

    fn make(manifest: Manifest<'_>, with_wasi: bool, since: Option<Instant>) -> Result<Self, Error> {
        manifest.log_warnings();
        let timeout = match manifest.timeout {
            Some(after) => Some(Timeout { after, set_by: "timeout_ms" }),
            None => Timeout::by_default(),
        };
        if timeout.is_some() {
            stop::check_timer()?;
        }
        let deadline = deadline(timeout);
        let backend = compiler::select(manifest.compiler.as_deref())?;
        let names: Vec<_> = manifest.modules.iter().map(|entry| entry.name.clone()).collect();
        let programs = manifest.modules.iter().map(|entry| (entry.name.clone(), entry.program.clone())).collect();
        let modules = Modules::load(manifest.modules, manifest.fuel.is_some(), deadline)?;
        let code = |memories| {
            modules.code(backend, memories, deadline).map_err(|error| match error {
                code::Error::Compiler(compiler::Error::TooLate) => Error::Stopped(Stopped::Timeout, timeout),
                other => other.into(),
            })
        };
        let compiled = code(Memories::preferred())?;
        let plan = |compiled: &CompiledPlugin, programs: &BTreeMap<_, _>| {
            link::plan(&names, &compiled.modules, programs, with_wasi)
        };
        let mut recipe = Recipe {
            plan: plan(&compiled, &programs)?,
            compiled,
            max_block_pages: manifest.memory.max_block_pages,
            limits: Limits {
                max_pages: manifest.memory.max_pages,
                max_table_elements: manifest.memory.max_table_elements.unwrap_or(Limits::TABLE_ELEMENTS),
            },
            bounds: Bounds { max_log_bytes: manifest.memory.max_log_bytes, fuel: manifest.fuel },
            timeout,
            programs,
            after_trap: manifest.after_trap,
            allowed_paths: manifest.allowed_paths,
        };
        if recipe.after_trap == AfterTrap::Keep {
            warn_of_untold_stacks(&recipe.plan);
        }
        let network = Network::new(&manifest.allowed_hosts, manifest.memory.max_http_response_bytes);
        let state = State::new(manifest.config, Vars::new(manifest.memory.max_var_bytes), network);
        let (stopper, live) = match start(&recipe, deadline, &state) {
            Err(refused @ Error::NoReservation(_)) if recipe.compiled.template.memories() == Memories::Reserved => {
                let compiled = code(&[Memories::Moving]);
                let compiled = compiled
                    .map_err(|cause| Error::NoMovingMemories { refused: refused.into(), cause: cause.into() })?;
                // The modules go before the engine that has their code.
                recipe.plan = plan(&compiled, &recipe.programs)?;
                recipe.compiled = compiled;
                start(&recipe, deadline, &state)?
            }
            started => started?,
        };
        if !recipe.allowed_paths.is_empty() && !recipe.plan.imports_wasi {
            warn_of_unused_paths(&recipe.allowed_paths, with_wasi);
        }
        report::created(&recipe.plan, &modules, &recipe.compiled, since);
        Ok(Self { recipe, live: Some(Box::new(live)), stopper, state, spent: false, initialised: false })
    }

    /// Merges a JSON object of strings into the configuration; null removes a key. The other forms that
    /// a manifest may have for a map are taken, too.
    ///
    /// # Errors
    /// The text is anything else; the configuration is unchanged.
    pub fn configure(&mut self, json: &[u8]) -> Result<(), Error> {
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
    pub fn has_function(&self, name: &CStr) -> Result<bool, Error> {
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
    pub fn output(&mut self) -> Result<(*const u8, u64), Error> {
        /// An address for empty output: the byte after any output must be readable.
        static NOTHING: u8 = 0;
        match &mut self.live {
            Some(live) => live.guest_mut().io.output_address().map_err(Error::Output),
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

    /// How many instructions the last call executed; 0 if they are not counted.
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
    let live = create(recipe, &run, stopper.watch(), deadline, state);
    over(run);
    Ok((stopper, live?))
}

/// Ends a run. Frees the stack that a nested run leaves over (`engine/stacks.rs`).
#[inline]
fn over(run: Run) {
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

/// Makes an instance, unless that is stopped.
fn create(
    recipe: &Recipe,
    run: &Run,
    watch: Watch,
    deadline: Option<Instant>,
    state: &SharedState,
) -> Result<Live, Error> {
    let live = instance::create(recipe, deadline, watch, SharedState::clone(state));
    live.map_err(|error| run.stopped().map_or(error, |reason| Error::Stopped(reason, recipe.timeout)))
}

/// The limit on the time of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout {
    after: Duration,
    /// The setting that it comes from, for errors.
    set_by: &'static str,
}

impl Timeout {
    /// The timeout for plugins whose manifest sets none.
    fn by_default() -> Option<Self> {
        environment::TIMEOUT.value().map(|after| Self { after, set_by: "EXTISM_TIMEOUT_MS" })
    }
}

/// The deadline of a call that begins at this moment.
fn deadline(timeout: Option<Timeout>) -> Option<Instant> {
    manifest::deadline(timeout.map(|timeout| timeout.after))
}

/// The error text for a call that used up its `limit` of instructions.
fn out_of_fuel(limit: u64) -> String {
    format!("out of fuel: it has not ended within the {limit} instructions that a call may execute (fuel)")
}

/// The error text for a call that was stopped.
fn stopped(reason: Stopped, timeout: Option<Timeout>) -> String {
    match (reason, timeout) {
        (Stopped::Timeout, Some(Timeout { after, set_by })) => {
            format!("timeout: it has taken more than {} ms ({set_by})", after.as_millis())
        }
        (Stopped::Timeout, None) => "timeout".to_owned(),
        (Stopped::Cancelled, _) => "cancelled by another thread".to_owned(),
    }
}
