//! Factors and limits that depend on the compiler that a module is estimated for.

use super::llvm;
use crate::rewrite::options::EstimatedCompiler;

/// The most loops nested in each other. A loop costs more the deeper it is; usual programs nest up to 10.
const MAX_LOOPS: u32 = 500;

impl EstimatedCompiler {
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
