//! The code of one compiler for the modules of one manifest: found in the store, else made, then loaded.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wasmer::sys::EngineBuilder;
use wasmer::{Engine, Module};

use super::artifact::Artifact;
use super::image::Data;
use super::machine::Machine;
use super::store::{self, Identity, Store, Wanted};
use super::{Backend, CompiledPlugin, Error, Input, NoCode, Origin, Preparation, make};
use crate::cache_dir;
use crate::interrupt::Code;

/// What is known of a module without compiling it. What costs time is found out only where it is needed.
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
    fuel: bool,
    pub(super) wanted: Wanted,
    pub(super) machine: Machine,
    pub(super) store: Option<&'a Store>,
}

/// Why there is no code.
pub(super) enum Failure<E> {
    /// For the module of this index there is neither an artifact nor a compiler.
    Missing(usize),
    Other(E),
}

impl<'a> Request<'a> {
    pub(super) fn new<E>(
        backend: &'static Backend,
        inputs: &[Input<'_>],
        preparation: &Preparation<'_, E>,
        store: Option<&'a Store>,
        machine: Machine,
    ) -> Self {
        let (linked, fuel) = (inputs.len() > 1, preparation.fuel);
        let settings = backend.settings(linked, fuel, preparation.version);
        Self { backend, linked, fuel, wanted: Wanted { backend: backend.name(), settings }, machine, store }
    }

    /// All modules in an engine of their own. Functions that meet in one store must come from one engine, which checks
    /// their signatures' hashes for collisions; and an engine that compiles keeps its lock, and its garbage.
    pub(super) fn plugin<E: From<Error>>(
        &self,
        inputs: &[Input<'_>],
        identities: &[Identity],
        preparation: &Preparation<'_, E>,
    ) -> Result<CompiledPlugin, Failure<E>> {
        let engine: Engine = EngineBuilder::headless().engine().into();
        let (mut modules, mut size, mut origin) = (Vec::with_capacity(inputs.len()), 0, Origin::Store);
        for (index, (input, identity)) in inputs.iter().zip(identities).enumerate() {
            let (module, its_size) = match self.found(&engine, input, identity) {
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
        let code = Arc::new(Code::new(modules.iter().flat_map(functions).collect()));
        let memories_move = self.linked && self.backend.linked_memories_move;
        let (common, compiler, is_known) = (preparation.common, self.backend.name(), AtomicBool::new(false));
        Ok(CompiledPlugin { engine, modules, memories_move, data, code, common, size, compiler, origin, is_known })
    }

    /// A module from the store, and the size of its code. What is whole there and still cannot be loaded is as good as
    /// missing.
    fn found(&self, engine: &Engine, input: &Input<'_>, identity: &Identity) -> Option<(Module, usize)> {
        let artifact: Artifact = self.store?.find(identity, &self.wanted, &self.machine)?;
        let size = artifact.size();
        let module = artifact.load(input.name, engine);
        let module = module.inspect_err(|error| store::warn(format_args!("{error}; it is not used"))).ok()?;
        Some((module, size))
    }

    pub(super) fn no_code(&self, asked: Option<&Backend>, input: &Input<'_>, identity: &Identity) -> Error {
        let sha256 = identity.sha256.or_else(|| input.sha256().ok().flatten());
        let misfit = sha256.and_then(|sha256| self.store?.misfit(sha256));
        let compiler = asked.map_or_else(String::new, |backend| format!("--compiler {} ", backend.name()));
        let fuel = if self.fuel { "--fuel " } else { "" };
        let missing = NoCode {
            module: input.name.to_owned(),
            store: match (self.store, cache_dir::path()) {
                (Some(store), _) => format!("`{}`", store.path.display()),
                (None, Some(path)) => {
                    format!("a store: `{}` cannot be used, a warning in the log says why", path.display())
                }
                (None, None) => "a store, for there is none (EXTISM_CACHE_DIR)".to_owned(),
            },
            misfit: misfit.map_or_else(String::new, |name| format!(", which has {name} for it")),
            sha256: sha256.map_or_else(String::new, |sha256| sha256.to_string()),
            backends: asked.map_or("any compiler", Backend::name).to_owned(),
            options: format!("{compiler}{fuel}--target {} ", self.machine.triple()),
            machine: self.machine.name(),
            input: if self.linked { "MANIFEST" } else { "MODULE" },
        };
        Box::new(missing).into()
    }
}

/// The addresses of a module's functions.
fn functions(module: &Module) -> Vec<Range<usize>> {
    let extents = module.sys_artifact().and_then(|artifact| artifact.finished_function_extents()).unwrap_or_default();
    extents.iter().map(|(_, extent)| extent.ptr.0.addr()..extent.ptr.0.addr() + extent.length).collect()
}
