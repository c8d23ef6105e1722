//! The core of libextism on Wasmer: runs untrusted WebAssembly plugins. It knows no C type; the C libraries and the
//! command-line tool stand on it.
//!
//! Start with [`plugin::Plugin`]. Builds with a compiler also have `code::precompile`, which compiles modules ahead of
//! time, and `cache_files`, which lists and removes what the cache on disk has. ARCHITECTURE.md has the rooms, and the
//! rule that each uses only those below it.

pub mod abi;
mod cache;
#[cfg(feature = "compiler")]
pub mod cache_files;
pub mod code;
pub mod compiler;
mod environment;
pub mod error;
pub mod first_use;
pub mod fork;
mod host;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "compiler")]
pub mod input;
mod load;
pub mod log;
mod manifest;
mod module;
mod outlet;
pub mod panics;
#[cfg(feature = "compiler")]
#[doc(hidden)]
pub mod phases;
pub mod plugin;
mod read;
pub mod reserve;
#[cfg(feature = "compiler")]
mod rewrite;
pub mod sandbox;
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    expect(dead_code, reason = "what stops a plugin in its own code is not there")
)]
pub mod stop;
pub mod sync;
mod value;
mod wasi;
mod write_signals;
