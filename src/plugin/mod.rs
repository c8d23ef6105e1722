//! A plugin from manifest to running instance: parse, load, rewrite, compile, link, instantiate, call.
//!
//! Start with [`Plugin`]. `link.rs` decides who serves which import, `instance.rs` makes a live instance of that,
//! `call.rs` is one call. This floor knows nothing of ids, contexts or C.

mod call;
mod code;
mod command;
mod instance;
mod link;
mod trap;

use std::collections::BTreeMap;
use std::env;
use std::ffi::CStr;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::Level;
use thiserror::Error;

use crate::engine::{self, CompiledPlugin, Limits};
use crate::guest::{self, Bounds, Network, SharedState, State, Vars};
use crate::interrupt::{self, Run, Stopped, Stopper, Watch};
use crate::loader;
use crate::log as sink;
use crate::manifest::{self, MAIN};
pub(crate) use call::Complaint;
#[cfg(feature = "compiler")]
pub(crate) use code::{backend, precompile};
use instance::Live;
use link::Plan;

/// A plugin and its current instance. Used by one thread at a time, any thread.
pub(crate) struct Plugin {
    // The first to go: what it stands on is in the recipe.
    live: Box<Live>,
    recipe: Recipe,
    stopper: Stopper,
    /// Configuration and variables, whichever instance is live.
    state: SharedState,
    /// The instance must not serve another call: a `_start` ran in it, or the host failed in the middle of one.
    spent: bool,
    /// The main module's initialisers have run in this instance.
    initialised: bool,
}

/// All that is needed to make an instance.
struct Recipe {
    // Its modules go before the engine that has their code.
    plan: Plan,
    compiled: Arc<CompiledPlugin>,
    max_block_pages: Option<u32>,
    limits: Limits,
    bounds: Bounds,
    /// How long a call may take.
    timeout: Option<Timeout>,
    /// Host directory, possibly with the prefix `ro:`, to guest path.
    allowed_paths: BTreeMap<String, String>,
}

