//! Makes the code of one module: rewrites and compiles it, and keeps the result in the cache.

use std::time::Instant;

use wasmer::sys::Features;

use super::error::Error;
use super::modules::{ModuleSource, Modules};
use super::request::{Failure, Request};
use crate::compiler::need::{self, Step};
use crate::compiler::{self, Artifact, Backend, CompileOptions, Prepared};
use crate::error::Excerpt;
use crate::rewrite::{self, EstimatedCompiler, Inlining, Libcalls, RewriteOptions};

/// Compiles the module of this index. The code's name for it is its BLAKE3, as each manifest may name it differently.
pub(super) fn make(request: &Request<'_>, index: usize, deadline: Option<Instant>) -> Result<Artifact, Failure> {
    let Modules { sources, fuel } = request.modules;
    let ModuleSource::Loaded(module) = &sources[index];
    // Compiling needs the bytes anyway. Reading them before hashing reads a file once instead of twice.
    module.contents.bytes()?;
    let name = module.contents.blake3()?.to_hex();
    let (backend, machine) = (request.backend, &request.wanted.machine);
    let features = compiler::features(backend, machine).ok_or(Failure::Missing(index))?;
    let inlining = if sources.len() == 1 { Inlining::Alone } else { Inlining::Linked };
    let step = Step::begin(&module.name, "read it", need::to_prepare(module.contents.bytes()?.as_slice()))?;
    let rewritten = rewrite(&name, &module.to_binary()?, inlining, backend, &features, *fuel);
    let prepared = rewritten.map_err(|cause| match (module.origin(), cause) {
        (module, rewrite::Error::Unsupported(cause)) => Error::Unsupported { module, compiler: backend.name(), cause },
        (module, cause) => Error::Rewrite { module, cause },
    })?;
    step.check()?;
    // Compiling keeps memory free for itself.
    drop(step);
    let options = CompileOptions { backend, memories: request.memories, deadline };
    Ok(compiler::compile(options, &module.name, &prepared, machine)?)
}

/// Rewrites a module, whose name will be `name`, for a compiler and the proposals that it has.
pub(crate) fn rewrite(
    name: &str,
    wasm: &[u8],
    inlining: Inlining,
    backend: &Backend,
    features: &Features,
    fuel: bool,
) -> Result<Prepared, rewrite::Error> {
    let libcalls = if backend.libcalls_are_replaced { Libcalls::Seen } else { Libcalls::Unseen };
    let estimated = EstimatedCompiler::of(backend.optimises_at_length);
    let options = RewriteOptions { features, inlining, libcalls, estimated, fuel };
    rewrite::rewrite(name, wasm, options)
}

/// Puts code into the cache, if there is one. The hashes are those of the module itself, not those that the cache has.
pub(super) fn keep(request: &Request<'_>, source: &ModuleSource, artifact: &Artifact) -> Result<(), Error> {
    let (Some(cache), Some(contents), Some(sha256)) = (request.cache, source.contents(), source.sha256()?) else {
        return Ok(());
    };
    let kept = cache.keep(sha256, &contents.blake3()?, &request.wanted, artifact);
    kept.map_err(|cause| Error::NotKept { module: Excerpt::of(source.name()), cache: cache.path.clone(), cause })
}
