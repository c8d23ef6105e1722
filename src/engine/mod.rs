//! Turns the bytes of WebAssembly modules into machine code, and limits the resources that it uses when it runs.
//!
//! Start with [`load`]. Each compiler is one file with one constant, a [`Backend`], built in by the feature of its
//! name. This layer does not know what modules import, where they came from, or what a plugin is.

mod address_space;
mod allowance;
mod artifact;
#[cfg(feature = "compiler")]
mod at_work;
mod backend;
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "builtins_absent.rs")]
mod builtins;
mod common;
#[cfg(feature = "compiler")]
mod compile;
mod cranelift;
#[cfg(feature = "compiler")]
mod deadline;
pub(crate) mod fork;
mod image;
mod limits;
mod llvm;
mod machine;
#[cfg_attr(not(feature = "compiler"), path = "make_absent.rs")]
mod make;
mod moving_memory;
mod need;
mod plugin_memory;
mod request;
#[cfg(any(all(target_os = "linux", target_arch = "x86_64"), feature = "llvm"))]
mod room;
mod shared;
mod singlepass;
mod stacks;
mod store;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod trace_lock;
mod tunables;

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use thiserror::Error;
use wasmer::sys::Features;
use wasmer::{AsStoreMut, AsStoreRef, Engine, Instance, Module};

use crate::contents::{self, Contents};
use crate::digest::Digest;
use crate::error::{Excerpt, Message};
use crate::fork::{EnterWhenDropped, LeaveWhenDropped};
use crate::interrupt::Code;
use crate::reserve::NoRoom;
pub(crate) use address_space::Memories;
pub(crate) use allowance::Allowance;
pub(crate) use backend::{Backend, choose, find, select};
#[cfg(feature = "compiler")]
pub(crate) use backend::{backends, named};
#[cfg(feature = "compiler")]
pub(crate) use compile::begin;
use image::Data;
pub(crate) use limits::{Limits, Tables, without_prefix};
pub(crate) use machine::Machine;
#[cfg(feature = "compiler")]
pub(crate) use make::{Made, compile_alone, precompile, traits_here};
use request::{Failure, Request};
pub(crate) use stacks::give_up_spare;
pub(crate) use store::Store;
#[cfg(feature = "compiler")]
pub(crate) use store::Stored;
pub(crate) use tunables::store;

/// The modules of one manifest as machine code, with the engine that owns it. Modules must be dropped before the
/// engine: Wasmer finds traps by code addresses, which the system may give to other code as soon as the engine is gone.
#[derive(Debug)]
pub(crate) struct CompiledPlugin {
    /// Enters the fork gate: code is unloaded inside it, as it was loaded.
    _going: EnterWhenDropped,
    /// In the order of the manifest.
    pub(crate) modules: Vec<Module>,
    /// Has no compiler; owns the code.
    engine: Engine,
    /// The kind of memories that the code was compiled for.
    pub(crate) memories: Memories,
    /// The initial data of each module's memory 0.
    data: Arc<[Data]>,
    /// The address ranges of the modules' own functions.
    pub(crate) code: Arc<Code>,
    /// The export name of the memory that linked modules share.
    common: &'static str,
    /// An estimate of the memory that the code takes, in bytes.
    size: usize,
    /// The name of the compiler that made the code.
    pub(crate) compiler: &'static str,
    origin: Origin,
    /// Set when [`origin`](Self::origin) is first called.
    is_known: AtomicBool,
    _gone: LeaveWhenDropped,
}

/// The source of a plugin's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Another plugin of this process uses or used it.
    Process,
    /// All of it was in the cache on disk.
    Store,
    /// At least one module was compiled.
    Compiled,
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "which this process had",
            Self::Store => "from the store",
            Self::Compiled => "compiled",
        })
    }
}

impl CompiledPlugin {
    /// The source of the code for a new plugin. Only the first plugin gets the true source, any later one `Process`.
    pub(crate) fn origin(&self) -> Origin {
        if self.is_known.swap(true, Ordering::Relaxed) { Origin::Process } else { self.origin }
    }

