//! The environment variables. The library's own code reads them only here, once, when the library is first used.
//!
//! While one thread calls `setenv`, the C library's `getenv` on another may read freed memory. Programs mostly set
//! variables before they have other threads, so all variables are copied at the first use. The copy serves the
//! library's own code. Dependencies are made to read theirs at the first use too; the C library still reads a few later
//! (`first_use.rs`). Variables of this library that are set later have no effect.
//!
//! Start with `variables.rs`, which declares each variable of this library once. An empty value counts as unset, except
//! for `EXTISM_CACHE_DIR`. A wrong value is an error of every plugin that is made, see [`check`].

mod snapshot;
mod variables;

#[cfg(feature = "compiler")]
pub(crate) use snapshot::read_with;
pub(crate) use snapshot::{cache_home, read, text};
#[cfg(any(feature = "compiler", feature = "http"))]
pub(crate) use variables::CACHE_MAX_BYTES;
#[cfg(feature = "wasi")]
pub(crate) use variables::INHERIT_OUTPUT;
#[cfg(feature = "http")]
pub(crate) use variables::OFFLINE;
pub(crate) use variables::{
    CACHE_DIR, CACHE_MEMORY_BYTES, COMPILER, CachePlace, Error, MAX_MODULE_BYTES, TIMEOUT, check,
};

#[cfg(test)]
mod tests;
