//! Makes modules count their instructions, in a global that all modules of a plugin import: a call has one limit,
//! whatever modules it runs. The global follows the module's imports, which shifts its own globals by one.
//!
//! Each stretch of instructions that is entered only at its start and left only at its end is counted at its end. The
//! counter is compared with 0 only where a call could otherwise run for ever, or ends. Instructions that the rewrite
//! adds for other purposes are not counted, so a call has the same count with every compiler.

use std::mem;

use wasm_encoder::{BlockType, Encode, GlobalType, Instruction as I, ValType};
use wasmparser::Operator;

/// Writes the code that counts, down from the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    pub(crate) global: u32,
}

impl Meter {
    /// The global's type. Its value is how many instructions are left: below 0 once there were too few.
    pub(crate) const TYPE: GlobalType = GlobalType { val_type: ValType::I64, mutable: true, shared: false };

    /// The new index of the global that had the index `index` before.
    pub(crate) fn shifted(self, index: u32) -> u32 {
        if index < self.global { index } else { index.saturating_add(1) }
    }

    /// Writes code that subtracts `count` from the counter and, if `end` is checked, traps if it is below 0 then.
    pub(crate) fn count(self, count: u32, end: End, sink: &mut Vec<u8>) {
        let take = [I::GlobalGet(self.global), I::I64Const(i64::from(count)), I::I64Sub, I::GlobalSet(self.global)];
        take.iter().for_each(|instruction| instruction.encode(sink));
        if end == End::Checked {
            let left = [I::GlobalGet(self.global), I::I64Const(0), I::I64LtS];
            let check = left.iter().chain(&[I::If(BlockType::Empty), I::Unreachable, I::End]);
            check.for_each(|instruction| instruction.encode(sink));
        }
    }
}

/// The end of a stretch: is the counter checked there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// No check: a later stretch on every path has one.
    Unchecked,
    Checked,
}

/// Divides a function's instructions into stretches.
#[derive(Debug, Default)]
pub(crate) struct Stretches {
    /// For each label but the function's, innermost last: true if it is a loop's, so that a branch to it goes back.
    labels: Vec<bool>,
    /// The number of instructions that have not been counted yet.
    count: u32,
}

impl Stretches {
    /// Takes the next instruction. If a stretch ends with it, returns how many instructions the stretch has: control
    /// may go elsewhere after it, or come from elsewhere to the instruction after it.
    pub(crate) fn next(&mut self, operator: &Operator<'_>) -> Option<(u32, End)> {
        use Operator as O;
        self.count += 1;
        let end = match operator {
            O::Block { .. } => {
                self.labels.push(false);
                return None;
            }
            O::If { .. } => {
                self.labels.push(false);
                End::Unchecked
            }
            O::Loop { .. } => {
                self.labels.push(true);
                End::Unchecked
            }
            O::End => match self.labels.pop() {
                Some(_) => End::Unchecked,
                None => End::Checked,
            },
            O::Else => End::Unchecked,
            O::Br { relative_depth } | O::BrIf { relative_depth } => self.branch(*relative_depth),
            O::BrOnNull { relative_depth } | O::BrOnNonNull { relative_depth } => self.branch(*relative_depth),
            O::Unreachable | O::BrTable { .. } | O::Return => End::Checked,
            O::Call { .. } | O::CallIndirect { .. } | O::CallRef { .. } => End::Checked,
            O::ReturnCall { .. } | O::ReturnCallIndirect { .. } | O::ReturnCallRef { .. } => End::Checked,
            _ => return None,
        };
        Some((mem::take(&mut self.count), end))
    }

    /// Checked if the branch goes back, or leaves the function: the function's label is not among `labels`.
    fn branch(&self, depth: u32) -> End {
        let label = self.labels.iter().nth_back(usize::try_from(depth).unwrap_or(usize::MAX));
        if label == Some(&false) { End::Unchecked } else { End::Checked }
    }
}
