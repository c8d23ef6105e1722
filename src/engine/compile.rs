//! One module through one compiler.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};
use wasmer::CompileError;
use wasmer::sys::{CompilerConfig, Features};
use wasmer_compiler::{ArtifactBuild, Engine, EngineBuilder, ModuleEnvironment};
use wasmer_types::CompilationProgressCallback;

use super::address_space::{self, Memories};
use super::artifact::Artifact;
use super::at_work::AtWork;
use super::deadline::Deadline;
use super::machine::Machine;
use super::{Backend, Error, Prepared, Traits, artifact, tunables};
use crate::error::{Excerpt, Message};
use crate::fork;
use crate::panics;
use crate::sync::{AtomicU32, Ordering, PerProcess};

/// How a module is compiled.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) backend: &'static Backend,
    pub(super) memories: Memories,
    /// When it has to be done.
    pub(super) deadline: Option<Instant>,
}

/// Compiles `prepared` with an engine that is thrown away afterwards.
///
/// # Errors
/// The compiler is not built in, cannot compile it, or is not done by the deadline.
pub(super) fn compile(how: How, name: &str, prepared: &Prepared, machine: &Machine) -> Result<Artifact, Error> {
    artifact::refuse_at_exit(name)?;
    let backend = how.backend;
    let failed = |cause: String| Error::Compile { module: Excerpt::of(name), cause: Message::of(cause) };
    if let Some(reason) = backend.refuses.and_then(|refuses| refuses(&prepared.wasm)) {
        return Err(failed(format!("{}: {reason}", backend.name())));
    }
    artifact::check_executable(name)?;
    let deadline = how.deadline.map(Deadline);
    let progress = deadline.as_ref().map(Deadline::progress);
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
    let compiled = || panics::catch_compiler(|| build(&engine, &prepared.wasm, progress.as_ref()));
    let no_threads = |error| failed(format!("no threads to compile with, as the system does not allow any: {error}"));
    let code = match with_threads(compiled).map_err(no_threads)? {
        Ok(Err(_)) if deadline.is_some_and(|deadline| deadline.has_passed()) => return Err(Error::TooLate),
        Ok(compiled) => compiled.map_err(|error| failed(explain(backend, error)))?,
        Err(panic) => {
            let (backend, message) = (backend.name(), panics::message(&*panic));
            return Err(failed(format!("{backend}: the compiler failed, which is an error in it: {message}")));
        }
    };
    at_work.succeed();
    Artifact::of(&code).map_err(|error| failed(error.to_string()))
}

/// Makes the code, and does not load it, as `Module::new` would: that takes locks that all threads share, and a compiler is in no
/// gate.
fn build(
    engine: &Engine,
    wasm: &[u8],
    progress: Option<&CompilationProgressCallback>,
) -> Result<ArtifactBuild, CompileError> {
    engine.validate(wasm)?;
    let info = ModuleEnvironment::new().translate(wasm).map_err(CompileError::Wasm)?.module;
    let tunables = engine.tunables();
    let memories = info.memories.values().map(|memory| tunables.memory_style(memory)).collect();
    let tables = info.tables.values().map(|table| tunables.table_style(table)).collect();
    ArtifactBuild::new(&mut engine.inner_mut(), wasm, engine.target(), memories, tables, progress)
}

/// Does `work`, which shares its parts between rayon's threads. They belong to the process that has compiled first: one that was
/// forked off after that would wait for them for ever, and has others. So does one with little address space, which gets few.
fn with_threads<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    /// The process that rayon's own threads are in, counted from 1; 0 is none yet.
    static OWNER: AtomicU32 = AtomicU32::new(0);
    static THREADS: PerProcess<ThreadPool> = PerProcess::new();
    // Rayon and the compilers panic where there are none, and rayon's own threads are gone for good then.
    let one = thread::Builder::new().spawn(|| ()).map_err(|error| error.to_string())?;
    let _ = one.join();
    // Their number is given, as rayon would look for it in the environment.
    let threads = || ThreadPoolBuilder::new().num_threads(address_space::compiling_threads().get());
    let process = fork::generation() + 1;
    let is_owner = match OWNER.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {
            // Fails where a host in Rust has threads of rayon's already: then those are used.
            let _ = threads().build_global();
            true
        }
        Err(owner) => owner == process,
    };
    if is_owner && !address_space::is_small() {
        return Ok(work());
    }
    let pool = THREADS.get_or_make(|| threads().build()).map_err(|error| error.to_string())?;
    Ok(pool.install(work))
}

/// Has the standard library read what it keeps of the environment for all threads, `RUST_MIN_STACK`. It does so when it makes the
/// first thread without a size of its own for the stack, such as those that compile. No thread is left of it.
pub(crate) fn begin() {
    if let Ok(thread) = thread::Builder::new().name("extism-first".to_owned()).spawn(|| ()) {
        let _ = thread.join();
    }
}

/// What `backend` compiles for this machine, if it is built in.
pub(super) fn traits(backend: &Backend, machine: &Machine) -> Option<Traits> {
    let config = backend.config?(address_space::compiling_threads());
    let features = features(backend, &*config, machine);
    Some(Traits { features, builtins_are_seen: backend.builtins_are_seen, compiler: backend.name() })
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
    let How { backend, memories, deadline } = how;
    let mut config = backend.config?(address_space::compiling_threads());
    let features = features(backend, &*config, machine);
    if let Some(deadline) = deadline {
        config.push_middleware(Arc::new(Deadline(deadline)));
    }
    let builder = EngineBuilder::new(config).set_target(Some(machine.target())).set_features(Some(features));
    let mut engine = builder.engine();
    engine.set_tunables(tunables::compile_time(memories, moving));
    Some(engine)
}

fn explain(backend: &Backend, error: CompileError) -> String {
    match error {
        CompileError::Validate(reason) => format!("invalid WebAssembly: {reason}"),
        other => format!("{}: {other}", backend.name()),
    }
}
