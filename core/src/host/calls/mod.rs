//! The host's side of every import, one file for each subject. Inside a file, `v0` and `v1` hold the functions that
//! differ between the two guest ABIs; common functions stand outside of both.
//!
//! Start with `arguments.rs`, which all use.

mod arguments;
pub(super) mod config;
pub(super) mod http;
pub(super) mod log;
pub(super) mod memory;
pub(super) mod vars;
