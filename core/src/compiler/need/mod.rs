//! The most memory that a step of making code may need, which a [`Step`] keeps free. `module.rs` has the estimates.

#[cfg(feature = "compiler")]
mod module;
mod step;

#[cfg(feature = "compiler")]
pub(crate) use module::{Needs, to_prepare};
pub(crate) use step::Step;
