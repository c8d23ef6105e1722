//! Gets the machine code of a manifest's modules: loads them, and prepares those that must be compiled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Error;
use crate::contents::Contents;
use crate::digest::Digest;
use crate::engine::{self, Backend, CompiledPlugin, Input, Memories, Preparation, Prepared, Traits};
#[cfg(feature = "compiler")]
use crate::environment;
use crate::guest::{self, Inlining};
use crate::loader::{self, LoadedModule};
use crate::manifest::ModuleEntry;
#[cfg(feature = "compiler")]
use crate::manifest::{self, Manifest};

/// The modules of a manifest, loaded.
pub(crate) struct Modules {
    sources: Vec<Source>,
    /// Whether their code counts its instructions.
    fuel: bool,
}

impl Modules {
    /// Loads the modules. Nothing is fetched after `deadline`.
    ///
    /// # Errors
    /// A module cannot be read, or is not what the manifest says.
    pub(super) fn load(modules: Vec<ModuleEntry<'_>>, fuel: bool, deadline: Option<Instant>) -> Result<Self, Error> {
        let sources = modules.into_iter().map(|entry| source(entry, deadline)).collect::<Result<_, _>>()?;
        Ok(Self { sources, fuel })
    }

    /// The SHA-256 of the module that is linked as `name`, calculated if nobody has asked for it before: for log lines
    /// of level debug. `None` if the module cannot be read any more.
    pub(super) fn sha256(&self, name: &str) -> Option<Digest> {
        let input = self.sources.iter().map(Source::input).find(|input| input.name == name)?;
        input.sha256.or_else(|| input.contents?.sha256().ok())
    }

    /// Gets their code of `backend`, for the first of these `memories` that it is there for. Nothing is compiled after
    /// `deadline`, unless [`Backend::time_for`] gives the compiler longer.
    ///
    /// # Errors
    /// A module cannot be compiled, or there is neither code for it nor a compiler.
    pub(super) fn code(
        &self,
        backend: Option<&'static Backend>,
        memories: &'static [Memories],
        deadline: Option<Instant>,
    ) -> Result<Arc<CompiledPlugin>, Error> {
        let until = |size: u64| Some(deadline?.max(Instant::now().checked_add(time_to_compile(backend, size))?));
        self.with_inputs(until, |inputs, preparation| engine::load(backend, memories, inputs, preparation))
    }

