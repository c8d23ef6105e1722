//! From the bytes of WebAssembly modules to machine code, and the limits that run with it.
//!
//! [`Backend`] is a compiler; each is one file that hands out one constant, and is built in by a feature of its name.
//! This floor does not know what modules import, where they came from, or what a plugin is.

mod artifact;
mod backend;
#[cfg(feature = "compiler")]
mod compile;
mod cranelift;
mod limits;
mod llvm;
mod machine;
mod singlepass;
mod store;

#[cfg(feature = "compiler")]
use std::io;
#[cfg(feature = "compiler")]
use std::path::PathBuf;
#[cfg(feature = "compiler")]
use std::time::{Duration, Instant};

use thiserror::Error;
use wasmer::sys::EngineBuilder;
use wasmer::{Engine, Module};

use crate::digest::Digest;
use artifact::Artifact;
#[cfg(feature = "compiler")]
pub(crate) use backend::backends;
pub(crate) use backend::{Backend, choose, find, select};
pub(crate) use limits::{MemoryLimit, clear, store};
pub(crate) use machine::Machine;
pub(crate) use store::Store;
#[cfg(feature = "compiler")]
pub(crate) use store::Stored;
use store::{Identity, Wanted};

/// The modules of one manifest as machine code. The code lives in the engine, so both stay together.
#[derive(Debug)]
pub(crate) struct CompiledPlugin {
    /// Has no compiler; owns the code.
    engine: Engine,
    /// In the order they were given.
    pub(crate) modules: Vec<Module>,
    /// The code expects memories that can move.
    memories_move: bool,
}

impl CompiledPlugin {
    /// How many tables the modules have together.
    fn tables(&self) -> u32 {
        let own = |module: &Module| module.info().tables.len() - module.info().num_imported_tables;
        self.modules.iter().map(own).sum::<usize>().try_into().unwrap_or(u32::MAX)
    }
}

/// Why a module could not be compiled.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{by}: `{name}` cannot be used; {choices}", choices = backend::choices())]
    UnknownBackend { by: &'static str, name: String },
    #[error("{}", backend::choices())]
    NoCompiler,
    #[cfg(feature = "compiler")]
    #[error("module `{module}`: {cause}")]
    Compile { module: String, cause: String },
    #[cfg(feature = "compiler")]
    #[error("module `{module}`: its code could not be kept in `{}`: {cause}", store.display())]
    NotKept { module: String, store: PathBuf, cause: io::Error },
    #[error("module `{module}`: its code could not be loaded: {cause}")]
    Load { module: String, cause: String },
    #[error(transparent)]
    NoCode(#[from] Box<NoCode>),
}

/// A module's code is missing where nobody can make it.
#[derive(Debug, Error)]
#[error(
    "module `{module}`: no compiler is built in, and its code is not in {store}\n\
     wanted: code of {backends} for {machine}, of the module with SHA-256 {sha256}\n\
     made by: extism-wasmer compile {option}--store DIRECTORY MODULE"
)]
pub(crate) struct NoCode {
    module: String,
    store: String,
    sha256: String,
    backends: String,
    option: String,
    machine: String,
}

/// A module whose code is wanted.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// What the manifest calls it.
    pub(crate) name: &'a str,
    /// Its SHA-256, if that is known.
    pub(crate) sha256: Option<Digest>,
    /// Its bytes, if they are at hand: not needed where the SHA-256 is known and there is no compiler.
    pub(crate) bytes: Option<&'a [u8]>,
}

/// How to come from a module's bytes to WebAssembly that can be compiled.
pub(crate) struct Preparation<'a, E> {
    /// Changes whenever `prepare` makes something else of the same bytes.
    pub(crate) version: u32,
    /// Whether the code is to count its instructions.
    pub(crate) fuel: bool,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(crate) prepare: &'a Prepare<'a, E>,
}

/// Gets the place of a module among the inputs, and the name that it shall have.
type Prepare<'a, E> = dyn Fn(usize, &str) -> Result<Vec<u8>, E> + 'a;

