//! The choice of the compiler. `compilers/memories.rs` tests that each compiler keeps plugins in their own memory,
//! `compilers/features.rs` which WebAssembly proposals each supports.

#[cfg(feature = "compiler")]
mod choice;
mod features;
mod kernels;
mod large_memories;
mod memories;
#[cfg(feature = "compiler")]
mod validity;

use crate::host::Compiler;

/// Whether this library has no compiler and only runs code that was compiled before.
pub(crate) fn headless() -> bool {
    !Compiler::ALL.iter().any(|compiler| compiler.is_built_in())
}

/// The compilers whose code can run here: those that are built in, or else the one whose code is in the cache.
pub(crate) fn usable() -> Vec<Compiler> {
    let all = Compiler::ALL.into_iter();
    if headless() {
        return all.filter(|compiler| compiler.name() == Compiler::in_use()).collect();
    }
    all.filter(Compiler::is_built_in).collect()
}
