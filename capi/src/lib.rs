//! The parts that the C libraries share: everything about C that does not depend on whose functions they are.
//!
//! A C library has functions, and a table of what its tokens stand for. Each function reads its arguments with [`arg`]
//! and runs inside [`guard`]; plugins are in [`handle`]s. The functions that are the same in all C libraries are in
//! [`ffi`]; each library has its others itself, as the same names there mean other functions.

pub mod arg;
pub mod boolean;
pub mod callback;
pub mod cancel;
pub mod compiler;
pub mod error_text;
pub mod ffi;
pub mod fork;
pub mod guard;
pub mod handed_out;
pub mod handle;
pub mod log;
pub mod recent;
pub mod thread_end;
pub mod thread_errors;
pub mod thread_life;
pub mod thread_number;
pub mod token;