/// Gets the code of all modules of a manifest, from the store or else from the compiler `backend`, and loads it into
/// one engine.
///
/// The modules' names in the code are not those of the manifest, under which they may be used elsewhere too, but
/// hashes.
///
/// # Errors
/// A module cannot be prepared, is not valid WebAssembly, or uses a proposal that the compiler does not support; or
/// there is no compiler, and nothing in the store.
pub(crate) fn load<E: From<Error>>(
    backend: Option<&'static Backend>,
    inputs: &[Input<'_>],
    preparation: &Preparation<'_, E>,
) -> Result<CompiledPlugin, E> {
    let store = Store::of_environment(cfg!(feature = "compiler"));
    let identities: Vec<_> = inputs.iter().map(|input| identify(input, store.as_ref())).collect();
    let mut missing = None;
    // Without a compiler, the first is taken that all modules have code of; one that is built in always has it.
    for backend in backend.map_or_else(backend::by_speed, |backend| vec![backend]) {
        let request = Request::new(backend, inputs, preparation, store.as_ref(), Machine::host());
        let artifacts = request.artifacts(inputs, &identities, preparation);
        match artifacts {
            Ok(artifacts) => return Ok(request.link(inputs, artifacts)?),
            Err(Failure::Missing(index)) => missing = missing.or(Some((index, request))),
            Err(Failure::Other(error)) => return Err(error),
        }
    }
    let error = missing
        .map_or(Error::NoCompiler, |(index, request)| request.no_code(backend, &inputs[index], &identities[index]));
    Err(error.into())
}

fn identify(input: &Input<'_>, store: Option<&Store>) -> Identity {
    match (input.sha256, input.bytes) {
        (Some(sha256), bytes) if store.is_some() || bytes.is_none() => Identity { sha256: Some(sha256), blake3: None },
        (known, Some(bytes)) => {
            let blake3 = blake3_of(bytes);
            let found = store.map(|store| store.sha256_of(&blake3).unwrap_or_else(|| Digest::of(bytes)));
            Identity { sha256: known.or(found), blake3: Some(blake3) }
        }
        (sha256, None) => Identity { sha256, blake3: None },
    }
}

fn blake3_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Code that was made ahead of time, or was there.
#[cfg(feature = "compiler")]
#[derive(Debug)]
pub(crate) struct Made {
    /// What the manifest calls the module.
    pub(crate) module: String,
    pub(crate) sha256: Digest,
    /// The code's size in bytes.
    pub(crate) size: usize,
    /// How long compiling took, if it was not there.
    pub(crate) took: Option<Duration>,
}

/// Puts the code of all modules of a manifest into `store`, as [`load`] looks for it on `machine`.
///
/// # Errors
/// As for [`load`], or the code cannot be kept.
#[cfg(feature = "compiler")]
pub(crate) fn precompile<E: From<Error>>(
    backend: &'static Backend,
    machine: &Machine,
    store: Option<&Store>,
    inputs: &[Input<'_>],
    preparation: &Preparation<'_, E>,
) -> Result<Vec<Made>, E> {
    let request = Request::new(backend, inputs, preparation, store, machine.clone());
    let mut all = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        let identity = identify(input, store);
        let start = Instant::now();
        let (artifact, took) = match request.find_exactly(&identity) {
            Some(artifact) => (artifact, None),
            None => match request.make(index, input, &identity, preparation) {
                Ok(artifact) => (artifact, Some(start.elapsed())),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Missing(_)) => return Err(Error::NoCompiler.into()),
            },
        };
        if took.is_some() {
            request.keep(input, &identity, &artifact)?;
        }
        let sha256 = identity.sha256.unwrap_or_else(|| Digest::of(input.bytes.unwrap_or_default()));
        all.push(Made { module: input.name.to_owned(), sha256, size: artifact.size(), took });
    }
    Ok(all)
}

/// The code of one compiler for the modules of one manifest.
struct Request<'a> {
    backend: &'static Backend,
    linked: bool,
    wanted: Wanted,
    machine: Machine,
    store: Option<&'a Store>,
}

/// Why there is no code.
enum Failure<E> {
    /// For the module of this index there is neither an artifact nor a compiler.
    Missing(usize),
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "there is nothing else to go wrong"))]
    Other(E),
}

