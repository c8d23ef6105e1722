//! The choice of the compiler. `compilers/memories.rs` holds that each of them keeps plugins in their own memory,
//! `compilers/features.rs` which WebAssembly each of them understands.

#[cfg(feature = "compiler")]
mod choice;
mod features;
mod kernels;
mod large_memories;
mod memories;
#[cfg(feature = "compiler")]
mod validity;

use crate::host::Compiler;

/// Whether this library has no compiler and runs code that was made before.
pub(crate) fn headless() -> bool {
    !Compiler::ALL.iter().any(|compiler| compiler.is_built_in())
}

/// The compilers whose code can be tried here: those that are built in, or the one whose code is at hand.
pub(crate) fn usable() -> Vec<Compiler> {
    let all = Compiler::ALL.into_iter();
    if headless() {
        return all.filter(|compiler| compiler.name() == Compiler::in_use()).collect();
    }
    all.filter(Compiler::is_built_in).collect()
}
