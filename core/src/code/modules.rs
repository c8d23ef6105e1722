//! The modules of one manifest on their way to machine code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::request::{Failure, Request};
use super::source::Source;
use super::{CompiledPlugin, Error, shared};
use crate::cache::code::CodeCache;
use crate::compiler::{self, Backend, Machine};
use crate::manifest::ModuleEntry;
use crate::module::contents::Contents;
use crate::module::digest::Digest;
use crate::sandbox::Memories;

/// The loaded modules of a manifest.
#[derive(Debug)]
pub(crate) struct Modules {
    pub(super) sources: Vec<Source>,
    /// Whether their code counts its instructions.
    pub(super) fuel: bool,
}

impl Modules {
    /// Loads the modules. Nothing is fetched after `deadline`.
    ///
    /// # Errors
    /// A module cannot be read, or is not what the manifest says.
    pub(crate) fn load(modules: Vec<ModuleEntry<'_>>, fuel: bool, deadline: Option<Instant>) -> Result<Self, Error> {
        let sources = modules.into_iter().map(|entry| Source::load(entry, deadline)).collect::<Result<_, _>>()?;
        Ok(Self { sources, fuel })
    }

    /// The SHA-256 of the module that is linked as `name`, calculated if nobody has asked for it before: for log lines
    /// of level debug. `None` if the module cannot be read any more.
    pub(crate) fn sha256(&self, name: &str) -> Option<Digest> {
        self.sources.iter().find(|source| source.name() == name)?.sha256().ok()?
    }

    /// Gets the modules' code: that which another plugin of this process uses or used, else from the cache on disk, else
    /// from the compiler `backend`. It is for the first of `memories` for which there is code or a compiler. Compiling
    /// ends at `deadline`, or later if [`Backend::time_for`] grants more time.
    ///
    /// In the code, modules have the names of their hashes, since each manifest may name them differently.
    ///
    /// # Errors
    /// A module is not valid WebAssembly, or cannot be compiled; or there is neither code for it nor a compiler.
    pub(crate) fn code(
        &self,
        backend: Option<&'static Backend>,
        memories: &'static [Memories],
        deadline: Option<Instant>,
    ) -> Result<Arc<CompiledPlugin>, Error> {
        let modules = self.sources.iter().map(Source::key).collect::<Result<_, _>>()?;
        let key = shared::Key { backend: backend.map(Backend::name), memories, fuel: self.fuel, modules };
        let deadline = self.compile_until(backend, deadline);
        shared::get_or_make(&key, &self.sources, deadline, || self.code_of_its_own(backend, memories, deadline))
    }

    /// Gets the code for one plugin alone.
    fn code_of_its_own(
        &self,
        backend: Option<&'static Backend>,
        memories: &[Memories],
        deadline: Option<Instant>,
    ) -> Result<CompiledPlugin, Error> {
        let cache = CodeCache::of_environment(cfg!(feature = "compiler"));
        let usable = cache.as_ref().ok();
        let keys: Vec<_> =
            self.sources.iter().map(|source| super::request::key(source, usable)).collect::<Result<_, _>>()?;
        let mut missing = None;
        // Without a compiler, the first is taken that all modules have code of; one that is built in always has it.
        let backends = backend.map_or_else(compiler::by_speed, |backend| vec![backend]);
        let choices = memories.iter().flat_map(|memories| backends.iter().map(move |backend| (*memories, *backend)));
        for (memories, backend) in choices {
            let request = Request::new(backend, memories, self, usable, Machine::host());
            match request.plugin(&keys, deadline) {
                Ok(plugin) => return Ok(plugin),
                Err(Failure::Missing(index)) => missing = missing.or(Some((index, request))),
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        let Some((index, request)) = missing else { return Err(compiler::Error::NoCompiler.into()) };
        Err(request.no_code(backend, index, &keys[index], cache.as_ref()))
    }

    /// When compiling has to end for a plugin with this deadline.
    fn compile_until(&self, backend: Option<&Backend>, deadline: Option<Instant>) -> Option<Instant> {
        let size = self.sources.iter().filter_map(Source::contents).map(Contents::size).sum();
        Some(deadline?.max(Instant::now().checked_add(time_to_compile(backend, size))?))
    }
}

/// How long the compiler may take, however short the plugin's timeout is.
#[cfg(feature = "compiler")]
fn time_to_compile(backend: Option<&Backend>, size: u64) -> Duration {
    backend.map_or(Duration::ZERO, |backend| backend.time_for(size))
}

/// The time in which code may be read from the cache, however short the plugin's timeout is: timeouts suit calls.
#[cfg(not(feature = "compiler"))]
fn time_to_compile(_: Option<&Backend>, _: u64) -> Duration {
    Duration::from_secs(5)
}
