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
    use Operator as O;
    match operator {
        O::Call { .. } => price::OVER_CALL,
        O::CallIndirect { .. } => price::OVER_LIBCALL,
        // Cranelift calls a function for these, one for each lane of a vector, on processors without SSE4.1 or FMA. The
        // price is the same for all processors.
        O::F32Ceil | O::F32Floor | O::F32Trunc | O::F32Nearest => price::OVER_LIBCALL,
        O::F64Ceil | O::F64Floor | O::F64Trunc | O::F64Nearest => price::OVER_LIBCALL,
        O::F32x4Ceil | O::F32x4Floor | O::F32x4Trunc | O::F32x4Nearest => price::OVER_LIBCALL,
        O::F64x2Ceil | O::F64x2Floor | O::F64x2Trunc | O::F64x2Nearest => price::OVER_LIBCALL,
        O::F32x4RelaxedMadd | O::F32x4RelaxedNmadd => price::OVER_LIBCALL,
        O::F64x2RelaxedMadd | O::F64x2RelaxedNmadd => price::OVER_LIBCALL,
        // The same on processors without SSSE3; a shuffle costs as much on all.
        O::I8x16Shuffle { .. } | O::I8x16Swizzle | O::I8x16RelaxedSwizzle => price::OVER_CALL,
        O::I8x16Splat | O::I8x16Popcnt => price::OVER_CALL,
        _ if is_libcall(operator) => price::OVER_LIBCALL,
        _ => 0,
    }
}

/// True if the instruction can trap by itself or makes a libcall.
pub(super) fn is_dear(operator: &Operator<'_>) -> bool {
    use Operator as O;
    match operator {
        O::I32TruncF32S | O::I32TruncF32U | O::I32TruncF64S | O::I32TruncF64U => true,
        O::I64TruncF32S | O::I64TruncF32U | O::I64TruncF64S | O::I64TruncF64U => true,
        O::I32DivS | O::I32DivU | O::I32RemS | O::I32RemU => true,
        O::I64DivS | O::I64DivU | O::I64RemS | O::I64RemU => true,
        _ => is_libcall(operator),
    }
}

fn is_libcall(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::MemoryGrow { .. }) || yield_points::work(operator).is_some()
}
