//! The parts that the C libraries share: everything about C that does not depend on whose functions they are.
//!
//! A C library has functions, and a table of what its tokens stand for. Each function reads its arguments with [`arg`]
//! and runs inside [`guard`]; plugins are in [`handle`]s. This crate has no C functions itself: two libraries have
//! functions of the same names, and `extism.h` is generated from the source of one.

pub mod arg;
pub mod cancel;
pub mod compiler;
pub mod error_text;
pub mod fork;
pub mod guard;
pub mod handed_out;
pub mod handle;
pub mod log;
pub mod recent;
pub mod thread_end;
pub mod thread_errors;
pub mod token;
