//! The compilers: the choice among them, their settings, and the compilation of one module into an [`Artifact`].
//!
//! Each compiler is one file with one constant, a [`Backend`], built in by the feature of its name. This room does not
//! know what modules import, where they came from, or where their code is kept.
//!
//! Start with `backend.rs`, then `compile.rs`. `list.rs` has all compilers.

pub(crate) mod artifact;
#[cfg(feature = "compiler")]
mod at_work;
mod backend;
mod choice;
#[cfg(feature = "compiler")]
mod compile;
mod cranelift;
#[cfg(feature = "compiler")]
mod deadline;
mod error;
mod list;
mod llvm;
mod machine;
#[cfg(feature = "compiler")]
mod named_machine;
pub(crate) mod need;
mod singlepass;
#[cfg(feature = "compiler")]
mod threads;

pub(crate) use artifact::Artifact;
#[cfg(feature = "compiler")]
pub(crate) use at_work::forked;
pub(crate) use backend::Backend;
#[cfg(feature = "compiler")]
pub(crate) use choice::named;
pub(crate) use choice::select;
pub use choice::{choose, chosen};
#[cfg(feature = "compiler")]
pub(crate) use compile::{CompileOptions, Prepared, compile, features};
pub(crate) use error::Error;
#[cfg(feature = "compiler")]
pub(crate) use list::backends;
pub(crate) use list::by_speed;
pub use list::is_built_in;
pub(crate) use machine::Machine;
#[cfg(feature = "compiler")]
pub(crate) use threads::begin;
