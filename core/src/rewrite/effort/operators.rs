//! Classes of instructions by the code that compilers make of them.

use wasmparser::Operator;

use super::price;
use crate::rewrite::yield_points;

pub(super) fn ends_basic_block(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable
    )
}

/// The price of a value that stays on the operand stack or in a local over the instruction, because the instruction
/// becomes a call. 0 if it does not.
pub(super) fn over_call(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Call { .. } => price::OVER_CALL,
        Operator::CallIndirect { .. } => price::OVER_LIBCALL,
        _ if is_libcall(operator) || is_libcall_without_sse41(operator) => price::OVER_LIBCALL,
        _ if shuffles_bytes(operator) => price::OVER_CALL,
        _ => 0,
    }
}

/// True if the instruction can trap by itself or makes a libcall.
pub(super) fn is_dear(operator: &Operator<'_>) -> bool {
    is_libcall(operator)
        || matches!(
            operator,
            Operator::I32TruncF32S
                | Operator::I32TruncF32U
                | Operator::I32TruncF64S
                | Operator::I32TruncF64U
                | Operator::I64TruncF32S
                | Operator::I64TruncF32U
                | Operator::I64TruncF64S
                | Operator::I64TruncF64U
                | Operator::I32DivS
                | Operator::I32DivU
                | Operator::I32RemS
                | Operator::I32RemU
                | Operator::I64DivS
                | Operator::I64DivU
                | Operator::I64RemS
                | Operator::I64RemU
        )
}

fn is_libcall(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::MemoryGrow { .. }) || yield_points::work(operator).is_some()
}

/// Cranelift calls a function for these, one for each lane of a vector, on processors without SSE4.1 or FMA. The price
/// is the same for all processors.
fn is_libcall_without_sse41(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::F32Ceil
            | Operator::F32Floor
            | Operator::F32Trunc
            | Operator::F32Nearest
            | Operator::F64Ceil
            | Operator::F64Floor
            | Operator::F64Trunc
            | Operator::F64Nearest
            | Operator::F32x4Ceil
            | Operator::F32x4Floor
            | Operator::F32x4Trunc
            | Operator::F32x4Nearest
            | Operator::F64x2Ceil
            | Operator::F64x2Floor
            | Operator::F64x2Trunc
            | Operator::F64x2Nearest
            | Operator::F32x4RelaxedMadd
            | Operator::F32x4RelaxedNmadd
            | Operator::F64x2RelaxedMadd
            | Operator::F64x2RelaxedNmadd
    )
}

/// Cranelift calls a function for these on processors without SSSE3; a shuffle costs as much on all.
fn shuffles_bytes(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::I8x16Shuffle { .. }
            | Operator::I8x16Swizzle
            | Operator::I8x16RelaxedSwizzle
            | Operator::I8x16Splat
            | Operator::I8x16Popcnt
    )
}
