//! Gets the code of the modules of one manifest: from this process, else from the cache on disk, else made; then loads
//! it into an engine of its own.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use wasmer::sys::EngineBuilder;
use wasmer::{Engine, Module};

use super::compiled::{Origin, PluginCode};
use super::error::Error;
use super::make;
use super::modules::{ModuleSource, Modules};
use super::request::{Failure, Request};
use super::shared::{CodeKey, get_or_make};
use crate::cache::code::{self, CodeCache};
use crate::compiler::{self, Backend, Machine};
use crate::fork::{EnterWhenDropped, LeaveWhenDropped};
use crate::module::contents::Contents;
use crate::module::digest::ModuleKey;
use crate::sandbox::{self, Memories, StoreTemplate};
use crate::stop::CodeRanges;

impl Modules {
    /// Gets the modules' code: from another plugin of this process that uses or used it, else from the cache on disk,
    /// else from the compiler `backend`. It is for the first of `memories` for which there is code or a compiler.
    /// Compiling ends at `deadline`, or later if [`Backend::time_for`] grants more time.
    ///
    /// In the code, modules have the names of their hashes, since each manifest may name them differently.
    pub(crate) fn code(
        &self,
        backend: Option<&'static Backend>,
        memories: &'static [Memories],
        deadline: Option<Instant>,
    ) -> Result<Arc<PluginCode>, Error> {
        // Before the modules are hashed, which reads them.
        let deadline = self.compile_until(backend, deadline);
        let modules = self.sources.iter().map(ModuleSource::key).collect::<Result<_, _>>()?;
        let key = CodeKey { backend: backend.map(Backend::name), memories, fuel: self.fuel, modules };
        get_or_make(&key, &self.sources, deadline, || self.code_of_its_own(backend, memories, deadline))
    }

    fn code_of_its_own(
        &self,
        backend: Option<&'static Backend>,
        memories: &[Memories],
        deadline: Option<Instant>,
    ) -> Result<PluginCode, Error> {
        let cache = CodeCache::of_environment(cfg!(feature = "compiler"));
        let usable = cache.as_ref().ok();
        let keys = self.sources.iter().map(|source| source.cache_key(usable)).collect::<Result<Vec<_>, _>>()?;
        let mut missing = None;
        // Without a compiler, code of any compiler will do, the fastest first: the first one counts of which the cache
        // has code for all modules. A compiler that is built in makes what the cache lacks.
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
        let size = self.sources.iter().filter_map(ModuleSource::contents).map(Contents::size).sum();
        Some(deadline?.max(Instant::now().checked_add(time_to_compile(backend, size))?))
    }
}

impl Request<'_> {
    /// Loads all modules into a new engine. Modules in one store must come from one engine, which checks hashes of
    /// signatures for collisions. The engine has no compiler: one that compiles keeps its lock, and its garbage.
    fn plugin(&self, keys: &[ModuleKey], deadline: Option<Instant>) -> Result<PluginCode, Failure> {
        let sources = &self.modules.sources;
        let engine: Engine = EngineBuilder::headless().engine().into();
        let (mut modules, mut size, mut origin) = (Vec::with_capacity(sources.len()), 0, Origin::Cache);
        for (index, (source, key)) in sources.iter().zip(keys).enumerate() {
            let (module, its_size) = match self.found(&engine, source, key, deadline)? {
                Some(found) => found,
                None => {
                    origin = Origin::Compiled;
                    let artifact = make::make(self, index, deadline)?;
                    make::keep(self, source, &artifact).unwrap_or_else(|error| code::warn(format_args!("{error}")));
                    let size = artifact.size();
                    (artifact.load(source.name(), &engine)?, size)
                }
            };
            modules.push(module);
            size += its_size;
        }
        let functions = modules.iter().flat_map(functions).collect();
        let code = Arc::new(CodeRanges::new(functions).for_threads(sandbox::prepare_thread));
        // The local engine outlives the modules if a panic ends this function.
        let template = StoreTemplate::new(engine.clone(), self.memories, &modules);
        Ok(PluginCode {
            _going: EnterWhenDropped,
            modules,
            size: size + template.size(),
            template,
            code,
            compiler: self.backend.name(),
            origin,
            is_known: AtomicBool::new(false),
            _gone: LeaveWhenDropped,
        })
    }

    /// A module from the cache, and the size of its code; `None` if it is not there. Code that is intact but cannot be
    /// loaded counts as missing, unless this process cannot load any.
    fn found(
        &self,
        engine: &Engine,
        source: &ModuleSource,
        key: &ModuleKey,
        deadline: Option<Instant>,
    ) -> Result<Option<(Module, usize)>, Error> {
        let artifact = self.cache.and_then(|cache| cache.find(key, &self.wanted, deadline));
        let Some(artifact) = artifact else { return Ok(None) };
        let size = artifact.size();
        match artifact.load(source.name(), engine) {
            Ok(module) => Ok(Some((module, size))),
            Err(
                error @ (compiler::Error::NotExecutable { .. }
                | compiler::Error::Ending { .. }
                | compiler::Error::NoRoom { .. }),
            ) => Err(error.into()),
            Err(error) => {
                code::warn(format_args!("{error}; it is not used"));
                Ok(None)
            }
        }
    }
}

/// The address ranges of a module's own functions.
fn functions(module: &Module) -> Vec<Range<usize>> {
    let extents = module.sys_artifact().and_then(|artifact| artifact.finished_function_extents()).unwrap_or_default();
    extents.iter().map(|(_, extent)| extent.ptr.0.addr()..extent.ptr.0.addr() + extent.length).collect()
}

/// The time that the compiler may take, however short the plugin's timeout is.
#[cfg(feature = "compiler")]
fn time_to_compile(backend: Option<&Backend>, size: u64) -> Duration {
    backend.map_or(Duration::ZERO, |backend| backend.time_for(size))
}

/// The time in which code may be read from the cache, however short the plugin's timeout is: timeouts suit calls.
#[cfg(not(feature = "compiler"))]
fn time_to_compile(_: Option<&Backend>, _: u64) -> Duration {
    Duration::from_secs(5)
}
