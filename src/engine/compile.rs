//! One module through one compiler.

use std::panic::{self, AssertUnwindSafe};
use std::sync::OnceLock;

use wasmer::sys::{EngineBuilder, NativeEngineExt};
use wasmer::{CompileError, Engine, Module};

use super::artifact::Artifact;
use super::machine::Machine;
use super::{Backend, Error, Prepared, tunables};
use crate::error::{Excerpt, Message};

/// How a module is compiled.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) backend: &'static Backend,
    /// Other modules may call it.
    pub(super) linked: bool,
}

/// Compiles `prepared` with an engine that is thrown away afterwards.
pub(super) fn compile(how: How, name: &str, prepared: &Prepared, machine: &Machine) -> Result<Artifact, Error> {
    let backend = how.backend;
    let failed = |cause: String| Error::Compile { module: Excerpt::of(name), cause: Message::of(cause) };
    if let Some(reason) = backend.refuses.and_then(|refuses| refuses(&prepared.wasm)) {
        return Err(failed(format!("{}: {reason}", backend.name())));
    }
    let engine = engine(how, prepared.moving, machine).ok_or(Error::NoCompiler)?;
    // A compiler that panics is done with, so nothing can be seen of the state it leaves.
    let compiled = || panic::catch_unwind(AssertUnwindSafe(|| Module::from_binary(&engine, &prepared.wasm)));
    let module = match with_threads(compiled).map_err(|error| failed(format!("no threads to compile with: {error}")))? {
        Ok(compiled) => compiled.map_err(|error| failed(explain(backend, error)))?,
        Err(_) => return Err(failed(format!("{}: the compiler failed, which is an error in it", backend.name()))),
    };
    Artifact::of(&module).map_err(|error| failed(error.to_string()))
}

/// Does `work`, which shares its parts between rayon's threads. They belong to the process that has compiled first: one that was
/// forked off after that would wait for them for ever, and gets others.
fn with_threads<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, rayon::ThreadPoolBuildError> {
    static OWNER: OnceLock<u32> = OnceLock::new();
    let process = std::process::id();
    if *OWNER.get_or_init(|| process) == process {
        return Ok(work());
    }
    Ok(rayon::ThreadPoolBuilder::new().build()?.install(work))
}

/// An engine that compiles with the backend, for the proposals that are safe to offer.
fn engine(how: How, moving: Option<u32>, machine: &Machine) -> Option<Engine> {
    let How { backend, linked } = how;
    let config = backend.config?();
    let target = machine.target();
    let mut features = config.supported_features_for_target(&target);
    features.simd(backend.simd && features.simd);
    features.relaxed_simd(backend.simd && features.relaxed_simd);
    // Nobody could ever notify a plugin that waits on a shared memory: it has no other threads.
    features.threads(false);
    // Wasmer keeps each exception that was thrown until the store goes: a way to take all memory.
    features.exceptions(false);
    let builder = EngineBuilder::new(config).set_target(Some(target)).set_features(Some(features));
    let mut engine: Engine = builder.engine().into();
    engine.set_tunables(tunables::compile_time(linked && backend.linked_memories_move, moving));
    Some(engine)
}

fn explain(backend: &Backend, error: CompileError) -> String {
    match error {
        CompileError::Validate(reason) => format!("invalid WebAssembly: {reason}"),
        other => format!("{}: {other}", backend.name()),
    }
}
