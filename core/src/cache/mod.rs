//! The cache: compiled code and downloaded modules, which one process keeps on disk for the next. They are in a
//! directory that only its owner and root can write to.
//!
//! Start with `directory.rs`. A fault of the cache is a miss and a line in the log. A plugin fails only if what is
//! missing cannot be compiled, or fetched, either.

pub(crate) mod code;
pub(crate) mod directory;
#[cfg(feature = "http")]
pub(crate) mod downloads;
pub(crate) mod private_dir;
#[cfg(any(feature = "compiler", feature = "http"))]
mod shelf;
