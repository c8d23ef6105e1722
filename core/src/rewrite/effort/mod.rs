//! Limits the cost of compiling a module. Start with `estimate.rs`; `price.rs` has the measured prices, and `llvm.rs`
//! those of code that takes LLVM longer.

mod estimate;
mod llvm;
mod operators;
mod price;

pub(super) use estimate::Effort;
