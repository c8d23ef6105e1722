//! One module through one compiler.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use wasmer::sys::{CompilerConfig, EngineBuilder, Features, NativeEngineExt};
use wasmer::{CompileError, Engine, Module};

use super::artifact::Artifact;
use super::deadline::Deadline;
use super::machine::Machine;
use super::{Backend, Error, Prepared, Traits, tunables};

/// How a module is compiled.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) backend: &'static Backend,
    /// Other modules may call it.
    pub(super) linked: bool,
    /// When it has to be done.
    pub(super) deadline: Option<Instant>,
}

/// Compiles `prepared` with an engine that is thrown away afterwards.
///
/// # Errors
/// The compiler is not built in, cannot compile it, or is not done by the deadline.
pub(super) fn compile(how: How, name: &str, prepared: &Prepared, machine: &Machine) -> Result<Artifact, Error> {
    let backend = how.backend;
    let failed = |cause: String| Error::Compile { module: name.to_owned(), cause };
    if let Some(reason) = backend.refuses.and_then(|refuses| refuses(&prepared.wasm)) {
        return Err(failed(format!("{}: {reason}", backend.name())));
    }
    let deadline = how.deadline.map(Deadline);
    let engine = engine(how, prepared.moving, machine).ok_or(Error::NoCompiler)?;
    let compile = || match &deadline {
        Some(deadline) => engine.new_module_with_progress(&prepared.wasm, deadline.progress()),
        None => Module::from_binary(&engine, &prepared.wasm),
    };
    // A compiler that panics is done with, so nothing can be seen of the state it leaves.
    let compiled = || panic::catch_unwind(AssertUnwindSafe(compile));
    let module = match with_threads(compiled).map_err(|error| failed(format!("no threads to compile with: {error}")))? {
        Ok(Err(_)) if deadline.is_some_and(|deadline| deadline.has_passed()) => return Err(Error::TooLate),
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

/// What `backend` compiles for this machine, if it is built in.
pub(super) fn traits(backend: &Backend, machine: &Machine) -> Option<Traits> {
    let config = backend.config?();
    Some(Traits { features: features(backend, &*config, machine), builtins_are_seen: backend.builtins_are_seen })
}

/// The proposals that are safe to offer.
fn features(backend: &Backend, config: &dyn CompilerConfig, machine: &Machine) -> Features {
    let mut features = config.supported_features_for_target(&machine.target());
    features.simd(backend.simd && features.simd);
    features.relaxed_simd(backend.simd && features.relaxed_simd);
    // Nobody could ever notify a plugin that waits on a shared memory: it has no other threads.
    features.threads(false);
    // Wasmer keeps each exception that was thrown until the store goes: a way to take all memory.
    features.exceptions(false);
    features
}

/// An engine that compiles with the backend.
fn engine(how: How, moving: Option<u32>, machine: &Machine) -> Option<Engine> {
    let How { backend, linked, deadline } = how;
    let mut config = backend.config?();
    let features = features(backend, &*config, machine);
    if let Some(deadline) = deadline {
        config.push_middleware(Arc::new(Deadline(deadline)));
    }
    let builder = EngineBuilder::new(config).set_target(Some(machine.target())).set_features(Some(features));
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
