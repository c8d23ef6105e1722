//! The steps in a plugin's making one by one, for the benchmarks and for the test of the rewrite's cost.

use super::{Error, failed};
use crate::code;
use crate::compiler::{self, CompileOptions, Machine, Prepared};
use crate::manifest::{self, MAIN};
use crate::rewrite::Inlining;
use crate::sandbox::Memories;

/// A module as the compiler gets it.
pub struct Rewritten(Prepared);

/// Parses a module or a manifest; returns its number of modules.
///
/// # Errors
/// It is neither.
pub fn parse(input: &[u8]) -> Result<usize, Error> {
    manifest::parse(input).map(|manifest| manifest.modules.len()).map_err(failed)
}

/// Validates and rewrites a module that is alone in its manifest, for the current compiler.
///
/// # Errors
/// It is not a module, or there is no compiler.
pub fn rewrite(wasm: &[u8]) -> Result<Rewritten, Error> {
    let traits = super::in_use(None).map(|backend| compiler::traits(backend, &Machine::host()))?;
    let traits = traits.ok_or_else(|| failed(compiler::Error::NoCompiler))?;
    code::rewrite(MAIN, wasm, Inlining::Alone, &traits, false).map(Rewritten).map_err(failed)
}

/// Compiles a module for this machine; returns the size of the code.
///
/// # Errors
/// The compiler is not built in, or cannot compile it.
pub fn compile(compiler: &str, Rewritten(prepared): &Rewritten) -> Result<usize, Error> {
    let backend = compiler::named("the caller", compiler).map_err(failed)?;
    let options = CompileOptions { backend, memories: Memories::Reserved, deadline: None };
    let artifact = compiler::compile(options, MAIN, prepared, &Machine::host()).map_err(failed)?;
    Ok(artifact.size())
}
