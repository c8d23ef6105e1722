//! The time that LLVM takes beyond Cranelift's, and all that the estimate for it does in another way.
//!
//! LLVM gets [`TIMES`] the estimate for Cranelift, which covers most code, and [`TIMES_LIMIT`] the limit. Some code
//! takes LLVM longer than that: those prices are here, in nanoseconds of one core. Several of LLVM's passes compare
//! each instruction of a kind with all others of its basic block or function, so a function also pays for the square of
//! their number. It is the square for the whole function even where LLVM works on basic blocks, as it joins blocks
//! whose branches it can decide.

use wasmparser::Operator;

use super::operators::is_dear;
use crate::rewrite::options::EstimatedCompiler;

/// LLVM takes so many times as long as Cranelift.
const TIMES: u64 = 12;

/// It may take so many times as long: 4 s, and 80 s a megabyte. esbuild, whose functions are large, is at 0.84 of that.
const TIMES_LIMIT: u64 = 16;

/// The most loops nested in each other: with 400 of them and 50 locals, LLVM takes 5 s.
const MAX_LOOPS: u32 = 100;

/// The same for other compilers. A loop costs more the deeper it is; usual programs nest up to 10.
const OTHERS_MAX_LOOPS: u32 = 500;

/// A type, beside [`price::TYPE`](super::price::TYPE). Each type and function is a module of its own for LLVM.
pub(super) const TYPE: u64 = 700_000;
/// A function, beside [`price::FUNCTION`](super::price::FUNCTION).
pub(super) const FUNCTION: u64 = 900_000;
/// Each pair of results of a type or function.
const PAIR_OF_RESULTS: u64 = 800;
/// An instruction of the kind [`Kind::Dear`].
const DEAR: u64 = 100_000;
/// A byte shuffle whose indices are not constant, which becomes 16 scalar steps.
const SWIZZLE: u64 = 3_000_000;
/// A loop, for each of the loops around it.
const NESTED_LOOP: u64 = 100_000;

/// Each pair of instructions that compute.
const PAIR_OF_COMPUTATIONS: u64 = 22;
/// Each pair of loads and stores: LLVM combines their addresses, or inlines what checks them.
const PAIR_OF_ACCESSES: u64 = 560;
/// Each pair of dear instructions.
const PAIR_OF_DEAR: u64 = 560;
/// Each pair of branches, loops and `else`.
const PAIR_OF_BRANCHES: u64 = 40;
/// Each pair of values that calls pass on, parameters and results of all calls together.
const PAIR_OF_PASSED: u64 = 2;
/// Counts as so many dear instructions, as [`PAIR_OF_DEAR`] grows with the square.
const SWIZZLE_IS_DEAR: u64 = 8;
/// The addition of neighbours in a vector.
const PAIRWISE_ADDITION: Kind = Kind::Dear { as_many: 3, price: DEAR };
const ONE_DEAR: Kind = Kind::Dear { as_many: 1, price: DEAR };

impl EstimatedCompiler {
    /// The estimate is so many times that for Cranelift.
    pub(super) fn times(self) -> u64 {
        if self == Self::Llvm { TIMES } else { 1 }
    }

    /// The limit is so many times that for Cranelift.
    pub(super) fn times_limit(self) -> u64 {
        if self == Self::Llvm { TIMES_LIMIT } else { 1 }
    }

    pub(super) fn max_loops(self) -> u32 {
        if self == Self::Llvm { MAX_LOOPS } else { OTHERS_MAX_LOOPS }
    }

    /// The end of an error about the limit. Nothing for Cranelift: no compiler accepts more.
    pub(super) fn advice(self) -> &'static str {
        if self == Self::Llvm { "; this is the limit for llvm, another compiler may accept it" } else { "" }
    }
}

/// The price of a type's or a function's results.
pub(super) fn results(results: u64) -> u64 {
    results.saturating_mul(results).saturating_mul(PAIR_OF_RESULTS)
}

/// The time that LLVM takes for one function, beyond [`TIMES`] Cranelift's time.
#[derive(Debug, Default)]
pub(super) struct Function {
    spent: u64,
    computations: u64,
    accesses: u64,
    dear: u64,
    branches: u64,
    passed: u64,
}