    /// Replaces the libcalls of `instance`, a new instance of `module`, so that it can be stopped while it is in them.
    pub(crate) fn make_stoppable(&self, store: &mut impl AsStoreMut, module: &Module, instance: &Instance) {
        builtins::replace(store, module, instance);
    }

    /// Makes an image of memory 0 of `instance`, if worthwhile, so that later instances need not copy the data. No code
    /// of `instance`, an instance of `module`, has run yet. `export` is the memory's name.
    pub(crate) fn note_data(&self, store: &impl AsStoreRef, module: &Module, instance: &Instance, export: &str) {
        if let Some(data) = self.data.iter().find(|data| data.is_of(module.info())) {
            data.keep(store, instance, export);
        }
    }
}

/// Why a module's code could not be made, kept or loaded.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{by}: `{name}` cannot be used; {choices}", choices = backend::choices())]
    UnknownBackend { by: &'static str, name: Excerpt },
    #[error("{}", backend::choices())]
    NoCompiler,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
    #[error("module `{module}`: {cause}")]
    Compile { module: Excerpt, cause: Message },
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is kept"))]
    #[error("module `{module}`: its code could not be kept in `{}`: {cause}", store.display())]
    NotKept { module: Excerpt, store: PathBuf, cause: io::Error },
    #[error(
        "module `{module}`: the system does not let memory become executable, as code must: {cause}\n\
         (systemd's MemoryDenyWriteExecute, prctl's PR_SET_MDWE, SELinux's execmem and filters of system calls do that)"
    )]
    NotExecutable { module: Excerpt, cause: io::Error },
    #[error(
        "module `{module}`: the process is ending, and takes no more code; plugins that are there can still be called"
    )]
    Ending { module: Excerpt },
    /// The plugin's deadline has passed.
    #[error("the code was not made in time")]
    TooLate,
    #[error("module `{module}`: no room to {what}: {cause}")]
    NoRoom { module: Excerpt, what: &'static str, cause: NoRoom },
    #[error("module `{module}`: its code could not be loaded: {cause}")]
    Load { module: Excerpt, cause: Message },
    #[error(transparent)]
    Contents(#[from] contents::Error),
    #[error(transparent)]
    NoCode(#[from] Box<NoCode>),
}

/// A module's code is not in the cache, and there is no compiler.
#[derive(Debug, Error)]
#[error(
    "module `{module}`: no compiler is built in, and its code is not in {store}{misfit}\n\
     wanted: code of {backends} for {machine}, of the module with SHA-256 {sha256}\n\
     made by: extism-wasmer compile {options}--store DIRECTORY {input}"
)]
pub(crate) struct NoCode {
    module: Excerpt,
    store: String,
    /// The cache's other code for the module, or the fault of the cache; may be empty.
    misfit: String,
    sha256: String,
    backends: String,
    options: String,
    machine: String,
    /// The placeholder for the command's input.
    input: &'static str,
}

/// A module to get code for.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// The module's name in the manifest.
    pub(crate) name: &'a str,
    /// Its SHA-256, if known.
    pub(crate) sha256: Option<Digest>,
    /// Its bytes. Not needed if the SHA-256 is known and there is no compiler.
    pub(crate) contents: Option<&'a Contents>,
}

impl Input<'_> {
    /// The module's SHA-256, calculated if it is not known.
    fn sha256(&self) -> Result<Option<Digest>, Error> {
        match (self.sha256, self.contents) {
            (None, Some(contents)) => Ok(Some(contents.sha256()?)),
            (known, _) => Ok(known),
        }
    }
}

