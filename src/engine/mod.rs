//! From the bytes of WebAssembly modules to machine code, and the limits that run with it.
//!
//! [`Backend`] is a compiler; each is one file that hands out one constant, and is built in by a feature of its name.
//! This floor does not know what modules import, where they came from, or what a plugin is.

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

/// The modules of one manifest as machine code. The code lives in the engine, so both stay together; and whoever has a module
/// gives it up before the engine, as traps are looked up by addresses, which may be another's as soon as the code is gone.
#[derive(Debug)]
pub(crate) struct CompiledPlugin {
    /// Its code goes inside the gate, as it has come.
    _going: EnterWhenDropped,
    /// In the order they were given.
    pub(crate) modules: Vec<Module>,
    /// Has no compiler; owns the code.
    engine: Engine,
    /// The memories that the code expects.
    pub(crate) memories: Memories,
    /// What each module's memory begins with.
    data: Arc<[Data]>,
    /// Where the machine code of the modules' own functions is.
    pub(crate) code: Arc<Code>,
    /// What modules export the memory as that they have in common.
    common: &'static str,
    /// How much memory the code takes up, in bytes, about.
    size: usize,
    /// The name of the compiler that has made the code.
    pub(crate) compiler: &'static str,
    origin: Origin,
    /// Somebody has asked for the origin.
    is_known: AtomicBool,
    _gone: LeaveWhenDropped,
}

/// Where code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Another plugin has used it already.
    Process,
    /// All of it was on disk.
    Store,
    /// Some of it at least was not.
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
    /// Where a plugin has this code from. Whoever asks first is the one that it was found or made for.
    pub(crate) fn origin(&self) -> Origin {
        if self.is_known.swap(true, Ordering::Relaxed) { Origin::Process } else { self.origin }
    }

    /// Sees to it that `instance`, a new instance of `module`, can be stopped.
    pub(crate) fn make_stoppable(&self, store: &mut impl AsStoreMut, module: &Module, instance: &Instance) {
        builtins::replace(store, module, instance);
    }

    /// Takes note of what memory 0 of `instance`, an instance of `module` in which nothing has run yet, has in it: instances to
    /// come need not copy it. Its name there is `export`.
    pub(crate) fn note_data(&self, store: &impl AsStoreRef, module: &Module, instance: &Instance, export: &str) {
        if let Some(data) = self.data.iter().find(|data| data.is_of(module.info())) {
            data.keep(store, instance, export);
        }
    }
}

/// Why a module could not be compiled.
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
    /// The plugin has a deadline, and it has passed.
    #[error("the code was not made in time")]
    TooLate,
    #[error("module `{module}`: its code could not be loaded: {cause}")]
    Load { module: Excerpt, cause: Message },
    #[error(transparent)]
    Contents(#[from] contents::Error),
    #[error(transparent)]
    NoCode(#[from] Box<NoCode>),
}

/// A module's code is missing where nobody can make it.
#[derive(Debug, Error)]
#[error(
    "module `{module}`: no compiler is built in, and its code is not in {store}{misfit}\n\
     wanted: code of {backends} for {machine}, of the module with SHA-256 {sha256}\n\
     made by: extism-wasmer compile {options}--store DIRECTORY {input}"
)]
pub(crate) struct NoCode {
    module: Excerpt,
    store: String,
    /// What there is instead, or what is wrong with that, if there is something.
    misfit: String,
    sha256: String,
    backends: String,
    options: String,
    machine: String,
    /// What the command has to be given.
    input: &'static str,
}

/// A module whose code is wanted.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// What the manifest calls it.
    pub(crate) name: &'a str,
    /// Its SHA-256, if that is known.
    pub(crate) sha256: Option<Digest>,
    /// Its bytes: not needed where the SHA-256 is known and there is no compiler.
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

/// How to come from a module's bytes to WebAssembly that can be compiled.
pub(crate) struct Preparation<'a, E> {
    /// Changes whenever `prepare` makes something else of the same bytes.
    pub(crate) version: u32,
    /// Whether the code is to count its instructions.
    pub(crate) fuel: bool,
    /// What modules export a memory as that all of them, and the host, are to have in common.
    pub(crate) common: &'static str,
    /// The custom section in which `prepare` says how much data memory 0 begins with, and in how many segments it is, in two
    /// numbers of 64 bits.
    pub(crate) data: &'static str,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(crate) prepare: &'a Prepare<'a, E>,
    /// Nothing is compiled, and nobody is waited for, after this.
    pub(crate) deadline: Option<Instant>,
}

/// Gets the place of a module among the inputs, the name that it shall have, and what is to compile it.
type Prepare<'a, E> = dyn Fn(usize, &str, &Traits) -> Result<Prepared, E> + 'a;

/// What decides how a module has to be prepared for a compiler.
#[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
pub(crate) struct Traits {
    /// The proposals that it understands, as far as they are safe to offer.
    pub(crate) features: Features,
    /// Its code finds Wasmer's functions in the instance, where they can be replaced (`builtins.rs`).
    pub(crate) builtins_are_seen: bool,
    /// The compiler's name.
    pub(crate) compiler: &'static str,
}

/// WebAssembly that can be compiled.
#[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
pub(crate) struct Prepared {
    pub(crate) wasm: Vec<u8>,
    /// The maximum, in pages, of the memory that begins with one page and is not a reservation of 8 GiB but a block that moves
    /// when it grows; no other memory of the module is like that.
    pub(crate) moving: Option<u32>,
}

/// Gets the code of all modules of a manifest: that which another plugin uses or has used, else from the store, else from
/// the compiler `backend`; for the first of these `memories`, if there is code or a compiler for them.
///
/// The modules' names in the code are not those of the manifest, under which they may be used elsewhere too, but
/// hashes.
///
/// # Errors
/// A module cannot be prepared, is not valid WebAssembly, or uses a proposal that the compiler does not support; or
/// there is no compiler, and nothing in the store.
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

/// Gets the code and loads it into one engine.
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
    // Without a compiler, the first is taken that all modules have code of; one that is built in always has it.
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
