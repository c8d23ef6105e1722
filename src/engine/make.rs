//! Makes code and keeps it in the cache. Without a compiler, `make_absent.rs` takes the place of this file.

use std::time::{Duration, Instant};

use super::address_space::Memories;
use super::artifact::Artifact;
use super::compile::{self, How};
use super::machine::Machine;
use super::need::{self, Step};
use super::request::{Failure, Request, identify};
use super::store::Store;
use super::{Backend, Error, Input, Preparation, Prepared, Traits};
use crate::contents::Contents;
use crate::digest::Digest;
use crate::error::Excerpt;

/// Compiles the module of this index. The code's name for it is its BLAKE3, as each manifest may name it differently.
pub(super) fn make<E: From<Error>>(
    request: &Request<'_>,
    index: usize,
    input: &Input<'_>,
    preparation: &Preparation<'_, E>,
) -> Result<Artifact, Failure<E>> {
    let contents = input.contents.ok_or(Failure::Missing(index))?;
    // Compiling needs the bytes anyway. Reading them before hashing reads a file once instead of twice.
    let blake3 = contents.bytes().and_then(|_| contents.blake3());
    let blake3 = blake3.map_err(|error| Failure::Other(Error::from(error).into()))?;
    let traits = compile::traits(request.backend, &request.machine).ok_or(Failure::Missing(index))?;
    let prepared = prepare(index, input, contents, &blake3, &traits, preparation).map_err(Failure::Other)?;
    let how = How { backend: request.backend, memories: request.memories, deadline: preparation.deadline };
    compile::compile(how, input.name, &prepared, &request.machine).map_err(|error| Failure::Other(error.into()))
}

/// Parses and rewrites the module of this index.
fn prepare<E: From<Error>>(
    index: usize,
    input: &Input<'_>,
    contents: &Contents,
    blake3: &blake3::Hash,
    traits: &Traits,
    preparation: &Preparation<'_, E>,
) -> Result<Prepared, E> {
    let bytes = contents.bytes().map_err(Error::from)?.as_slice();
    let step = Step::begin(input.name, "read it", need::to_prepare(bytes))?;
    let prepared = (preparation.prepare)(index, &blake3.to_hex(), traits)?;
    step.check()?;
    Ok(prepared)
}

/// Puts code into the cache, if there is one. The hashes are those of the module itself, not those that the cache has.
pub(super) fn keep(request: &Request<'_>, input: &Input<'_>, artifact: &Artifact) -> Result<(), Error> {
    let (Some(store), Some(contents), Some(sha256)) = (request.store, input.contents, input.sha256()?) else {
        return Ok(());
    };
    let kept = store.keep(sha256, &contents.blake3()?.to_hex(), &request.wanted, &request.machine, artifact);
    kept.map_err(|cause| Error::NotKept { module: Excerpt::of(input.name), store: store.path.clone(), cause })
}

/// Compiles a module that is linked with no other, for this machine. Returns the code's size in bytes; drops the code.
pub(crate) fn compile_alone(backend: &'static Backend, name: &str, prepared: &Prepared) -> Result<usize, Error> {
    let how = How { backend, memories: Memories::Reserved, deadline: None };
    compile::compile(how, name, prepared, &Machine::host()).map(|artifact| artifact.size())
}

/// The proposals that `backend` compiles for this machine, and how its code calls libcalls.
pub(crate) fn traits_here(backend: &Backend) -> Result<Traits, Error> {
    compile::traits(backend, &Machine::host()).ok_or(Error::NoCompiler)
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

/// Puts the code of all modules of a manifest into `store`, under the key that [`load`](super::load) uses on `machine`.
///
/// # Errors
/// As for `load`, or the code cannot be kept.
pub(crate) fn precompile<E: From<Error>>(
    backend: &'static Backend,
    memories: Memories,
    machine: &Machine,
    store: Option<&Store>,
    inputs: &[Input<'_>],
    preparation: &Preparation<'_, E>,
) -> Result<Vec<Made>, E> {
    let request = Request::new(backend, memories, inputs, preparation, store, machine.clone());
    let mut all = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        let identity = identify(input, store)?;
        let start = Instant::now();
        // Code for fewer CPU features would run too, but the user wants code for exactly this machine.
        let found = store.and_then(|store| store.find_exactly(&identity, &request.wanted, machine));
        let (artifact, took) = match found {
            Some(artifact) => (artifact, None),
            None => match make(&request, index, input, preparation) {
                Ok(artifact) => (artifact, Some(start.elapsed())),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Missing(_)) => return Err(Error::NoCompiler.into()),
            },
        };
        if took.is_some() {
            keep(&request, input, &artifact)?;
        }
        let Some(sha256) = identity.sha256.map_or_else(|| input.sha256(), |known| Ok(Some(known)))? else {
            return Err(Error::NoCompiler.into());
        };
        all.push(Made { module: input.name.to_owned(), sha256, size: artifact.size(), took });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{Backend, Error, How, Machine, Memories, Prepared, compile};
    use crate::engine::backend::backends;
    use std::time::{Duration, Instant};

    /// Two megabytes of functions, none of which takes long to compile.
    fn large() -> Prepared {
        let body = "(call 0(i32.load(local.get 0)))".repeat(150);
        let functions = format!("(func (param i32) {body})").repeat(1_500);
        let wasm = wat::parse_str(format!("(module (memory 1) {functions})")).expect("WAT");
        Prepared { wasm, moving: None }
    }

    /// Every compiler stops soon after its deadline.
    #[test]
    fn compiling_ends_at_the_deadline() {
        let prepared = large();
        for backend in backends().filter(|backend| backend.is_built_in()) {
            let start = Instant::now();
            let deadline = Some(start + Duration::from_millis(10));
            let made = compile::compile(
                How { backend, memories: Memories::Reserved, deadline },
                "large",
                &prepared,
                &Machine::host(),
            );
            let taken = start.elapsed();
            assert!(matches!(made, Err(Error::TooLate)), "{}: {made:?}", backend.name());
            // Without a deadline: some 100 ms with Singlepass, seconds with Cranelift, and half a minute with LLVM.
            assert!(taken < Duration::from_secs(2), "{}: {taken:?}", backend.name());
        }
    }

    /// A deadline does not change the code.
    #[test]
    fn a_deadline_changes_nothing_else() {
        let wasm = wat::parse_str("(module (memory 1) (func (param i32) (i32.store (local.get 0) (i32.const 1))))");
        let prepared = Prepared { wasm: wasm.expect("WAT"), moving: None };
        for backend in backends().filter(|backend| backend.is_built_in()) {
            let [with, without] = [Some(Instant::now() + Duration::from_secs(60)), None].map(|deadline| {
                let how = How { backend, memories: Memories::Reserved, deadline };
                compile::compile(how, "small", &prepared, &Machine::host()).expect("it is compiled").size()
            });
            assert_eq!(with, without, "{}", backend.name());
        }
    }

    #[test]
    fn larger_modules_may_take_longer() {
        let time = |backend: &Backend, bytes| backend.time_for(bytes).as_secs();
        for backend in backends() {
            let megabyte = time(backend, 1_000_000) - time(backend, 0);
            assert!((5..=60).contains(&megabyte), "{}", backend.name());
            assert_eq!(time(backend, 26_000_000), time(backend, 0) + 26 * megabyte, "{}", backend.name());
            assert!(time(backend, u64::MAX) > 1 << 32, "{}", backend.name());
        }
    }
}
