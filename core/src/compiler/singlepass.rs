//! Singlepass: compiles in one pass, the fastest, to the slowest code, and without SIMD. Its Wasmer crate is licensed
//! under BUSL-1.1.

use std::time::Duration;

use super::backend::Backend;

pub(crate) const BACKEND: Backend = Backend {
    name: c"singlepass",
    options: env!("SINGLEPASS_VERSION"),
    // Singlepass claims to support SIMD, then fails in the middle of a module.
    simd: false,
    #[cfg(feature = "singlepass")]
    refuses: Some(refuses),
    #[cfg(not(feature = "singlepass"))]
    refuses: None,
    linked_memories_move: false,
    libcalls_are_replaced: true,
    optimises_at_length: false,
    has_locks: false,
    has_own_memory: false,
    time_for_megabyte: Duration::from_secs(5),
    #[cfg(feature = "singlepass")]
    config: Some(config),
    #[cfg(not(feature = "singlepass"))]
    config: None,
};

#[cfg(feature = "singlepass")]
fn config(threads: std::num::NonZero<usize>) -> Box<dyn wasmer::sys::CompilerConfig> {
    let mut config = wasmer::sys::Singlepass::new();
    config.num_threads(threads);
    Box::new(config)
}

/// Finds imported functions with more than one result, on which this compiler panics.
#[cfg(feature = "singlepass")]
fn refuses(wasm: &[u8]) -> Option<String> {
    use crate::error::Excerpt;
    use wasmparser::{Parser, Payload, TypeRef};
    let mut results = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::TypeSection(types) => {
                results.extend(types.into_iter_err_on_gc_types().map_while(Result::ok).map(|ty| ty.results().len()));
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.ok()?;
                    if let TypeRef::Func(ty) = import.ty
                        && results.get(ty as usize).is_some_and(|results| *results > 1)
                    {
                        let [module, name] = [import.module, import.name].map(Excerpt::of);
                        return Some(format!(
                            "`{module}::{name}` has several results, which imported functions cannot"
                        ));
                    }
                }
                return None;
            }
            _ => {}
        }
    }
    None
}
