//! Compiles one module with one compiler, which gets its own engine and a deadline.

use std::sync::Arc;
use std::time::Instant;

use wasmer::CompileError;
use wasmer::sys::{CompilerConfig, Features};
use wasmer_compiler::{ArtifactBuild, Engine, EngineBuilder, ModuleEnvironment};
use wasmer_types::CompilationProgressCallback;

use super::artifact::{self, Artifact};
use super::at_work::AtWork;
use super::backend::Backend;
use super::deadline::{self, Deadline};
use super::error::Error;
use super::machine::Machine;
use super::need::{Needs, Step};
use super::threads::{check_stacks, with_threads};
use crate::environment;
use crate::error::{Excerpt, Message};
use crate::panics;
use crate::sandbox::{self, Memories};

/// The parameters of a compilation, besides module and machine.
#[derive(Clone, Copy)]
pub(crate) struct CompileOptions {
    pub(crate) backend: &'static Backend,
    pub(crate) memories: Memories,
    /// Compilation fails after this.
    pub(crate) deadline: Option<Instant>,
}

/// A module that is ready to be compiled.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) wasm: Vec<u8>,
    /// The maximum, in pages, of the I/O memory, if the module has one. It always moves, and the tunables recognise it
    /// by this maximum and its minimum of one page, which no other memory of the module has.
    pub(crate) moving: Option<u32>,
}

/// In bytes. So many must be free at the beginning for a compiler that allocates in C++.
const OWN_MEMORY: usize = 256 << 20;

/// Compiles `prepared` with a temporary engine.
///
/// # Errors
/// The compiler is not built in, cannot compile the module, or does not finish by the deadline.
pub(crate) fn compile(
    options: CompileOptions,
    name: &str,
    prepared: &Prepared,
    machine: &Machine,
) -> Result<Artifact, Error> {
    artifact::refuse_at_exit(name)?;
    let backend = options.backend;
    let failed = |cause: String| Error::Compile { module: Excerpt::of(name), cause: Message::of(cause) };
    if let Some(reason) = backend.refuses.and_then(|refuses| refuses(&prepared.wasm)) {
        return Err(failed(format!("{}: {reason}", backend.name())));
    }
    artifact::check_executable(name)?;
    check_stacks(environment::text("RUST_MIN_STACK")).map_err(failed)?;
    let threads = sandbox::compiling_threads();
    let needs = Needs::of(&prepared.wasm);
    let need = needs.to_compile(threads);
    if backend.has_own_memory {
        // Only a test: the compiler's own allocations cannot use a reserve.
        drop(Step::begin(name, "compile it", need.saturating_mul(2).saturating_add(OWN_MEMORY))?);
    }
    let step = Step::begin(name, "compile it", need)?;
    let progress = deadline::progress(options.deadline, step.reserve.watch());
    let engine = engine(options, prepared.moving, machine).ok_or(Error::NoCompiler)?;
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
        Ok(Err(_)) if options.deadline.map(Deadline).is_some_and(|deadline| deadline.has_passed()) => {
            return Err(Error::TooLate);
        }
        Ok(compiled) => compiled.map_err(|error| failed(explain(backend, error)))?,
        Err(panic) => {
            let (backend, message) = (backend.name(), panics::message(&*panic));
            // Compilers make threads of their own, and panic if the system refuses one.
            if message.contains("ThreadPoolBuildError") {
                return Err(no_threads(message.to_owned()));
            }
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

/// The proposals that plugins may use with `backend` on `machine`; `None` if it is not built in.
pub(crate) fn features(backend: &Backend, machine: &Machine) -> Option<Features> {
    let config = backend.config?(sandbox::compiling_threads());
    Some(offered(backend, &*config, machine))
}

/// The proposals that the compiler supports and that are safe to offer to plugins.
fn offered(backend: &Backend, config: &dyn CompilerConfig, machine: &Machine) -> Features {
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
fn engine(options: CompileOptions, moving: Option<u32>, machine: &Machine) -> Option<Engine> {
    let CompileOptions { backend, memories, deadline } = options;
    let mut config = backend.config?(sandbox::compiling_threads());
    let features = offered(backend, &*config, machine);
    if let Some(deadline) = deadline {
        config.push_middleware(Arc::new(Deadline(deadline)));
    }
    let builder = EngineBuilder::new(config).set_target(Some(machine.target())).set_features(Some(features));
    let mut engine = builder.engine();
    engine.set_tunables(sandbox::compile_time(memories, moving));
    Some(engine)
}

fn explain(backend: &Backend, error: CompileError) -> String {
    match error {
        CompileError::Validate(reason) => format!("invalid WebAssembly: {reason}"),
        other => format!("{}: {other}", backend.name()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Backend, CompileOptions, Error, Machine, Memories, Prepared, compile};
    use crate::compiler::backends;

    /// Two megabytes of functions, none of which takes long to compile.
    fn large() -> Prepared {
        let body = "(call 0(i32.load(local.get 0)))".repeat(150);
        let functions = format!("(func (param i32) {body})").repeat(1_500);
        let wasm = wat::parse_str(format!("(module (memory 1) {functions})")).expect("WAT");
        Prepared { wasm, moving: None }
    }

    #[test]
    fn compiling_ends_at_the_deadline() {
        let prepared = large();
        for backend in backends().filter(|backend| backend.is_built_in()) {
            let start = Instant::now();
            let deadline = Some(start + Duration::from_millis(10));
            let options = CompileOptions { backend, memories: Memories::Reserved, deadline };
            let made = compile(options, "large", &prepared, &Machine::host());
            let taken = start.elapsed();
            assert!(matches!(made, Err(Error::TooLate)), "{}: {made:?}", backend.name());
            // Without a deadline: some 100 ms with Singlepass, seconds with Cranelift, and half a minute with LLVM.
            assert!(taken < Duration::from_secs(2), "{}: {taken:?}", backend.name());
        }
    }

    #[test]
    fn a_deadline_changes_nothing_else() {
        let wasm = wat::parse_str("(module (memory 1) (func (param i32) (i32.store (local.get 0) (i32.const 1))))");
        let prepared = Prepared { wasm: wasm.expect("WAT"), moving: None };
        for backend in backends().filter(|backend| backend.is_built_in()) {
            let [with, without] = [Some(Instant::now() + Duration::from_secs(60)), None].map(|deadline| {
                let options = CompileOptions { backend, memories: Memories::Reserved, deadline };
                compile(options, "small", &prepared, &Machine::host()).expect("it is compiled").size()
            });
            assert_eq!(with, without, "{}", backend.name());
        }
    }

    #[test]
    fn larger_modules_may_take_longer() {
        let time = |backend: &Backend, bytes| backend.time_for(bytes).as_secs();
        for backend in backends() {
            let megabyte = time(backend, 1_000_000) - time(backend, 0);
            assert!((5..=80).contains(&megabyte), "{}", backend.name());
            assert_eq!(time(backend, 26_000_000), time(backend, 0) + 26 * megabyte, "{}", backend.name());
            assert!(time(backend, u64::MAX) > 1 << 32, "{}", backend.name());
        }
    }
}
