//! Limits the cost of compiling a module. Start with `estimate.rs`; `price.rs` has the measured prices.

mod estimate;
mod operators;
mod price;

pub(super) use estimate::Effort;
