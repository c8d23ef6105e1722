//! Cranelift: the default compiler, fast to compile and with good code.

use wasmer::Engine;
use wasmer::sys::{Cranelift, CraneliftOptLevel, EngineBuilder};

use super::Backend;

pub(super) const BACKEND: Backend = Backend { name: "cranelift", engine };

fn engine() -> Engine {
    let mut compiler = Cranelift::new();
    compiler.opt_level(CraneliftOptLevel::Speed);
    EngineBuilder::new(compiler).engine().into()
}
