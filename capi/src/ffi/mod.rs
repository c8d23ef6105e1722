//! The C functions that both C libraries have, with the same names and signatures. One file a noun.
//!
//! A C library that depends on this crate exports them. Its header has them because its build script gives these files
//! to cbindgen, and its version script lists their names.
#![expect(unsafe_code, reason = "C passes pointers, and C finds functions by name")]

mod compiler;
mod version;

pub use compiler::{extism_compiler, extism_compiler_available, extism_compiler_set};
pub use version::extism_wasmer_version;
