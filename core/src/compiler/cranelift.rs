//! Cranelift: the default compiler. Compiles fast, to good code.

use std::time::Duration;

use super::backend::Backend;

pub(crate) const BACKEND: Backend = Backend {
    name: c"cranelift",
    options: concat!("speed, cranelift-codegen ", env!("CRANELIFT_VERSION")),
    simd: true,
    refuses: None,
    linked_memories_move: false,
    libcalls_are_replaced: true,
    optimises_at_length: false,
    has_locks: false,
    has_own_memory: false,
    time_for_megabyte: Duration::from_secs(5),
    #[cfg(feature = "cranelift")]
    config: Some(config),
    #[cfg(not(feature = "cranelift"))]
    config: None,
};

#[cfg(feature = "cranelift")]
fn config(threads: std::num::NonZero<usize>) -> Box<dyn wasmer::sys::CompilerConfig> {
    use wasmer::sys::{Cranelift, CraneliftOptLevel};
    let mut config = Cranelift::new();
    config.num_threads(threads);
    config.opt_level(CraneliftOptLevel::Speed);
    Box::new(config)
}
