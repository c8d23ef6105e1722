//! The steps in a plugin's making one by one, for the benchmarks and for the test of the rewrite's cost.

use super::{Error, failed};
use crate::engine::{self, Prepared};
use crate::guest::{self, Builtins, Estimate, Inlining, Wanted};
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
    let backend = engine::select(None).map_err(failed)?.ok_or_else(|| failed(engine::Error::NoCompiler))?;
    let traits = engine::traits_here(backend).map_err(failed)?;
    let (inlining, builtins) = (Inlining::Alone, Builtins::Seen);
    let estimate = Estimate::of(traits.optimises_at_length);
    let wanted = Wanted { features: &traits.features, inlining, builtins, estimate, fuel: false };
    let rewritten = guest::rewrite(MAIN, wasm, wanted).map_err(failed)?;
    let moving = rewritten.has_io_memory.then_some(guest::IO_MEMORY_MAX_PAGES);
    Ok(Rewritten(Prepared { wasm: rewritten.wasm, moving }))
}

/// Compiles a module for this machine; returns the size of the code.
///
/// # Errors
/// The compiler is not built in, or cannot compile it.
pub fn compile(compiler: &str, Rewritten(prepared): &Rewritten) -> Result<usize, Error> {
    let backend = engine::named("the caller", compiler).map_err(failed)?;
    engine::compile_alone(backend, MAIN, prepared).map_err(failed)
}
