//! libextism on Wasmer: runs untrusted WebAssembly plugins behind the C ABI of Extism 0.1.0.
//!
//! The C functions in [`ffi`] are the whole interface; `extism.h` is generated from them. ARCHITECTURE.md has the
//! floors below and the rule that each uses only those beneath it.

mod cache;
mod code;
mod compiler;
mod context;
mod environment;
mod error;
pub mod ffi;
mod first_use;
mod fork;
mod host;
#[cfg(feature = "http")]
mod http;
mod load;
mod log;
mod manifest;
mod module;
mod outlet;
mod panics;
mod plugin;
mod read;
mod recent;
#[cfg(feature = "compiler")]
mod rewrite;
mod sandbox;
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    expect(dead_code, reason = "the signals that stop a plugin in its own code are absent")
)]
mod stop;
mod sync;
#[cfg(feature = "compiler")]
pub mod tool;
mod wasi;
mod write_signals;
