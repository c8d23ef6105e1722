//! Parts that tests, fuzz targets and benchmarks share. Start with [`host`], the C interface in a safe and short form.
//!
//! The library is called by its Rust paths, so that a program with this crate in it has one copy of the library.
#![expect(missing_docs, reason = "short functions are named after the C functions that they call")]

pub mod generated;
pub mod host;
pub mod pdk;
pub mod server;
mod visible;
