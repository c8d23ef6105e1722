//! Gets the code of one compiler for the modules of one manifest: from the cache, else compiled; then loads it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use wasmer::sys::EngineBuilder;
use wasmer::{Engine, Module};

use super::address_space::Memories;
use super::image::Data;
use super::machine::Machine;
use super::store::{self, Identity, Store, Wanted};
use super::{Backend, CompiledPlugin, Error, Input, NoCode, Origin, Preparation, make, stacks};
use crate::cache_dir::Unusable;
use crate::error::Excerpt;
use crate::fork::{EnterWhenDropped, LeaveWhenDropped};
use crate::interrupt::Code;

/// The hashes of a module for the cache. Hashes that take time are calculated only if they are needed.
///
/// # Errors
/// The module cannot be read.
pub(super) fn identify(input: &Input<'_>, store: Option<&Store>) -> Result<Identity, Error> {
    let (None, Some(contents), Some(store)) = (input.sha256, input.contents, store) else {
        return Ok(Identity { sha256: input.sha256, blake3: None });
    };
    let blake3 = contents.blake3()?.to_hex().to_string();
    let sha256 = match store.sha256_of(&blake3) {
        Some(sha256) => Some(sha256),
        None => input.sha256()?,
    };
    Ok(Identity { sha256, blake3: Some(blake3) })
}

pub(super) struct Request<'a> {
    pub(super) backend: &'static Backend,
    pub(super) linked: bool,
    pub(super) memories: Memories,
    fuel: bool,
    pub(super) wanted: Wanted,
    pub(super) machine: Machine,
    pub(super) store: Option<&'a Store>,
    /// After this, no code is read from the cache.
    deadline: Option<Instant>,
}

/// Why there is no code.
pub(super) enum Failure<E> {
    /// The module of this index has no code in the cache, and there is no compiler.
    Missing(usize),
    Other(E),
}

impl<'a> Request<'a> {
    pub(super) fn new<E>(
        backend: &'static Backend,
        memories: Memories,
        inputs: &[Input<'_>],
        preparation: &Preparation<'_, E>,
        store: Option<&'a Store>,
        machine: Machine,
    ) -> Self {
        let (linked, fuel) = (inputs.len() > 1, preparation.fuel);
        let memories = if linked && backend.linked_memories_move { Memories::Moving } else { memories };
        let settings = backend.settings(linked, memories, fuel, preparation.version);
        let (wanted, deadline) = (Wanted { backend: backend.name(), settings }, preparation.deadline);
        Self { backend, linked, memories, fuel, wanted, machine, store, deadline }
    }

    /// Loads all modules into a new engine. Modules in one store must come from one engine, which checks hashes of
    /// signatures for collisions. The engine has no compiler: one that compiles keeps its lock, and its garbage.
    pub(super) fn plugin<E: From<Error>>(
        &self,
        inputs: &[Input<'_>],
        identities: &[Identity],
        preparation: &Preparation<'_, E>,
    ) -> Result<CompiledPlugin, Failure<E>> {
        let engine: Engine = EngineBuilder::headless().engine().into();
        let (mut modules, mut size, mut origin) = (Vec::with_capacity(inputs.len()), 0, Origin::Store);
        for (index, (input, identity)) in inputs.iter().zip(identities).enumerate() {
            let (module, its_size) =
                match self.found(&engine, input, identity).map_err(|error| Failure::Other(error.into()))? {
                    Some(found) => found,
                    None => {
                        origin = Origin::Compiled;
                        let artifact = make::make(self, index, input, preparation)?;
                        make::keep(self, input, &artifact).unwrap_or_else(|error| store::warn(format_args!("{error}")));
                        let size = artifact.size();
                        (artifact.load(input.name, &engine).map_err(|error| Failure::Other(error.into()))?, size)
                    }
                };
            modules.push(module);
            size += its_size;
        }
        let data: Arc<[_]> = modules.iter().map(|module| Data::of(module, preparation.data)).collect();
        let size = size + data.iter().map(Data::size).sum::<usize>();
        let functions = modules.iter().flat_map(functions).collect();
        let code = Arc::new(Code::new(functions).for_threads(stacks::prepare_thread));
        Ok(CompiledPlugin {
            _going: EnterWhenDropped,
            engine,
            modules,
            memories: self.memories,
            data,
            code,
            common: preparation.common,
            size,
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
    fn found(&self, engine: &Engine, input: &Input<'_>, identity: &Identity) -> Result<Option<(Module, usize)>, Error> {
        let artifact = self.store.and_then(|store| store.find(identity, &self.wanted, &self.machine, self.deadline));
        let Some(artifact) = artifact else { return Ok(None) };
        let size = artifact.size();
        match artifact.load(input.name, engine) {
            Ok(module) => Ok(Some((module, size))),
            Err(error @ (Error::NotExecutable { .. } | Error::Ending { .. } | Error::NoRoom { .. })) => Err(error),
            Err(error) => {
                store::warn(format_args!("{error}; it is not used"));
                Ok(None)
            }
        }
    }

    /// The error for `input`, whose code is not in `store`, the cache, and cannot be compiled.
    pub(super) fn no_code(
        &self,
        asked: Option<&Backend>,
        input: &Input<'_>,
        identity: &Identity,
        store: Result<&Store, &Unusable>,
    ) -> Error {
        let sha256 = identity.sha256.or_else(|| input.sha256().ok().flatten());
        let misfit = sha256.and_then(|sha256| store.ok()?.misfit(sha256));
        let compiler = asked.map_or_else(String::new, |backend| format!("--compiler {} ", backend.name()));
        let fuel = if self.fuel { "--fuel " } else { "" };
        let memories = if self.memories == Memories::Moving { "--moving-memories " } else { "" };
        let missing = NoCode {
            module: Excerpt::of(input.name),
            store: match store {
                Ok(store) => format!("`{}`", store.path.display()),
                Err(nowhere @ Unusable::Nowhere) => format!("a store, for {nowhere}"),
                Err(refused @ Unusable::Refused { .. }) => format!("a store: {refused}"),
            },
            misfit: match (store.ok().and_then(Store::obstacle), misfit) {
                (Some(obstacle), _) => format!(": {obstacle}"),
                (None, Some(name)) => format!(", which has {name} for it"),
                (None, None) => String::new(),
            },
            sha256: sha256.map_or_else(String::new, |sha256| sha256.to_string()),
            backends: asked.map_or("any compiler", Backend::name).to_owned(),
            options: format!("{compiler}{fuel}{memories}--target {} ", self.machine.triple()),
            machine: self.machine.name(),
            input: if self.linked { "MANIFEST" } else { "MODULE" },
        };
        Box::new(missing).into()
    }
}

/// The address ranges of a module's own functions.
fn functions(module: &Module) -> Vec<Range<usize>> {
    let extents = module.sys_artifact().and_then(|artifact| artifact.finished_function_extents()).unwrap_or_default();
    extents.iter().map(|(_, extent)| extent.ptr.0.addr()..extent.ptr.0.addr() + extent.length).collect()
}
