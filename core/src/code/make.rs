//! Makes code with a compiler, and keeps it in the cache.

use std::time::{Duration, Instant};

use super::Error;
use super::modules::Modules;
use super::request::{self, Failure, Request};
use super::source::Source;
use crate::cache::code::CodeCache;
use crate::compiler::need::{self, Step};
use crate::compiler::{self, Artifact, Backend, CompileOptions, Machine, Prepared, Traits};
use crate::error::Excerpt;
use crate::module::digest::Digest;
use crate::module::reserved::IO_MEMORY_MAX_PAGES;
use crate::rewrite::{self, Inlining, Libcalls, RewriteOptions};
use crate::sandbox::Memories;

/// Compiles the module of this index. The code's name for it is its BLAKE3, as each manifest may name it differently.
pub(super) fn make(request: &Request<'_>, index: usize, deadline: Option<Instant>) -> Result<Artifact, Failure> {
    let Modules { sources, fuel } = request.modules;
    let Source::Loaded(module) = &sources[index];
    // Compiling needs the bytes anyway. Reading them before hashing reads a file once instead of twice.
    module.contents.bytes()?;
    let name = module.contents.blake3()?.to_hex();
    let traits = compiler::traits(request.backend, &request.machine).ok_or(Failure::Missing(index))?;
    let inlining = if sources.len() == 1 { Inlining::Alone } else { Inlining::Linked };
    let step = Step::begin(&module.name, "read it", need::to_prepare(module.contents.bytes()?.as_slice()))?;
    let rewritten = rewrite(&name, &module.to_binary()?, inlining, &traits, *fuel);
    let prepared = rewritten.map_err(|cause| match (module.origin(), cause) {
        (module, rewrite::Error::Unsupported(cause)) => Error::Unsupported { module, compiler: traits.compiler, cause },
        (module, cause) => Error::Rewrite { module, cause },
    })?;
    step.check()?;
    let options = CompileOptions { backend: request.backend, memories: request.memories, deadline };
    Ok(compiler::compile(options, &module.name, &prepared, &request.machine)?)
}

/// Rewrites a module, whose name will be `name`, for a compiler with these `traits`.
pub(crate) fn rewrite(
    name: &str,
    wasm: &[u8],
    inlining: Inlining,
    traits: &Traits,
    fuel: bool,
) -> Result<Prepared, rewrite::Error> {
    let libcalls = if traits.libcalls_are_replaced { Libcalls::Seen } else { Libcalls::Unseen };
    let options = RewriteOptions { features: &traits.features, inlining, libcalls, fuel };
    let rewritten = rewrite::rewrite(name, wasm, options)?;
    Ok(Prepared { wasm: rewritten.wasm, moving: rewritten.has_io_memory.then_some(IO_MEMORY_MAX_PAGES) })
}

/// Puts code into the cache, if there is one. The hashes are those of the module itself, not those that the cache has.
pub(super) fn keep(request: &Request<'_>, source: &Source, artifact: &Artifact) -> Result<(), Error> {
    let (Some(cache), Some(contents), Some(sha256)) = (request.cache, source.contents(), source.sha256()?) else {
        return Ok(());
    };
    let kept = cache.keep(sha256, &contents.blake3()?, &request.wanted, &request.machine, artifact);
    kept.map_err(|cause| Error::NotKept { module: Excerpt::of(source.name()), store: cache.path.clone(), cause })
}

/// Code that was made ahead of time, or was in the cache already.
#[derive(Debug)]
pub(crate) struct Made {
    /// The module's name in the manifest.
    pub(crate) module: String,
    pub(crate) sha256: Digest,
    /// The code's size in bytes.
    pub(crate) size: usize,
    /// The time that compiling took; `None` if the code was in the cache.
    pub(crate) took: Option<Duration>,
}

/// Puts the code of all modules of a manifest into `cache`, under the keys that [`Modules::code`] uses on `machine`.
///
/// # Errors
/// As there, or the code cannot be kept.
pub(crate) fn precompile(
    modules: &Modules,
    backend: &'static Backend,
    memories: Memories,
    machine: &Machine,
    cache: Option<&CodeCache>,
) -> Result<Vec<Made>, Error> {
    let request = Request::new(backend, memories, modules, cache, machine.clone());
    let mut all = Vec::with_capacity(modules.sources.len());
    for (index, source) in modules.sources.iter().enumerate() {
        let key = request::key(source, cache)?;
        let start = Instant::now();
        // Code for fewer CPU features would run too, but the user wants code for exactly this machine.
        let found = cache.and_then(|cache| cache.find_exactly(&key, &request.wanted, machine));
        let (artifact, took) = match found {
            Some(artifact) => (artifact, None),
            // No deadline: a manifest's timeout is for plugins, and this code is made ahead of time.
            None => match make(&request, index, None) {
                Ok(artifact) => (artifact, Some(start.elapsed())),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Missing(_)) => return Err(compiler::Error::NoCompiler.into()),
            },
        };
        if took.is_some() {
            keep(&request, source, &artifact)?;
        }
        let Some(sha256) = key.sha256.map_or_else(|| source.sha256(), |known| Ok(Some(known)))? else {
            return Err(compiler::Error::NoCompiler.into());
        };
        all.push(Made { module: source.name().to_owned(), sha256, size: artifact.size(), took });
    }
    Ok(all)
}
