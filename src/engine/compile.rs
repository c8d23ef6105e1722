//! One module through one compiler.

use std::panic::{self, AssertUnwindSafe};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use wasmer::CompileError;
use wasmer_compiler::{ArtifactBuild, Engine, EngineBuilder, ModuleEnvironment};

use super::artifact::Artifact;
use super::at_work::AtWork;
use super::machine::Machine;
use super::{Backend, Error, Prepared, tunables};
use crate::fork;
use crate::sync::{AtomicU32, Ordering, PerProcess};

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
    let failed = |cause: String| Error::Compile { module: name.to_owned(), cause };
    if let Some(reason) = backend.refuses.and_then(|refuses| refuses(&prepared.wasm)) {
        return Err(failed(format!("{}: {reason}", backend.name())));
    }
    let engine = engine(how, prepared.moving, machine).ok_or(Error::NoCompiler)?;
    let lost = || {
        let name = backend.name();
        failed(format!(
            "{name}: this process was forked while another thread compiled, and what {name} had locked for that is lost; its \
             parent, and processes that are forked at another time, can compile"
        ))
    };
    let at_work = AtWork::begin(backend).ok_or_else(lost)?;
    // A compiler that panics is done with, so nothing can be seen of the state it leaves.
    let compiled = || panic::catch_unwind(AssertUnwindSafe(|| build(&engine, &prepared.wasm)));
    let code = match with_threads(compiled).map_err(|error| failed(format!("no threads to compile with: {error}")))? {
        Ok(compiled) => compiled.map_err(|error| failed(explain(backend, error)))?,
        Err(_) => return Err(failed(format!("{}: the compiler failed, which is an error in it", backend.name()))),
    };
    at_work.succeed();
    Artifact::of(&code).map_err(|error| failed(error.to_string()))
}

/// Makes the code, and does not load it, as `Module::new` would: that takes locks that all threads share, and a compiler is in no
/// gate.
fn build(engine: &Engine, wasm: &[u8]) -> Result<ArtifactBuild, CompileError> {
    engine.validate(wasm)?;
    let info = ModuleEnvironment::new().translate(wasm).map_err(CompileError::Wasm)?.module;
    let tunables = engine.tunables();
    let memories = info.memories.values().map(|memory| tunables.memory_style(memory)).collect();
    let tables = info.tables.values().map(|table| tunables.table_style(table)).collect();
    ArtifactBuild::new(&mut engine.inner_mut(), wasm, engine.target(), memories, tables, None)
}

/// Does `work`, which shares its parts between rayon's threads. They belong to the process that has compiled first: one that was
/// forked off after that would wait for them for ever, and has others.
fn with_threads<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, ThreadPoolBuildError> {
    /// The process that rayon's own threads are in, counted from 1; 0 is none yet.
    static OWNER: AtomicU32 = AtomicU32::new(0);
    static THREADS: PerProcess<ThreadPool> = PerProcess::new();
    let process = fork::generation() + 1;
    match OWNER.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed) {
        Err(owner) if owner != process => Ok(THREADS.get_or_make(|| ThreadPoolBuilder::new().build())?.install(work)),
        _ => Ok(work()),
    }
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
    let mut engine = builder.engine();
    engine.set_tunables(tunables::compile_time(linked && backend.linked_memories_move, moving));
    Some(engine)
}

fn explain(backend: &Backend, error: CompileError) -> String {
    match error {
        CompileError::Validate(reason) => format!("invalid WebAssembly: {reason}"),
        other => format!("{}: {other}", backend.name()),
    }
}
