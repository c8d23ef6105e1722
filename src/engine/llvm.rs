//! LLVM: slow to compile, with the fastest code. Its Wasmer crate is licensed under BUSL-1.1.

use std::time::Duration;

use super::Backend;

pub(super) const BACKEND: Backend = Backend {
    name: c"llvm",
    options: concat!("aggressive, llvm-sys ", env!("LLVM_SYS_VERSION")),
    simd: true,
    refuses: None,
    // Functions get the address of the memory of whoever calls them, also across modules, unless memories can move.
    linked_memories_move: true,
    // It calls them by name, but for those that let memories grow.
    builtins_are_seen: false,
    // The table of passes, for example.
    has_locks: true,
    time_for_megabyte: Duration::from_secs(60),
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
    Box::new(super::room::WithRoom(config))
}
