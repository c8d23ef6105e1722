//! The machine that code is for: architecture, operating system, and the CPU features that code may use.
//! `named_machine.rs` parses the names by which users choose one.

use std::collections::BTreeSet;

use wasmer::sys::{CpuFeature, Target};

/// A compilation target with its CPU features.
#[derive(Debug, Clone)]
pub(crate) struct Machine(pub(super) Target);

impl Machine {
    pub(crate) fn host() -> Self {
        Self(Target::default())
    }

    /// Architecture and operating system, such as `x86_64-linux`.
    pub(crate) fn name(&self) -> String {
        let triple = self.0.triple();
        format!("{}-{}", triple.architecture, triple.operating_system)
    }

    /// The target triple, such as `x86_64-unknown-linux-gnu`.
    pub(crate) fn triple(&self) -> String {
        self.0.triple().to_string()
    }

    /// The names of the CPU features that code may use, sorted.
    pub(crate) fn features(&self) -> BTreeSet<String> {
        self.0.cpu_features().iter().map(|feature: CpuFeature| feature.to_string()).collect()
    }

    #[cfg(feature = "compiler")]
    pub(crate) fn target(&self) -> Target {
        self.0.clone()
    }
}
