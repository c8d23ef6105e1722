//! One module through one compiler.

use std::sync::OnceLock;
use std::thread;

use wasmer::sys::{EngineBuilder, NativeEngineExt};
use wasmer::{CompileError, Engine, Module};

use super::address_space::{self, Memories};
use super::artifact::Artifact;
use super::machine::Machine;
use super::{Backend, Error, Prepared, artifact, tunables};
use crate::panics;

/// How a module is compiled.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) backend: &'static Backend,
    pub(super) memories: Memories,
}

/// Compiles `prepared` with an engine that is thrown away afterwards.
pub(super) fn compile(how: How, name: &str, prepared: &Prepared, machine: &Machine) -> Result<Artifact, Error> {
    artifact::refuse_at_exit(name)?;
    let backend = how.backend;
    let failed = |cause: String| Error::Compile { module: name.to_owned(), cause };
    if let Some(reason) = backend.refuses.and_then(|refuses| refuses(&prepared.wasm)) {
        return Err(failed(format!("{}: {reason}", backend.name())));
    }
    artifact::check_executable(name)?;
    let engine = engine(how, prepared.moving, machine).ok_or(Error::NoCompiler)?;
    // A compiler that panics is done with, so nothing can be seen of the state it leaves.
    let compiled = || panics::catch_compiler(|| Module::from_binary(&engine, &prepared.wasm));
    let no_threads = |error| failed(format!("no threads to compile with, as the system does not allow any: {error}"));
    let module = match with_threads(compiled).map_err(no_threads)? {
        Ok(compiled) => compiled.map_err(|error| failed(explain(backend, error)))?,
        Err(panic) => {
            let (backend, message) = (backend.name(), panics::message(&*panic));
            return Err(failed(format!("{backend}: the compiler failed, which is an error in it: {message}")));
        }
    };
    Artifact::of(&module).map_err(|error| failed(error.to_string()))
}

/// Does `work`, which shares its parts between rayon's threads. They belong to the process that has compiled first: one that was
/// forked off after that would wait for them for ever, and gets others. So does one with little address space, which gets few.
fn with_threads<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    static OWNER: OnceLock<u32> = OnceLock::new();
    // Rayon and the compilers panic where there are none, and rayon's own threads are gone for good then.
    let one = thread::Builder::new().spawn(|| ()).map_err(|error| error.to_string())?;
    let _ = one.join();
    let process = std::process::id();
    // Their number is given, as rayon would look for it in the environment.
    let threads = || rayon::ThreadPoolBuilder::new().num_threads(address_space::compiling_threads().get());
    let owner = OWNER.get_or_init(|| {
        // Fails where a host in Rust has threads of rayon's already: then those are used.
        let _ = threads().build_global();
        process
    });
    if *owner == process && !address_space::is_small() {
        return Ok(work());
    }
    Ok(threads().build().map_err(|error| error.to_string())?.install(work))
}

/// Has the standard library read what it keeps of the environment for all threads, `RUST_MIN_STACK`. It does so when it makes the
/// first thread without a size of its own for the stack, such as those that compile. No thread is left of it.
pub(crate) fn begin() {
    if let Ok(thread) = thread::Builder::new().name("extism-first".to_owned()).spawn(|| ()) {
        let _ = thread.join();
    }
}

/// An engine that compiles with the backend, for the proposals that are safe to offer.
fn engine(how: How, moving: Option<u32>, machine: &Machine) -> Option<Engine> {
    let How { backend, memories } = how;
    let config = backend.config?(address_space::compiling_threads());
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
    engine.set_tunables(tunables::compile_time(memories, moving));
    Some(engine)
}

fn explain(backend: &Backend, error: CompileError) -> String {
    match error {
        CompileError::Validate(reason) => format!("invalid WebAssembly: {reason}"),
        other => format!("{}: {other}", backend.name()),
    }
}
