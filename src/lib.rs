//! libextism on Wasmer: runs untrusted WebAssembly plugins behind the C ABI of Extism 0.1.0.
//!
//! The C functions in [`ffi`] are the whole interface; `extism.h` is generated from them. ARCHITECTURE.md has the
//! floors below and the rule that each uses only those beneath it.

mod cache_dir;
mod contents;
mod context;
mod demangle;
mod digest;
mod engine;
mod environment;
mod error;
pub mod ffi;
mod first_use;
mod fork;
mod guest;
#[cfg(feature = "http")]
mod http;
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    expect(dead_code, reason = "the signals that stop a plugin in its own code are absent")
)]
mod interrupt;
mod loader;
mod log;
mod manifest;
mod module_bytes;
mod outlet;
mod panics;
mod plugin;
mod private_dir;
mod read;
mod recent;
mod reserve;
mod sync;
#[cfg(feature = "compiler")]
pub mod tool;
mod write_signals;
