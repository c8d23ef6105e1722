//! Adds yield points to code that makes libcalls which the host cannot intercept (see [`Libcalls`](super::Libcalls)).
//! The module counts the work of instructions that make such libcalls, and every now and then asks a memory to grow by
//! 0 pages: the host intercepts that, and can stop the plugin.

use wasm_encoder::{BlockType, Encode, Instruction as I, MemoryType, ValType};
use wasmparser::Operator;

/// The work between two yield points: one per instruction and one per 16 bytes or elements. Takes some microseconds.
const PERIOD: i32 = 1000;

/// The type of an empty memory that serves only as a yield point: it is asked to grow.
pub(super) const NO_MEMORY: MemoryType =
    MemoryType { minimum: 0, maximum: Some(0), memory64: false, shared: false, page_size_log2: None };

/// Indices of what is added to the module for counting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct YieldPoints {
    /// A memory that is asked to grow.
    pub(crate) memory: u32,
    /// The first of two globals: the current instruction's length, and the work left until the yield point.
    pub(crate) globals: u32,
}

/// The amount of an instruction's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Little,
    /// As many bytes or elements as its last operand says.
    Much,
}

/// The work of an instruction, if it makes a libcall and so is counted.
pub(crate) fn work(operator: &Operator<'_>) -> Option<Work> {
    use Operator as O;
    match operator {
        O::MemoryFill { .. } | O::MemoryCopy { .. } | O::MemoryInit { .. } => Some(Work::Much),
        O::TableFill { .. } | O::TableCopy { .. } | O::TableInit { .. } | O::TableGrow { .. } => Some(Work::Much),
        O::MemorySize { .. } | O::TableSize { .. } | O::TableGet { .. } | O::TableSet { .. } => Some(Work::Little),
        O::DataDrop { .. } | O::ElemDrop { .. } | O::RefFunc { .. } => Some(Work::Little),
        _ => None,
    }
}

impl YieldPoints {
    /// The types of the two globals.
    pub(crate) const GLOBALS: [ValType; 2] = [ValType::I32, ValType::I32];

    /// Writes `instruction`, then code that counts it.
    pub(crate) fn count(self, work: Work, instruction: &[u8], sink: &mut Vec<u8>) {
        let (length, left) = (self.globals, self.globals + 1);
        let (before, more): (&[_], &[_]) = match work {
            Work::Little => (&[], &[]),
            Work::Much => (
                &[I::GlobalSet(length), I::GlobalGet(length)],
                &[I::GlobalGet(length), I::I32Const(4), I::I32ShrU, I::I32Sub],
            ),
        };
        before.iter().for_each(|instruction| instruction.encode(sink));
        sink.extend(instruction);
        let less = [I::GlobalGet(left), I::I32Const(1), I::I32Sub];
        let end = [I::GlobalSet(left), I::GlobalGet(left), I::I32Const(0), I::I32LtS, I::If(BlockType::Empty)];
        let ask =
            [I::I32Const(PERIOD), I::GlobalSet(left), I::I32Const(0), I::MemoryGrow(self.memory), I::Drop, I::End];
        let after = less.iter().chain(more).chain(&end).chain(&ask);
        after.for_each(|instruction| instruction.encode(sink));
    }
}