impl Function {
    /// Adds an instruction that lies in so many loops and, if it is a call, passes on so many values.
    pub(super) fn add(&mut self, operator: &Operator<'_>, loop_depth: u32, passed: u64) {
        self.passed += passed;
        match kind(operator) {
            Kind::Free => {}
            Kind::Computation => self.computations += 1,
            Kind::Access => self.accesses += 1,
            Kind::Branch => {
                self.branches += 1;
                if matches!(operator, Operator::Loop { .. }) {
                    self.spent += u64::from(loop_depth) * NESTED_LOOP;
                }
            }
            Kind::Dear { as_many, price } => {
                self.dear += as_many;
                self.spent += price;
            }
        }
    }

    pub(super) fn finish(self) -> u64 {
        let squares = [
            (self.computations, PAIR_OF_COMPUTATIONS),
            (self.accesses, PAIR_OF_ACCESSES),
            (self.dear, PAIR_OF_DEAR),
            (self.branches, PAIR_OF_BRANCHES),
            (self.passed, PAIR_OF_PASSED),
        ];
        let square = |(count, price): (u64, u64)| count.saturating_mul(count).saturating_mul(price);
        squares.into_iter().map(square).fold(self.spent, u64::saturating_add)
    }
}

/// Kinds of instructions by the time that LLVM takes for many of them.
enum Kind {
    /// Takes nothing beyond its price for Cranelift.
    Free,
    Computation,
    Access,
    Branch,
    /// Becomes several basic blocks or a libcall, or a sequence that LLVM's passes find hard.
    Dear {
        as_many: u64,
        price: u64,
    },
}

fn kind(operator: &Operator<'_>) -> Kind {
    use Operator as O;
    match operator {
        O::Nop | O::Drop | O::End | O::Return | O::Unreachable => Kind::Free,
        O::LocalGet { .. } | O::LocalSet { .. } | O::LocalTee { .. } => Kind::Free,
        O::GlobalGet { .. } | O::GlobalSet { .. } => Kind::Free,
        O::I32Const { .. } | O::I64Const { .. } | O::F32Const { .. } | O::F64Const { .. } => Kind::Free,
        O::V128Const { .. } => Kind::Free,
        O::Block { .. } | O::Br { .. } | O::Call { .. } => Kind::Free,
        O::Loop { .. } | O::If { .. } | O::Else | O::BrIf { .. } | O::BrTable { .. } => Kind::Branch,
        O::I32Load { .. } | O::I64Load { .. } | O::F32Load { .. } | O::F64Load { .. } => Kind::Access,
        O::I32Load8S { .. } | O::I32Load8U { .. } | O::I32Load16S { .. } | O::I32Load16U { .. } => Kind::Access,
        O::I64Load8S { .. } | O::I64Load8U { .. } | O::I64Load16S { .. } | O::I64Load16U { .. } => Kind::Access,
        O::I64Load32S { .. } | O::I64Load32U { .. } => Kind::Access,
        O::I32Store { .. } | O::I64Store { .. } | O::F32Store { .. } | O::F64Store { .. } => Kind::Access,
        O::I32Store8 { .. } | O::I32Store16 { .. } => Kind::Access,
        O::I64Store8 { .. } | O::I64Store16 { .. } | O::I64Store32 { .. } => Kind::Access,
        O::I8x16Swizzle | O::I8x16RelaxedSwizzle => Kind::Dear { as_many: SWIZZLE_IS_DEAR, price: SWIZZLE },
        O::I16x8ExtAddPairwiseI8x16S | O::I16x8ExtAddPairwiseI8x16U => PAIRWISE_ADDITION,
        O::I32x4ExtAddPairwiseI16x8S | O::I32x4ExtAddPairwiseI16x8U => PAIRWISE_ADDITION,
        // These are harder for LLVM than for Cranelift.
        O::CallIndirect { .. } | O::ReturnCallIndirect { .. } => ONE_DEAR,
        O::F32Min | O::F32Max | O::F64Min | O::F64Max => ONE_DEAR,
        O::I32TruncSatF32S | O::I32TruncSatF32U | O::I32TruncSatF64S | O::I32TruncSatF64U => ONE_DEAR,
        O::I64TruncSatF32S | O::I64TruncSatF32U | O::I64TruncSatF64S | O::I64TruncSatF64U => ONE_DEAR,
        _ if is_dear(operator) || is_vector(operator) => ONE_DEAR,
        _ => Kind::Computation,
    }
}

fn is_vector(operator: &Operator<'_>) -> bool {
    macro_rules! any_of {
        ($(@$proposal:ident $operator:ident $({ $($field:ident: $type:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
            matches!(operator, $(Operator::$operator { .. })|*)
        };
    }
    wasmparser::for_each_visit_simd_operator!(any_of)
}