impl<'a> Request<'a> {
    fn new<E>(
        backend: &'static Backend,
        inputs: &[Input<'_>],
        preparation: &Preparation<'_, E>,
        store: Option<&'a Store>,
        machine: Machine,
    ) -> Self {
        let linked = inputs.len() > 1;
        let settings = backend.settings(linked, preparation.fuel, preparation.version);
        Self { backend, linked, wanted: Wanted { backend: backend.name(), settings }, machine, store }
    }

    fn artifacts<E: From<Error>>(
        &self,
        inputs: &[Input<'_>],
        identities: &[Identity],
        preparation: &Preparation<'_, E>,
    ) -> Result<Vec<Artifact>, Failure<E>> {
        let each = inputs.iter().zip(identities).enumerate();
        each.map(|(index, (input, identity))| {
            if let Some(artifact) = self.find(identity) {
                return Ok(artifact);
            }
            let artifact = self.make(index, input, identity, preparation)?;
            self.keep(input, identity, &artifact).unwrap_or_else(|error| store::warn(format_args!("{error}")));
            Ok(artifact)
        })
        .collect()
    }

    fn find(&self, identity: &Identity) -> Option<Artifact> {
        self.store?.find(identity, &self.wanted, &self.machine)
    }

    /// As [`find`](Self::find), but not code that uses less of the machine.
    #[cfg(feature = "compiler")]
    fn find_exactly(&self, identity: &Identity) -> Option<Artifact> {
        self.store?.find_exactly(identity, &self.wanted, &self.machine)
    }

    #[cfg(feature = "compiler")]
    fn make<E: From<Error>>(
        &self,
        index: usize,
        input: &Input<'_>,
        identity: &Identity,
        preparation: &Preparation<'_, E>,
    ) -> Result<Artifact, Failure<E>> {
        let bytes = input.bytes.ok_or(Failure::Missing(index))?;
        let name = identity.blake3.clone().unwrap_or_else(|| blake3_of(bytes));
        let wasm = (preparation.prepare)(index, &name).map_err(Failure::Other)?;
        let how = compile::How { backend: self.backend, linked: self.linked, fuel: preparation.fuel };
        compile::compile(how, input.name, &wasm, &self.machine).map_err(|error| Failure::Other(error.into()))
    }

    #[cfg(feature = "compiler")]
    fn keep(&self, input: &Input<'_>, identity: &Identity, artifact: &Artifact) -> Result<(), Error> {
        let (Some(store), Some(bytes)) = (self.store, input.bytes) else { return Ok(()) };
        let sha256 = identity.sha256.unwrap_or_else(|| Digest::of(bytes));
        let blake3 = identity.blake3.clone().unwrap_or_else(|| blake3_of(bytes));
        store.keep(sha256, &blake3, &self.wanted, &self.machine, artifact).map_err(|cause| Error::NotKept {
            module: input.name.to_owned(),
            store: store.path.clone(),
            cause,
        })
    }

    #[cfg(not(feature = "compiler"))]
    fn make<E: From<Error>>(
        &self,
        index: usize,
        _: &Input<'_>,
        _: &Identity,
        _: &Preparation<'_, E>,
    ) -> Result<Artifact, Failure<E>> {
        Err(Failure::Missing(index))
    }

    #[cfg(not(feature = "compiler"))]
    fn keep(&self, _: &Input<'_>, _: &Identity, _: &Artifact) -> Result<(), Error> {
        Ok(())
    }

    /// Loads the code into an engine of its own. Functions that meet in one store must come from one engine, which
    /// checks their signatures' hashes for collisions; and an engine that compiles keeps its lock, and its garbage.
    fn link(&self, inputs: &[Input<'_>], artifacts: Vec<Artifact>) -> Result<CompiledPlugin, Error> {
        let engine: Engine = EngineBuilder::headless().engine().into();
        let loaded = inputs.iter().zip(artifacts).map(|(input, artifact)| artifact.load(input.name, &engine));
        let modules = loaded.collect::<Result<_, _>>()?;
        Ok(CompiledPlugin { engine, modules, memories_move: self.linked && self.backend.linked_memories_move })
    }

    fn no_code(&self, asked: Option<&Backend>, input: &Input<'_>, identity: &Identity) -> Error {
        let missing = NoCode {
            module: input.name.to_owned(),
            store: match self.store {
                Some(store) => format!("`{}`", store.path.display()),
                None => "a store, for there is none (EXTISM_CACHE_DIR)".to_owned(),
            },
            sha256: identity
                .sha256
                .or_else(|| input.bytes.map(Digest::of))
                .map_or_else(String::new, |it| it.to_string()),
            backends: asked.map_or("any compiler", Backend::name).to_owned(),
            option: asked.map_or_else(String::new, |backend| format!("--compiler {} ", backend.name())),
            machine: self.machine.name(),
        };
        Box::new(missing).into()
    }
}
