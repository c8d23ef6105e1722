//! Modules that count their instructions do so in a global that all modules of a plugin import, so that a call has a number of
//! them whatever it calls. The global comes behind what the module imports, and moves the module's own up by one.
//!
//! Each stretch of instructions without a way in or out of its middle is counted at its end. Whether there were so many left is
//! looked up only where a call could otherwise go on without end, or come to its end. What is added to a module for other
//! purposes is not counted, so that a call executes as many on every compiler.

use std::mem;

use wasm_encoder::{BlockType, Encode, GlobalType, Instruction as I, ValType};
use wasmparser::Operator;

/// Counts down in a global.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    /// Its index.
    pub(super) global: u32,
}

impl Meter {
    /// The type of the global: how many instructions are left, less than 0 once there were too few.
    pub(super) const TYPE: GlobalType = GlobalType { val_type: ValType::I64, mutable: true, shared: false };

    /// The index of what was the global `index` before.
    pub(super) fn shifted(self, index: u32) -> u32 {
        if index < self.global { index } else { index.saturating_add(1) }
    }

    /// Writes what takes `count` instructions away and, if wanted, traps if so many were not left.
    pub(super) fn count(self, count: u32, end: End, sink: &mut Vec<u8>) {
        let take = [I::GlobalGet(self.global), I::I64Const(i64::from(count)), I::I64Sub, I::GlobalSet(self.global)];
        take.iter().for_each(|instruction| instruction.encode(sink));
        if end == End::Checked {
            let left = [I::GlobalGet(self.global), I::I64Const(0), I::I64LtS];
            let check = left.iter().chain(&[I::If(BlockType::Empty), I::Unreachable, I::End]);
            check.for_each(|instruction| instruction.encode(sink));
        }
    }
}

/// How a stretch of instructions ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// What follows has an end, and is checked there.
    Unchecked,
    Checked,
}

/// Follows the instructions of a function.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    /// For each label, whether a branch to it goes back.
    labels: Vec<bool>,
    /// How many instructions have not been counted yet.
    count: u32,
}

impl Stretches {
    /// Goes on with the next instruction. Returns how many have to be counted before it, itself among them, if something else
    /// than the next one may follow it, or something else come before that.
    pub(super) fn next(&mut self, operator: &Operator<'_>) -> Option<(u32, End)> {
        self.count += 1;
        let end = match operator {
            Operator::Block { .. } => {
                self.labels.push(false);
                return None;
            }
            Operator::If { .. } => {
                self.labels.push(false);
                End::Unchecked
            }
            Operator::Loop { .. } => {
                self.labels.push(true);
                End::Unchecked
            }
            Operator::End => match self.labels.pop() {
                Some(_) => End::Unchecked,
                None => End::Checked,
            },
            Operator::Else => End::Unchecked,
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => self.branch(*relative_depth),
            Operator::BrOnNull { relative_depth } | Operator::BrOnNonNull { relative_depth } => {
                self.branch(*relative_depth)
            }
            Operator::Unreachable
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => End::Checked,
            _ => return None,
        };
        Some((mem::take(&mut self.count), end))
    }

    /// A branch that goes back, or out of the function, which has a label that is not here.
    fn branch(&self, depth: u32) -> End {
        let label = self.labels.iter().nth_back(usize::try_from(depth).unwrap_or(usize::MAX));
        if label == Some(&false) { End::Unchecked } else { End::Checked }
    }
}
