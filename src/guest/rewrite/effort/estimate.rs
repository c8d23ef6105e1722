//! The compiler that a module is estimated for, and what depends on it.

use super::{MAX_LOOPS, llvm};

/// The compiler whose time is estimated for a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Estimate {
    /// Also for compilers that take less time.
    Cranelift,
    Llvm,
}

impl Estimate {
    /// The estimate for a compiler that takes as long as LLVM, or at most as long as Cranelift.
    pub(crate) fn of(optimises_at_length: bool) -> Self {
        if optimises_at_length { Self::Llvm } else { Self::Cranelift }
    }

    /// The estimate is so many times that for Cranelift.
    pub(super) fn times(self) -> u64 {
        if self == Self::Llvm { llvm::TIMES } else { 1 }
    }

    /// The limit is so many times that for Cranelift.
    pub(super) fn times_limit(self) -> u64 {
        if self == Self::Llvm { llvm::TIMES_LIMIT } else { 1 }
    }

    pub(super) fn max_loops(self) -> u32 {
        if self == Self::Llvm { llvm::MAX_LOOPS } else { MAX_LOOPS }
    }

    /// The end of an error about the limit. Nothing for Cranelift: no compiler accepts more.
    pub(super) fn advice(self) -> &'static str {
        if self == Self::Llvm { "; this is the limit for llvm, another compiler may accept it" } else { "" }
    }
}
