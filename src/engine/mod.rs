//! From the bytes of WebAssembly modules to machine code, and the limits that run with it.
//!
//! [`Backend`] is a compiler; each is one file that hands out one constant, behind a feature. This floor does not
//! know what modules import, where they came from, or what a plugin is.

mod artifact;
mod compile;
#[cfg(feature = "cranelift")]
mod cranelift;
mod limits;

use thiserror::Error;
use wasmer::sys::{EngineBuilder, Features};
use wasmer::{Engine, Module};

pub(crate) use limits::{MemoryLimit, clear, store};

/// A compiler that is built in.
#[derive(Debug)]
pub(crate) struct Backend {
    /// The name by which users choose it.
    pub(crate) name: &'static str,
    /// The proposals that it supports.
    features: fn() -> Features,
    /// Makes an engine that compiles with it.
    make: fn(Features) -> Engine,
}

impl Backend {
    /// An engine that compiles with it, for the proposals that are safe to offer.
    fn engine(&self) -> Engine {
        let mut features = (self.features)();
        // Nobody could ever notify a plugin that waits on a shared memory: it has no other threads.
        features.threads(false);
        // Wasmer keeps each exception that was thrown until the store goes: a way to take all memory.
        features.exceptions(false);
        (self.make)(features)
    }
}

/// The compilers that are built in, the preferred one first.
pub(crate) const BACKENDS: &[Backend] = &[
    #[cfg(feature = "cranelift")]
    cranelift::BACKEND,
];

/// The modules of one manifest as machine code. The code lives in the engine, so both stay together.
#[derive(Debug)]
pub(crate) struct CompiledPlugin {
    /// Has no compiler; owns the code.
    engine: Engine,
    /// In the order they were given.
    pub(crate) modules: Vec<Module>,
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
    #[error("no compiler is built in")]
    NoBackend,
    #[error("module `{module}`: {cause}")]
    Compile { module: String, cause: String },
    #[error("module `{module}`: its code could not be loaded: {cause}")]
    Load { module: String, cause: String },
}

/// Compiles the named modules, each on its own, and loads them into one engine.
///
/// # Errors
/// A module is not valid WebAssembly or uses a proposal that the compiler does not support.
pub(crate) fn compile<'a>(modules: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<CompiledPlugin, Error> {
    let backend = BACKENDS.first().ok_or(Error::NoBackend)?;
    // Functions that meet in one store must come from one engine, which checks their signatures' hashes for
    // collisions; and an engine that compiles keeps its lock, and its garbage, so each module gets one of its own.
    let engine: Engine = EngineBuilder::headless().engine().into();
    let modules = modules
        .into_iter()
        .map(|(name, wasm)| {
            let artifact = compile::compile(backend, name, wasm)?;
            artifact.load(name, &engine)
        })
        .collect::<Result<_, _>>()?;
    Ok(CompiledPlugin { engine, modules })
}
