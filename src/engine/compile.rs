//! Compiles one module with one compiler, which gets its own engine and a deadline.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};
use wasmer::CompileError;
use wasmer::sys::{CompilerConfig, Features};
use wasmer_compiler::{ArtifactBuild, Engine, EngineBuilder, ModuleEnvironment};
use wasmer_types::CompilationProgressCallback;

use super::address_space::{self, COMPILING_STACK, Memories};
use super::artifact::Artifact;
use super::at_work::AtWork;
use super::deadline::{self, Deadline};
use super::machine::Machine;
use super::need::{Needs, Step};
use super::{Backend, Error, Prepared, Traits, artifact, tunables};
use crate::environment;
use crate::error::{Excerpt, Message};
use crate::fork;
use crate::panics;
use crate::sync::{AtomicU32, Ordering, PerProcess};

/// The parameters of a compilation, besides module and machine.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) backend: &'static Backend,
    pub(super) memories: Memories,
    /// Compilation fails after this.
    pub(super) deadline: Option<Instant>,
}

/// In bytes. So many must be free at the beginning for a compiler that allocates in C++.
const OWN_MEMORY: usize = 256 << 20;

/// Compiles `prepared` with a temporary engine.
///
/// # Errors
/// The compiler is not built in, cannot compile the module, or does not finish by the deadline.
pub(super) fn compile(how: How, name: &str, prepared: &Prepared, machine: &Machine) -> Result<Artifact, Error> {
    artifact::refuse_at_exit(name)?;
    let backend = how.backend;
    let failed = |cause: String| Error::Compile { module: Excerpt::of(name), cause: Message::of(cause) };
    if let Some(reason) = backend.refuses.and_then(|refuses| refuses(&prepared.wasm)) {
        return Err(failed(format!("{}: {reason}", backend.name())));
    }
    artifact::check_executable(name)?;
    check_stacks(environment::text("RUST_MIN_STACK")).map_err(failed)?;
    let threads = address_space::compiling_threads();
    let needs = Needs::of(&prepared.wasm);
    let need = needs.to_compile(threads);
    if backend.has_own_memory {
        // Only a test: the compiler's own allocations cannot use a reserve.
        drop(Step::begin(name, "compile it", need.saturating_mul(2).saturating_add(OWN_MEMORY))?);
    }
    let step = Step::begin(name, "compile it", need)?;
    let progress = deadline::progress(how.deadline, step.reserve.watch());
    let engine = engine(how, prepared.moving, machine).ok_or(Error::NoCompiler)?;
    let lost = || {
        let name = backend.name();
        failed(format!(
            "{name}: this process was forked while another thread compiled, and what {name} had locked for that is lost; its \
             parent, and processes that are forked at another time, can compile"
        ))
    };
    let at_work = AtWork::begin(backend).ok_or_else(lost)?;
    // After a panic the compiler is dropped, and nothing reads the state that the panic left.
    let compiled = || panics::catch_compiler(|| build(&engine, &prepared.wasm, &progress));
    let no_threads = |error| failed(format!("no threads to compile with, as the system does not allow any: {error}"));
    let compiled = with_threads(compiled).map_err(no_threads)?;
    step.check()?;
    let code = match compiled {
        Ok(Err(_)) if how.deadline.map(Deadline).is_some_and(|deadline| deadline.has_passed()) => {
            return Err(Error::TooLate);
        }
        Ok(compiled) => compiled.map_err(|error| failed(explain(backend, error)))?,
        Err(panic) => {
            let (backend, message) = (backend.name(), panics::message(&*panic));
            return Err(failed(format!("{backend}: the compiler failed, which is an error in it: {message}")));
        }
    };
    at_work.succeed();
    drop(step);
    let step = Step::begin(name, "keep its code", needs.to_serialise(&code))?;
    let artifact = Artifact::of(&code, needs.to_load()).map_err(|error| failed(error.to_string()))?;
    step.check()?;
    Ok(artifact)
}

