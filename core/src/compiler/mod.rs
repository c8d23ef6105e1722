//! The compilers: the choice among them, their settings, and the compilation of one module into an [`Artifact`].
//!
//! Each compiler is one file with one constant, a [`Backend`], built in by the feature of its name. This layer does not
//! know what modules import, where they came from, or where their code is kept.

pub(crate) mod artifact;
#[cfg(feature = "compiler")]
mod at_work;
mod backend;
#[cfg(feature = "compiler")]
mod compile;
mod cranelift;
#[cfg(feature = "compiler")]
mod deadline;
mod error;
mod llvm;
pub(crate) mod machine;
pub(crate) mod need;
mod singlepass;

pub(crate) use artifact::Artifact;
#[cfg(feature = "compiler")]
pub(crate) use at_work::forked;
pub(crate) use backend::{Backend, by_speed, select};
pub use backend::{choose, chosen, is_built_in};
#[cfg(feature = "compiler")]
pub(crate) use backend::{backends, named};
#[cfg(feature = "compiler")]
pub(crate) use compile::{How, Prepared, Traits, begin, compile, traits};
pub(crate) use error::Error;
pub(crate) use machine::Machine;
