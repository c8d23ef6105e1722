//! A compiled plugin: a manifest whose modules are loaded and compiled, and of which plugins are made.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::error::{Error, PluginError};
use super::host_function::HostFunction;
use super::instance::{Live, create};
use super::loaded::LoadedModules;
use super::options::Options;
use super::plugin::{Plugin, over};
use super::recipe::Recipe;
use super::report;
use super::timeout::{Timeout, deadline};
use super::warnings;
use crate::abi::Abi;
use crate::code::PluginCode;
use crate::environment;
use crate::host::{Bounds, Network, PluginState, SharedState, Vars};
#[cfg(feature = "compiler")]
use crate::input::Input;
use crate::manifest::{self, AfterTrap, Manifest, MemoryLimits};
use crate::panics;
use crate::reserve::Reserve;
use crate::sandbox::{self, Limits, Memories};
use crate::stop::{self, Stopper};

/// A manifest whose modules are loaded and compiled. Any number of plugins can be made of it, by any thread. They share
/// its code and its host functions, and nothing else.
///
/// It keeps its modules' bytes, or the paths of files that the process need not read: they are compiled anew if the system
/// refuses the address space for their memories.
pub struct CompiledPlugin {
    loaded: LoadedModules,
    parts: Parts,
}

/// The parts that plugins are made of.
#[derive(Clone)]
struct Parts {
    code: Arc<PluginCode>,
    settings: Settings,
    /// Declared last: its functions may call this library when they are dropped.
    functions: Arc<[HostFunction]>,
}

/// The parts of a manifest that each plugin gets for itself.
#[derive(Clone)]
struct Settings {
    config: BTreeMap<String, String>,
    allowed_hosts: Vec<String>,
    memory: MemoryLimits,
    fuel: Option<u64>,
    timeout: Option<Timeout>,
    /// The program name that each module gets from WASI, by the name that the module is linked by.
    programs: BTreeMap<String, String>,
    after_trap: AfterTrap,
    allowed_paths: BTreeMap<String, String>,
    with_wasi: bool,
    abi: Abi,
}

impl CompiledPlugin {
    /// Loads and compiles the modules of a manifest, or a module. Nothing is linked or run yet.
    ///
    /// # Errors
    /// The manifest or a module is invalid, or cannot be loaded or compiled.
    pub fn new(input: &[u8], options: Options) -> Result<Self, PluginError> {
        let abi = options.abi;
        let make = |manifest: Manifest<'_>, _: Option<Instant>| {
            let timeout = options.timeout_of(&manifest)?;
            let (mut loaded, parts) = Parts::of_manifest(manifest, options, timeout, deadline(timeout))?;
            loaded.close_files();
            Ok(Self { loaded, parts })
        };
        Ok(making(|| manifest::parse(input, abi), make)?)
    }

    /// Makes a plugin: links the modules, makes instances of them, and runs their start functions. `label` is its name in
    /// log lines.
    ///
    /// # Errors
    /// An import cannot be served, a limit is exceeded, or a start function fails.
    pub fn instantiate(&self, label: Option<Arc<str>>) -> Result<Plugin, PluginError> {
        let Self { loaded, parts } = self;
        let make = |(), since| parts.clone().plugin(loaded, label, deadline(parts.settings.timeout), since);
        Ok(making(|| Ok::<_, Error>(()), make)?)
    }
}

impl Parts {
    /// Loads and compiles the modules, until `deadline`.
    fn of_manifest(
        mut manifest: Manifest<'_>,
        mut options: Options,
        timeout: Option<Timeout>,
        deadline: Option<Instant>,
    ) -> Result<(LoadedModules, Self), Error> {
        let functions = match mem::take(&mut options.functions) {
            // Needs no allocation.
            none if none.is_empty() => Arc::default(),
            functions => functions.into(),
        };
        let (with_wasi, abi) = (options.wasi, options.abi);
        options.add_to(&mut manifest);
        manifest.log_warnings();
        let programs = manifest.modules.iter().map(|entry| (entry.name.clone(), entry.program.clone())).collect();
        let loaded = LoadedModules::load(&mut manifest, with_wasi, timeout, deadline)?;
        let settings = Settings {
            config: manifest.config,
            allowed_hosts: manifest.allowed_hosts,
            memory: manifest.memory,
            fuel: manifest.fuel,
            timeout,
            programs,
            after_trap: manifest.after_trap,
            allowed_paths: manifest.allowed_paths,
            with_wasi,
            abi,
        };
        let code = loaded.compile(Memories::preferred(), deadline)?;
        Ok((loaded, Self { code, settings, functions }))
    }