/// Compiles without loading the code. `Module::new` would also load it, which takes locks that all threads share; those
/// must be taken inside the fork gate, and compiling is outside.
fn build(engine: &Engine, wasm: &[u8], progress: &CompilationProgressCallback) -> Result<ArtifactBuild, CompileError> {
    engine.validate(wasm)?;
    let info = ModuleEnvironment::new().translate(wasm).map_err(CompileError::Wasm)?.module;
    let tunables = engine.tunables();
    let memories = info.memories.values().map(|memory| tunables.memory_style(memory)).collect();
    let tables = info.tables.values().map(|table| tunables.table_style(table)).collect();
    ArtifactBuild::new(&mut engine.inner_mut(), wasm, engine.target(), memories, tables, Some(progress))
}

/// Runs `work` on rayon's threads. Its global pool belongs to the process that compiled first: one forked later would
/// wait for it forever and gets its own pool. A process with little address space does as well, with few threads.
fn with_threads<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    /// The process that rayon's global pool is in, as `fork::generation() + 1`; 0 if there is none yet.
    static OWNER: AtomicU32 = AtomicU32::new(0);
    static THREADS: PerProcess<ThreadPool> = PerProcess::new();
    // Test whether threads can be made: rayon and the compilers panic otherwise, and the global pool stays unusable.
    let one = thread::Builder::new().spawn(|| ()).map_err(|error| error.to_string())?;
    let _ = one.join();
    // The number is always given, as rayon would otherwise read it from the environment.
    let count = address_space::compiling_threads().get();
    let threads = || ThreadPoolBuilder::new().num_threads(count).stack_size(COMPILING_STACK);
    let process = fork::generation() + 1;
    let is_owner = match OWNER.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {
            // Fails if a host in Rust has already made rayon's global pool; its threads are used then.
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

/// Refuses a value of `RUST_MIN_STACK` with which a compiler could run out of stack, which would end the process.
/// Larger values are fine. The standard library ignores those that are no numbers.
fn check_stacks(value: Option<&str>) -> Result<(), String> {
    match value.and_then(|value| value.parse::<usize>().ok()) {
        Some(bytes) if bytes < COMPILING_STACK => Err(format!(
            "RUST_MIN_STACK: `{bytes}` is less than {COMPILING_STACK} bytes, the stack that threads need to compile"
        )),
        _ => Ok(()),
    }
}

/// Makes the standard library read `RUST_MIN_STACK`, which it caches for all threads. It does so for the first thread
/// made without a stack size of its own, such as those that compile. The thread made for it here ends at once.
pub(crate) fn begin() {
    if let Ok(thread) = thread::Builder::new().name("extism-first".to_owned()).spawn(|| ()) {
        let _ = thread.join();
    }
}

/// The proposals that `backend` compiles for `machine`, and how its code calls libcalls; `None` if it is not built in.
pub(super) fn traits(backend: &Backend, machine: &Machine) -> Option<Traits> {
    let config = backend.config?(address_space::compiling_threads());
    let features = features(backend, &*config, machine);
    let (builtins_are_seen, optimises_at_length) = (backend.builtins_are_seen, backend.optimises_at_length);
    Some(Traits { features, builtins_are_seen, optimises_at_length, compiler: backend.name() })
}

/// The proposals that the compiler supports and that are safe to offer to plugins.
fn features(backend: &Backend, config: &dyn CompilerConfig, machine: &Machine) -> Features {
    let mut features = config.supported_features_for_target(&machine.target());
    features.simd(backend.simd && features.simd);
    features.relaxed_simd(backend.simd && features.relaxed_simd);
    // A plugin has no other threads, so a wait on shared memory would never be notified.
    features.threads(false);
    // Wasmer keeps every thrown exception until the store is dropped, so a plugin could use up all memory.
    features.exceptions(false);
    features
}

/// An engine that compiles with the backend; `None` if it is not built in.
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
