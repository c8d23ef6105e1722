//! LLVM: compiles slowly, to the fastest code. Its Wasmer crate is licensed under BUSL-1.1.

use std::time::Duration;

use super::backend::Backend;

pub(crate) const BACKEND: Backend = Backend {
    name: c"llvm",
    options: concat!("aggressive, llvm-sys ", env!("LLVM_SYS_VERSION")),
    simd: true,
    refuses: None,
    // In code for memories that do not move, a function gets the address of its caller's memory, even if the caller is
    // in another module, which may have another memory.
    linked_memories_move: true,
    // Its code calls libcalls by name, except those that grow memories.
    libcalls_are_replaced: false,
    optimises_at_length: true,
    // Its table of passes has a lock, for example.
    has_locks: true,
    has_own_memory: true,
    time_for_megabyte: Duration::from_secs(80),
    #[cfg(feature = "llvm")]
    config: Some(config),
    #[cfg(not(feature = "llvm"))]
    config: None,
};

#[cfg(feature = "llvm")]
fn config(threads: std::num::NonZero<usize>) -> Box<dyn wasmer::sys::CompilerConfig> {
    use wasmer::sys::{LLVM, LLVMOptLevel};
    let mut config = LLVM::new();
    config.num_threads(threads);
    config.opt_level(LLVMOptLevel::Aggressive);
    Box::new(crate::sandbox::WithStackProbe(config))
}
