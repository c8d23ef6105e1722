//! From the modules of a manifest to machine code: loaded, looked up in the process and in the cache on disk, else
//! rewritten and compiled, and kept.
//!
//! Start with [`Modules`]. `shared.rs` is the code that this process has; `request.rs` gets it from the cache or has it
//! made. This layer does not know what a plugin is.

mod compiled;
mod error;
#[cfg(feature = "compiler")]
mod make;
#[cfg(not(feature = "compiler"))]
mod make_absent;
mod modules;
mod request;
mod shared;
mod source;

#[cfg(not(feature = "compiler"))]
use make_absent as make;

pub(crate) use compiled::CompiledPlugin;
pub(crate) use error::Error;
#[cfg(feature = "compiler")]
pub(crate) use make::{Made, precompile, rewrite};
pub(crate) use modules::Modules;
pub use shared::forked;
