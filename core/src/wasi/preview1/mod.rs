//! WASI preview 1 and preview 0 for the plugins that import it, without sockets and threads.
//!
//! The library has its own implementation, on cap-std: functions are small, none needs an async runtime, and where
//! possible the kernel confines paths to their directory (`openat2`), not a check of the path. Only the functions that
//! a module imports are made.
//!
//! Start with `wasi.rs`, the life of a plugin's WASI. `functions.rs` lists all functions; `fd.rs`, `path.rs`, `poll.rs`
//! and `process.rs` have them by family. `descriptor.rs` has the kinds of descriptors, `descriptors.rs` their table,
//! `rights.rs` the rights they report. Files are opened without waiting (`opening.rs`). All work whose size a plugin
//! chooses has yield points (`yield_point.rs`).

mod codes;
mod descriptor;
mod descriptors;
mod errno;
mod fd;
mod frame;
mod functions;
mod listing;
mod memory;
mod opening;
mod path;
mod poll;
mod process;
mod rights;
mod stdio;
#[cfg(test)]
mod tests;
mod times;
mod wasi;
mod yield_point;

pub(crate) use errno::Error;
pub(crate) use process::exit_code;
pub(crate) use wasi::{Wasi, check};
