//! One module through one compiler.

use wasmer::{CompileError, Module};

use super::artifact::Artifact;
use super::{Backend, Error};

/// Compiles `wasm` with an engine that is thrown away afterwards.
pub(super) fn compile(backend: &Backend, name: &str, wasm: &[u8]) -> Result<Artifact, Error> {
    let failed = |cause: String| Error::Compile { module: name.to_owned(), cause };
    let engine = backend.engine();
    let module = Module::from_binary(&engine, wasm).map_err(|error| failed(explain(backend, error)))?;
    Artifact::of(&module).map_err(|error| failed(error.to_string()))
}

fn explain(backend: &Backend, error: CompileError) -> String {
    match error {
        CompileError::Validate(reason) => format!("invalid WebAssembly: {reason}"),
        other => format!("{}: {other}", backend.name),
    }
}
