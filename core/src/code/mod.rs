//! From the modules of a manifest to machine code: loaded, looked up in the process and in the cache on disk, else
//! rewritten and compiled, and kept.
//!
//! Start with `lookup.rs`, which does all that for the [`Modules`] of a plugin. `shared.rs` has the code that this
//! process keeps, also for plugins to come. `make.rs` rewrites and compiles. `precompile.rs` fills a cache ahead of
//! time. This room knows manifests' modules and their code. It knows neither instances nor calls.

mod compiled;
mod error;
mod lookup;
#[cfg(feature = "compiler")]
mod make;
#[cfg(not(feature = "compiler"))]
mod make_absent;
mod modules;
#[cfg(feature = "compiler")]
pub mod precompile;
mod request;
mod shared;

#[cfg(not(feature = "compiler"))]
use make_absent as make;

pub(crate) use compiled::PluginCode;
pub(crate) use error::Error;
#[cfg(feature = "compiler")]
pub(crate) use make::rewrite;
pub(crate) use modules::Modules;
pub use shared::forked;