    /// Makes a plugin, until `deadline`. `since` is when that began, for the log.
    fn plugin(
        self,
        loaded: &LoadedModules,
        label: Option<Arc<str>>,
        deadline: Option<Instant>,
        since: Option<Instant>,
    ) -> Result<Plugin, Error> {
        let Self { code, settings, functions } = self;
        let memory = settings.memory;
        let plan = loaded.link(&code, &settings.programs, &functions)?;
        let mut recipe = Recipe {
            limits: Limits {
                max_pages: memory.max_pages,
                max_table_elements: memory.max_table_elements.unwrap_or(Limits::TABLE_ELEMENTS),
                io_memory_stays: plan.imports_host_functions,
            },
            plan,
            compiled: code,
            max_block_pages: memory.max_block_pages,
            bounds: Bounds { max_log_bytes: memory.max_log_bytes, fuel: settings.fuel },
            timeout: settings.timeout,
            programs: settings.programs,
            after_trap: settings.after_trap,
            allowed_paths: settings.allowed_paths,
            label: label.clone(),
            config_is_environment: settings.abi == Abi::V0,
            functions,
        };
        if recipe.after_trap == AfterTrap::Keep {
            warnings::untold_stacks(&recipe.plan);
        }
        let network = Network::new(&settings.allowed_hosts, memory.max_http_response_bytes);
        let vars = Vars::new(memory.max_var_bytes);
        let state = PluginState::new(settings.config, vars, network, settings.abi == Abi::V0, label);
        let (stopper, live) = match start(&recipe, deadline, &state) {
            Err(refused @ Error::NoReservation(_)) if recipe.compiled.template.memories() == Memories::Reserved => {
                recipe.move_memories(loaded, deadline, refused)?;
                start(&recipe, deadline, &state)?
            }
            started => started?,
        };
        if !recipe.allowed_paths.is_empty() && !recipe.plan.imports_wasi {
            warnings::unused_paths(&recipe.allowed_paths, settings.with_wasi);
        }
        report::created(&recipe.plan, |name| loaded.sha256(name), &recipe.compiled, recipe.label.as_deref(), since);
        Ok(Plugin { live: Some(Box::new(live)), recipe, stopper, state, spent: false, initialised: false })
    }
}

impl Plugin {
    /// Makes a plugin of a module or a manifest and instantiates it.
    ///
    /// # Errors
    /// The manifest, a module, an import or a start function is invalid or fails.
    pub fn new(input: &[u8], options: Options) -> Result<Self, PluginError> {
        let abi = options.abi;
        Ok(making(|| manifest::parse(input, abi), |manifest, since| Self::of_manifest(manifest, options, since))?)
    }

    /// Makes a plugin of a file.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    #[cfg(feature = "compiler")]
    pub fn of_input(input: &Input, options: Options) -> Result<Self, PluginError> {
        Ok(making(|| input.manifest(), |manifest, since| Self::of_manifest(manifest, options, since))?)
    }

    fn of_manifest(manifest: Manifest<'_>, options: Options, since: Option<Instant>) -> Result<Self, Error> {
        let timeout = options.timeout_of(&manifest)?;
        let (label, deadline) = (options.label.clone(), deadline(timeout));
        let (loaded, parts) = Parts::of_manifest(manifest, options, timeout, deadline)?;
        parts.plugin(&loaded, label, deadline, since)
    }
}

/// Makes a plugin, or what plugins are made of, from `input`. An allocation that the system refuses becomes an error:
/// there is a reserve of memory behind it.
fn making<I, T, E>(
    input: impl FnOnce() -> Result<I, E>,
    make: impl FnOnce(I, Option<Instant>) -> Result<T, Error>,
) -> Result<T, Error>
where
    Error: From<E>,
{
    panics::quietly(|| {
        let since = report::clock();
        if stop::is_running_here() {
            sandbox::check_host_stack()?;
        }
        let reserve = Reserve::share()?;
        environment::check()?;
        let made = make(input()?, since)?;
        reserve.check()?;
        Ok(made)
    })
}

/// Makes the first instance, and what stops it.
fn start(recipe: &Recipe, deadline: Option<Instant>, state: &SharedState) -> Result<(Stopper, Live), Error> {
    let stopper = Stopper::new(Arc::clone(&recipe.compiled.code));
    let run = stopper.begin(deadline)?;
    let live = create(recipe, &run, stopper.watch(), state);
    over(run);
    Ok((stopper, live?))
}