    /// Calls `work` with the modules, and with their preparation for compilers. `compile_until` gets the modules' total
    /// size in bytes and returns the deadline for compiling.
    fn with_inputs<T>(
        &self,
        compile_until: impl FnOnce(u64) -> Option<Instant>,
        work: impl FnOnce(&[Input<'_>], &Preparation<'_, Error>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Self { sources, fuel } = self;
        let inputs: Vec<_> = sources.iter().map(Source::input).collect();
        let prepare = |index: usize, name: &str, traits: &Traits| {
            let inlining = if sources.len() == 1 { Inlining::Alone } else { Inlining::Linked };
            prepare(&sources[index], name, inlining, traits, *fuel)
        };
        work(
            &inputs,
            &Preparation {
                version: guest::REWRITE_VERSION,
                fuel: *fuel,
                common: guest::IO_MEMORY_EXPORT,
                data: guest::DATA_SECTION,
                prepare: &prepare,
                deadline: compile_until(inputs.iter().filter_map(|input| input.contents).map(Contents::size).sum()),
            },
        )
    }
}

/// The compiler that `manifest` asks for, else the one in use.
///
/// # Errors
/// It is not built in, or there is none.
#[cfg(feature = "compiler")]
pub(crate) fn backend(manifest: &Manifest<'_>) -> Result<&'static Backend, Error> {
    engine::select(manifest.compiler.as_deref())?.ok_or_else(|| engine::Error::NoCompiler.into())
}

/// Compiling ahead of time.
#[cfg(feature = "compiler")]
impl Modules {
    /// Loads the modules of `manifest`. Their code counts its instructions if there is `fuel`, or the manifest has
    /// some.
    ///
    /// # Errors
    /// A module cannot be read, or is not what the manifest says.
    pub(crate) fn of_manifest(manifest: Manifest<'_>, fuel: bool) -> Result<Self, Error> {
        environment::check()?;
        super::log_warnings(&manifest);
        let deadline = manifest::deadline(manifest.timeout);
        Self::load(manifest.modules, fuel || manifest.fuel.is_some(), deadline)
    }

    /// Compiles them with `backend`, and puts the code into `store`. No deadline applies: `timeout_ms` is for plugins,
    /// and this code is made once.
    ///
    /// # Errors
    /// A module cannot be compiled, or its code cannot be kept.
    pub(crate) fn precompile(
        &self,
        backend: &'static Backend,
        memories: Memories,
        machine: &engine::Machine,
        store: Option<&engine::Store>,
    ) -> Result<Vec<engine::Made>, Error> {
        self.with_inputs(
            |_| None,
            |inputs, preparation| engine::precompile(backend, memories, machine, store, inputs, preparation),
        )
    }
}

/// The time that the compiler gets even if the deadline is earlier.
#[cfg(feature = "compiler")]
fn time_to_compile(backend: Option<&Backend>, size: u64) -> Duration {
    backend.map_or(Duration::ZERO, |backend| backend.time_for(size))
}

/// The time in which code may be read from the cache, however short the plugin's timeout is: timeouts suit calls.
#[cfg(not(feature = "compiler"))]
fn time_to_compile(_: Option<&Backend>, _: u64) -> Duration {
    Duration::from_secs(5)
}

/// A module, loaded as far as necessary.
enum Source {
    Loaded(LoadedModule),
    /// Only the hash, which suffices without a compiler: code is looked up in the cache.
    #[cfg(not(feature = "compiler"))]
    Hash {
        name: String,
        sha256: Digest,
    },
}

impl Source {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Loaded(module) => {
                Input { name: &module.name, sha256: module.sha256, contents: Some(&module.contents) }
            }
            #[cfg(not(feature = "compiler"))]
            Self::Hash { name, sha256 } => Input { name, sha256: Some(*sha256), contents: None },
        }
    }
}

fn source(entry: ModuleEntry<'_>, deadline: Option<Instant>) -> Result<Source, Error> {
    #[cfg(not(feature = "compiler"))]
    if let Some(sha256) = loader::expected_hash(&entry)? {
        return Ok(Source::Hash { name: entry.name, sha256 });
    }
    Ok(Source::Loaded(loader::load(entry, deadline)?))
}

/// Rewrites the module for the compiler, and names it `name`.
#[cfg(feature = "compiler")]
fn prepare(source: &Source, name: &str, inlining: Inlining, traits: &Traits, fuel: bool) -> Result<Prepared, Error> {
    let Source::Loaded(module) = source;
    let builtins = if traits.builtins_are_seen { guest::Builtins::Seen } else { guest::Builtins::Unseen };
    let estimate = guest::Estimate::of(traits.optimises_at_length);
    let wanted = guest::Wanted { features: &traits.features, inlining, builtins, estimate, fuel };
    let rewritten = guest::rewrite(name, &module.to_binary()?, wanted);
    let rewritten = rewritten.map_err(|cause| match (module.origin(), cause) {
        (module, guest::RewriteError::Unsupported(cause)) => {
            Error::Unsupported { module, compiler: traits.compiler, cause }
        }
        (module, cause) => Error::Rewrite { module, cause },
    })?;
    let moving = rewritten.has_io_memory.then_some(guest::IO_MEMORY_MAX_PAGES);
    Ok(Prepared { wasm: rewritten.wasm, moving })
}

/// There is no compiler.
#[cfg(not(feature = "compiler"))]
fn prepare(_: &Source, _: &str, _: Inlining, _: &Traits, _: bool) -> Result<Prepared, Error> {
    Err(engine::Error::NoCompiler.into())
}
