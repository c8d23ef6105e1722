//! The steps in a plugin's making one by one, for the benchmarks and for the test of the rewrite's cost.

use super::{Error, failed};
use crate::;
use crate::compiler;
use crate::module::reserved;
use crate::code::{self, Prepared};
use crate::rewrite::{Builtins, Inlining, Wanted};
use crate::manifest::{self, MAIN};

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
    let backend = compiler::select(None).map_err(failed)?.ok_or_else(|| failed(code::Error::NoCompiler))?;
    let traits = code::traits_here(backend).map_err(failed)?;
    let wanted =
        Wanted { features: &traits.features, inlining: Inlining::Alone, builtins: Builtins::Seen, fuel: false };
    let rewritten = crate::rewrite(MAIN, wasm, wanted).map_err(failed)?;
    let moving = rewritten.has_io_memory.then_some(reserved::IO_MEMORY_MAX_PAGES);
    Ok(Rewritten(Prepared { wasm: rewritten.wasm, moving }))
}

/// Compiles a module for this machine; returns the size of the code.
///
/// # Errors
/// The compiler is not built in, or cannot compile it.
pub fn compile(compiler: &str, Rewritten(prepared): &Rewritten) -> Result<usize, Error> {
    let backend = compiler::named("the caller", compiler).map_err(failed)?;
    code::compile_alone(backend, MAIN, prepared).map_err(failed)
}