/// The preparation of modules for compilers, as the caller of [`load`] defines it.
pub(crate) struct Preparation<'a, E> {
    /// Must change whenever `prepare` makes something else of the same bytes.
    pub(crate) version: u32,
    /// Whether the code counts its instructions.
    pub(crate) fuel: bool,
    /// The export name of the memory that linked modules and the host share.
    pub(crate) common: &'static str,
    /// The custom section in which `prepare` puts two 64-bit numbers: how many bytes of data memory 0 begins with, and
    /// in how many segments.
    pub(crate) data: &'static str,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(crate) prepare: &'a Prepare<'a, E>,
    /// After this nothing is compiled, and code that another thread makes is not waited for.
    pub(crate) deadline: Option<Instant>,
}

/// Called with the module's index among the inputs, its name in the code, and the compiler's traits.
type Prepare<'a, E> = dyn Fn(usize, &str, &Traits) -> Result<Prepared, E> + 'a;

/// The properties of a compiler that decide how modules are prepared for it.
#[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
pub(crate) struct Traits {
    /// The proposals that it supports and that are safe to offer.
    pub(crate) features: Features,
    /// Whether its code calls libcalls through a table in the instance, where `builtins.rs` replaces them.
    pub(crate) builtins_are_seen: bool,
    /// Whether it takes as long as LLVM, so that the rewrite has to estimate that compiler's time.
    pub(crate) optimises_at_length: bool,
    /// The compiler's name.
    pub(crate) compiler: &'static str,
}

/// A module that is ready to be compiled.
#[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
pub(crate) struct Prepared {
    pub(crate) wasm: Vec<u8>,
    /// The maximum, in pages, of the I/O memory, if the module has one. It always moves, and the tunables recognise it
    /// by this maximum and its minimum of one page, which no other memory of the module has.
    pub(crate) moving: Option<u32>,
}

/// Gets the code of all modules of a manifest: from another plugin of this process, else from the cache on disk, else
/// from the compiler `backend`. The kind of memories is the first of `memories` that there is code or a compiler for.
///
/// In the code, modules are named by their hashes and not as in the manifest, as other manifests may use them under
/// other names.
///
/// # Errors
/// A module cannot be prepared, is not valid WebAssembly, or uses a proposal that the compiler does not support; or
/// there is no compiler, and the cache has no code.
pub(crate) fn load<E: From<Error>>(
    backend: Option<&'static Backend>,
    memories: &'static [Memories],
    inputs: &[Input<'_>],
    preparation: &Preparation<'_, E>,
) -> Result<Arc<CompiledPlugin>, E> {
    let modules = inputs.iter().map(shared::Identity::of).collect::<Result<_, _>>()?;
    let key = shared::Key { backend: backend.map(Backend::name), memories, fuel: preparation.fuel, modules };
    let make = || load_unshared(backend, memories, inputs, preparation);
    shared::get_or_make(&key, inputs, preparation.deadline, make)
}

/// Gets the code from the cache or a compiler, and loads it into a new engine.
fn load_unshared<E: From<Error>>(
    backend: Option<&'static Backend>,
    memories: &[Memories],
    inputs: &[Input<'_>],
    preparation: &Preparation<'_, E>,
) -> Result<CompiledPlugin, E> {
    let store = Store::of_environment(cfg!(feature = "compiler"));
    let usable = store.as_ref().ok();
    let identities: Vec<_> = inputs.iter().map(|input| request::identify(input, usable)).collect::<Result<_, _>>()?;
    let mut missing = None;
    // Without a compiler, the first compiler is used that all modules have code of. A built-in one always makes it.
    let backends = backend.map_or_else(backend::by_speed, |backend| vec![backend]);
    for (memories, backend) in
        memories.iter().flat_map(|memories| backends.iter().map(move |backend| (*memories, *backend)))
    {
        let request = Request::new(backend, memories, inputs, preparation, usable, Machine::host());
        match request.plugin(inputs, &identities, preparation) {
            Ok(plugin) => return Ok(plugin),
            Err(Failure::Missing(index)) => missing = missing.or(Some((index, request))),
            Err(Failure::Other(error)) => return Err(error),
        }
    }
    let Some((index, request)) = missing else { return Err(Error::NoCompiler.into()) };
    Err(request.no_code(backend, &inputs[index], &identities[index], store.as_ref()).into())
}