/// Why a plugin could not be made, configured or called.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error(transparent)]
    Load(#[from] loader::Error),
    #[cfg(feature = "compiler")]
    #[error("module `{module}`: {cause}")]
    Rewrite { module: String, cause: guest::RewriteError },
    #[error(transparent)]
    Code(#[from] engine::Error),
    #[error("unknown import: `{module}::{name}` has not been defined{hint}")]
    UnknownImport { module: String, name: String, hint: &'static str },
    #[error(
        "Invalid function import from {}: {name}\nThis host does not know it; the plugin may be made for a newer one",
        guest::HOST_MODULE
    )]
    UnknownHostImport { name: String },
    #[error("incompatible import type for `{module}::{name}`\n\nCaused by:\n    expected {wanted}, found {found}")]
    IncompatibleImport { module: String, name: String, wanted: String, found: String },
    #[error("modules import each other: {0}")]
    Cycle(String),
    #[error("module `{0}` exports both `_start` and `_initialize`: a library is a command or a reactor, not both")]
    CommandAndReactor(String),
    #[error("no main module")]
    NoMain,
    #[error("the memory for input and output: {0}")]
    IoMemory(String),
    #[error("module `{module}` could not be instantiated\n\nCaused by:\n    {cause}", cause = cause.replace('\n', "\n    "))]
    Instantiate { module: String, cause: String },
    #[error("module `{module}` failed at its start\n\nCaused by:\n    {cause}", cause = cause.replace('\n', "\n    "))]
    Start { module: String, cause: String },
    #[error("EXTISM_TIMEOUT_MS: `{0}` is no number of milliseconds")]
    DefaultTimeout(String),
    #[error("{}", stopped(*.0, *.1))]
    Stopped(Stopped, Option<Timeout>),
    #[error("{NO_TIMER}: {0}")]
    Timer(io::Error),
    #[error(transparent)]
    Wasi(#[from] guest::wasi::Error),
    #[error("the function's name is not UTF-8 from byte {0} on")]
    FunctionName(usize),
    #[error("config: {0}")]
    Config(String),
    #[error("the output: {0}")]
    Output(guest::Fault),
}

impl Plugin {
    /// Makes a plugin of a module or a manifest and instantiates it.
    ///
    /// # Errors
    /// Every way in which the manifest, its modules, their imports or their start functions can be wrong.
    pub(crate) fn new(input: &[u8], with_wasi: bool) -> Result<Self, Error> {
        let manifest = manifest::parse(input)?;
        for warning in &manifest.warnings {
            sink::record(Level::Warn, sink::TARGET, format_args!("{warning}"));
        }
        let timeout = match manifest.timeout {
            Some(after) => Some(Timeout { after, set_by: "timeout_ms" }),
            None => Timeout::by_default()?,
        };
        let deadline = deadline(timeout);
        let backend = engine::select(manifest.compiler.as_deref())?;
        let names: Vec<_> = manifest.modules.iter().map(|entry| entry.name.clone()).collect();
        let compiled = code::of(backend, manifest.modules, manifest.fuel.is_some(), deadline);
        let compiled = compiled.map_err(|error| match error {
            Error::Code(engine::Error::TooLate) => Error::Stopped(Stopped::Timeout, timeout),
            other => other,
        })?;
        let recipe = Recipe {
            plan: link::plan(&names, &compiled.modules, MAIN, with_wasi)?,
            compiled,
            max_block_pages: manifest.memory.max_block_pages,
            limits: Limits {
                max_pages: manifest.memory.max_pages,
                max_table_elements: manifest.memory.max_table_elements.unwrap_or(Limits::TABLE_ELEMENTS),
            },
            bounds: Bounds { max_log_bytes: manifest.memory.max_log_bytes, fuel: manifest.fuel },
            timeout,
            allowed_paths: manifest.allowed_paths,
        };
        let network = Network::new(&manifest.allowed_hosts, manifest.memory.max_http_response_bytes);
        let state = State::new(manifest.config, Vars::new(manifest.memory.max_var_bytes), network);
        let stopper = Stopper::new(Arc::clone(&recipe.compiled.code));
        let run = stopper.begin(deadline).map_err(Error::Timer)?;
        let live = create(&recipe, &run, stopper.watch(), deadline, &state)?;
        drop(run);
        Ok(Self { recipe, live: Box::new(live), stopper, state, spent: false, initialised: false })
    }

    /// Merges a JSON object of strings into the configuration; null removes a key.
    ///
    /// # Errors
    /// The text is anything else; nothing has changed then.
    pub(crate) fn configure(&mut self, json: &[u8]) -> Result<(), Error> {
        let changes: BTreeMap<String, Option<String>> =
            serde_json::from_slice(json).map_err(|error| Error::Config(error.to_string()))?;
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
    pub(crate) fn has_function(&self, name: &CStr) -> Result<bool, Error> {
        let name = name.to_str().map_err(|error| Error::FunctionName(error.valid_up_to()))?;
        Ok(!guest::is_reserved(name) && self.live.main.exports.get_function(name).is_ok())
    }

    /// Address and length of the last call's output, valid until the next call or the end of the plugin.
    ///
    /// # Errors
    /// There is no room for a copy of output that cannot be read in place.
    pub(crate) fn output(&mut self) -> Result<(*const u8, u64), Error> {
        self.live.guest_mut().io.output_address().map_err(Error::Output)
    }

    /// A copy of the last call's output.
    #[cfg(feature = "compiler")]
    pub(crate) fn output_bytes(&mut self) -> Vec<u8> {
        self.live.guest_mut().io.output_bytes()
    }

    /// Empties the output of the last call.
    pub(crate) fn forget_output(&mut self) {
        self.live.guest_mut().io.forget_output();
    }

    /// How many instructions the last call has executed; 0 where they are not counted.
    pub(crate) fn fuel_used(&mut self) -> u64 {
        self.live.with_guest(|guest, store| guest.fuel.as_ref().map_or(0, |fuel| fuel.used(store)))
    }

    /// To cancel what it runs.
    pub(crate) fn handle(&self) -> interrupt::Handle {
        self.stopper.handle()
    }
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

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout {
    after: Duration,
    /// What users know it by.
    set_by: &'static str,
}

impl Timeout {
    /// For plugins whose manifest does not say it.
    fn by_default() -> Result<Option<Self>, Error> {
        const VARIABLE: &str = "EXTISM_TIMEOUT_MS";
        let Some(value) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) else { return Ok(None) };
        let milliseconds = value.to_str().and_then(|value| value.parse().ok());
        let timeout = milliseconds.map(|value| Self { after: Duration::from_millis(value), set_by: VARIABLE });
        timeout.map(Some).ok_or_else(|| Error::DefaultTimeout(value.to_string_lossy().into_owned()))
    }
}

/// When a call that begins now has to be done.
fn deadline(timeout: Option<Timeout>) -> Option<Instant> {
    manifest::deadline(timeout.map(|timeout| timeout.after))
}

/// What is said when nothing would stop a plugin at its deadline.
const NO_TIMER: &str = "no timeout can be kept to, as there is no thread that could watch the time";

/// What is said of a plugin that wanted more instructions than these.
fn out_of_fuel(limit: u64) -> String {
    format!("out of fuel: it has not ended within the {limit} instructions that a call may execute (fuel)")
}

/// What is said of a plugin that was stopped.
fn stopped(reason: Stopped, timeout: Option<Timeout>) -> String {
    match (reason, timeout) {
        (Stopped::Timeout, Some(Timeout { after, set_by })) => {
            format!("timeout: it has taken more than {after:?} ({set_by})")
        }
        (Stopped::Timeout, None) => "timeout".to_owned(),
        (Stopped::Cancelled, _) => "cancelled by another thread".to_owned(),
    }
}
