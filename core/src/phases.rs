//! The steps in a plugin's making one by one, for the benchmarks and for the test of the rewrite's cost.

use crate::abi::Abi;
use crate::code::{self, precompile};
use crate::compiler::{self, CompileOptions, Machine, Prepared};
use crate::error::Described;
use crate::manifest::{self, MAIN};
use crate::rewrite::Inlining;
use crate::sandbox::Memories;

/// A module as the compiler gets it, after the rewrite.
pub struct Rewritten(Prepared);

/// Parses a module or a manifest; returns its number of modules.
///
/// # Errors
/// The input is neither.
pub fn parse(input: &[u8]) -> Result<usize, Described> {
    manifest::parse(input, Abi::V0).map(|manifest| manifest.modules.len()).map_err(Described::of)
}

/// Validates and rewrites a module that is alone in its manifest, for the current compiler.
///
/// # Errors
/// The bytes are not a module, or there is no compiler.
pub fn rewrite(wasm: &[u8]) -> Result<Rewritten, Described> {
    let backend = precompile::in_use(None).map_err(Described::of)?;
    let features = compiler::features(backend, &Machine::host());
    let features = features.ok_or_else(|| Described::of(compiler::Error::NoCompiler))?;
    code::rewrite(MAIN, wasm, Inlining::Alone, backend, &features, false).map(Rewritten).map_err(Described::of)
}

/// Compiles a module for this machine; returns the size of the code.
///
/// # Errors
/// The compiler is not built in, or cannot compile the module.
pub fn compile(compiler: &str, Rewritten(prepared): &Rewritten) -> Result<usize, Described> {
    let backend = compiler::named("the caller", compiler).map_err(Described::of)?;
    let how = CompileOptions { backend, memories: Memories::Reserved, deadline: None };
    let artifact = compiler::compile(how, MAIN, prepared, &Machine::host()).map_err(Described::of)?;
    Ok(artifact.size())
}
