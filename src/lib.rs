//! libextism on Wasmer: runs untrusted WebAssembly plugins behind the C ABI of Extism 0.1.0.
//!
//! The C functions in [`ffi`] are the whole interface; `extism.h` is generated from them. ARCHITECTURE.md has the
//! floors below and the rule that each uses only those beneath it.

mod cache_dir;
mod contents;
mod context;
mod digest;
mod engine;
mod error;
pub mod ffi;
mod guest;
#[cfg(feature = "http")]
mod http;
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    expect(dead_code, reason = "what stops a plugin in its own code is not there")
)]
mod interrupt;
mod loader;
mod log;
mod manifest;
mod module_bytes;
mod outlet;
mod plugin;
mod private_dir;
mod read;
mod recent;
mod sync;
#[cfg(feature = "compiler")]
pub mod tool;
mod write_signals;
