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
/// The same for the addition of neighbours in a vector.
const PAIRWISE_ADDITION_IS_DEAR: u64 = 3;

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
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::End
        | Operator::Return
        | Operator::Unreachable
        | Operator::F32Const { .. }
        | Operator::F64Const { .. }
        | Operator::V128Const { .. }
        | Operator::LocalGet { .. }
        | Operator::LocalSet { .. }
        | Operator::LocalTee { .. }
        | Operator::GlobalGet { .. }
        | Operator::GlobalSet { .. }
        | Operator::I32Const { .. }
        | Operator::I64Const { .. }
        | Operator::Block { .. }
        | Operator::Br { .. }
        | Operator::Call { .. } => Kind::Free,
        Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Else
        | Operator::BrIf { .. }
        | Operator::BrTable { .. } => Kind::Branch,
        Operator::I8x16Swizzle | Operator::I8x16RelaxedSwizzle => {
            Kind::Dear { as_many: SWIZZLE_IS_DEAR, price: SWIZZLE }
        }
        Operator::I16x8ExtAddPairwiseI8x16S
        | Operator::I16x8ExtAddPairwiseI8x16U
        | Operator::I32x4ExtAddPairwiseI16x8S
        | Operator::I32x4ExtAddPairwiseI16x8U => Kind::Dear { as_many: PAIRWISE_ADDITION_IS_DEAR, price: DEAR },
        _ if is_access(operator) => Kind::Access,
        _ if is_dear(operator) || is_hard(operator) || is_vector(operator) => Kind::Dear { as_many: 1, price: DEAR },
        _ => Kind::Computation,
    }
}

/// True for loads and stores of numbers.
fn is_access(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::I32Load { .. }
            | Operator::I64Load { .. }
            | Operator::F32Load { .. }
            | Operator::F64Load { .. }
            | Operator::I32Load8S { .. }
            | Operator::I32Load8U { .. }
            | Operator::I32Load16S { .. }
            | Operator::I32Load16U { .. }
            | Operator::I64Load8S { .. }
            | Operator::I64Load8U { .. }
            | Operator::I64Load16S { .. }
            | Operator::I64Load16U { .. }
            | Operator::I64Load32S { .. }
            | Operator::I64Load32U { .. }
            | Operator::I32Store { .. }
            | Operator::I64Store { .. }
            | Operator::F32Store { .. }
            | Operator::F64Store { .. }
            | Operator::I32Store8 { .. }
            | Operator::I32Store16 { .. }
            | Operator::I64Store8 { .. }
            | Operator::I64Store16 { .. }
            | Operator::I64Store32 { .. }
    )
}

/// True for what is harder for LLVM than for Cranelift.
fn is_hard(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::CallIndirect { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::F32Min
            | Operator::F32Max
            | Operator::F64Min
            | Operator::F64Max
            | Operator::I32TruncSatF32S
            | Operator::I32TruncSatF32U
            | Operator::I32TruncSatF64S
            | Operator::I32TruncSatF64U
            | Operator::I64TruncSatF32S
            | Operator::I64TruncSatF32U
            | Operator::I64TruncSatF64S
            | Operator::I64TruncSatF64U
    )
}

fn is_vector(operator: &Operator<'_>) -> bool {
    macro_rules! any_of {
        ($(@$proposal:ident $operator:ident $({ $($field:ident: $type:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
            matches!(operator, $(Operator::$operator { .. })|*)
        };
    }
    wasmparser::for_each_visit_simd_operator!(any_of)
}
