//! Gets the code of one compiler for the modules of one manifest: from the cache, else compiled; then loads it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use wasmer::sys::EngineBuilder;
use wasmer::{Engine, Module};

use super::compiled::{CompiledPlugin, Origin};
use super::error::{Error, NoCode};
use super::make;
use super::modules::Modules;
use super::source::Source;
use crate::cache::code::{self, CodeCache, WantedArtifact};
use crate::cache::directory::Unusable;
use crate::compiler::{self, Backend, Machine};
use crate::error::Excerpt;
use crate::fork::{EnterWhenDropped, LeaveWhenDropped};
use crate::module::contents;
use crate::module::key::ModuleKey;
use crate::module::reserved::{DATA_SECTION, IO_MEMORY_EXPORT, REWRITE_VERSION};
use crate::sandbox::{self, Memories, StoreTemplate};
use crate::stop::CodeRanges;

/// The key of a module for the cache. Hashes that take time are calculated only if they are needed.
///
/// # Errors
/// The module cannot be read.
pub(super) fn key(source: &Source, cache: Option<&CodeCache>) -> Result<ModuleKey, contents::Error> {
    let given = source.given_sha256();
    let (None, Some(contents), Some(cache)) = (given, source.contents(), cache) else {
        return Ok(ModuleKey { sha256: given, blake3: None });
    };
    let blake3 = contents.blake3()?;
    let sha256 = match cache.sha256_of(&blake3) {
        Some(sha256) => Some(sha256),
        None => source.sha256()?,
    };
    Ok(ModuleKey { sha256, blake3: Some(blake3) })
}

/// A wish for the code of all modules of a manifest.
pub(super) struct Request<'a> {
    pub(super) backend: &'static Backend,
    pub(super) memories: Memories,
    pub(super) modules: &'a Modules,
    pub(super) wanted: WantedArtifact,
    pub(super) machine: Machine,
    pub(super) cache: Option<&'a CodeCache>,
}

/// Why there is no code.
pub(super) enum Failure {
    /// The module of this index has no code in the cache, and there is no compiler.
    Missing(usize),
    Other(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl<'a> Request<'a> {
    pub(super) fn new(
        backend: &'static Backend,
        memories: Memories,
        modules: &'a Modules,
        cache: Option<&'a CodeCache>,
        machine: Machine,
    ) -> Self {
        let linked = modules.sources.len() > 1;
        let memories = if linked && backend.linked_memories_move { Memories::Moving } else { memories };
        let settings = backend.settings(linked, memories, modules.fuel, REWRITE_VERSION);
        let wanted = WantedArtifact { backend: backend.name(), settings };
        Self { backend, memories, modules, wanted, machine, cache }
    }

    /// Loads all modules into a new engine. Modules in one store must come from one engine, which checks hashes of
    /// signatures for collisions. The engine has no compiler: one that compiles keeps its lock, and its garbage.
    pub(super) fn plugin(&self, keys: &[ModuleKey], deadline: Option<Instant>) -> Result<CompiledPlugin, Failure> {
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
        let template = StoreTemplate::new(engine, self.memories, &modules, IO_MEMORY_EXPORT, DATA_SECTION);
        Ok(CompiledPlugin {
            _going: EnterWhenDropped,
            modules,
            size: size + template.size(),
            template,
            code: Arc::new(CodeRanges::new(functions).for_threads(sandbox::prepare_thread)),
            compiler: self.backend.name(),
            origin,
            is_known: AtomicBool::new(false),
            _gone: LeaveWhenDropped,
        })
    }

    /// A module from the cache, and the size of its code; `None` if it is not there. Code that is intact but cannot be
    /// loaded counts as missing.
    ///
    /// # Errors
    /// No code can be loaded in this process.
    fn found(
        &self,
        engine: &Engine,
        source: &Source,
        key: &ModuleKey,
        deadline: Option<Instant>,
    ) -> Result<Option<(Module, usize)>, Error> {
        let artifact = self.cache.and_then(|cache| cache.find(key, &self.wanted, &self.machine, deadline));
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

    /// The error for the module of this index, whose code is not in the cache and cannot be compiled.
    pub(super) fn no_code(
        &self,
        asked: Option<&Backend>,
        index: usize,
        key: &ModuleKey,
        cache: Result<&CodeCache, &Unusable>,
    ) -> Error {
        let source = &self.modules.sources[index];
        let sha256 = key.sha256.or_else(|| source.sha256().ok().flatten());
        let misfit = sha256.and_then(|sha256| cache.ok()?.misfit(sha256));
        let compiler = asked.map_or_else(String::new, |backend| format!("--compiler {} ", backend.name()));
        let fuel = if self.modules.fuel { "--fuel " } else { "" };
        let memories = if self.memories == Memories::Moving { "--moving-memories " } else { "" };
        let missing = NoCode {
            module: Excerpt::of(source.name()),
            store: match cache {
                Ok(cache) => format!("`{}`", cache.path.display()),
                Err(nowhere @ Unusable::Nowhere) => format!("a store, for {nowhere}"),
                Err(refused @ Unusable::Refused { .. }) => format!("a store: {refused}"),
            },
            misfit: match (cache.ok().and_then(CodeCache::obstacle), misfit) {
                (Some(obstacle), _) => format!(": {obstacle}"),
                (None, Some(name)) => format!(", which has {name} for it"),
                (None, None) => String::new(),
            },
            sha256: sha256.map_or_else(String::new, |sha256| sha256.to_string()),
            backends: asked.map_or("any compiler", Backend::name).to_owned(),
            options: format!("{compiler}{fuel}{memories}--target {} ", self.machine.triple()),
            machine: self.machine.name(),
            input: if self.modules.sources.len() > 1 { "MANIFEST" } else { "MODULE" },
        };
        Error::NoCode(Box::new(missing))
    }
}

/// The address ranges of a module's own functions.
fn functions(module: &Module) -> Vec<Range<usize>> {
    let extents = module.sys_artifact().and_then(|artifact| artifact.finished_function_extents()).unwrap_or_default();
    extents.iter().map(|(_, extent)| extent.ptr.0.addr()..extent.ptr.0.addr() + extent.length).collect()
}
