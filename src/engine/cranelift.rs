//! Cranelift: the default compiler, fast to compile and with good code.

use wasmer::Engine;
use wasmer::sys::{CompilerConfig, Cranelift, CraneliftOptLevel, EngineBuilder, Features, Target};

use super::Backend;

pub(super) const BACKEND: Backend = Backend { name: "cranelift", features, make };

fn features() -> Features {
    Cranelift::new().supported_features_for_target(&Target::default())
}

fn make(features: Features) -> Engine {
    let mut compiler = Cranelift::new();
    compiler.opt_level(CraneliftOptLevel::Speed);
    EngineBuilder::new(compiler).set_features(Some(features)).engine().into()
}
