//! The C functions that both C libraries have, with the same names and signatures. One file a noun.
//!
//! A C library that depends on this crate exports them. Its header has them because its build script gives these files
//! to cbindgen, and its version script lists their names.
#![expect(unsafe_code, reason = "C passes pointers, and C finds functions by name")]

mod compiler;
mod current_plugin;
mod function;
mod host_function;
mod types;
mod value;
mod version;

pub use compiler::{extism_compiler, extism_compiler_available, extism_compiler_set};
pub use current_plugin::{
    extism_current_plugin_error_set, extism_current_plugin_host_context, extism_current_plugin_memory,
    extism_current_plugin_memory_alloc, extism_current_plugin_memory_free, extism_current_plugin_memory_length,
};
pub use function::{extism_function_free, extism_function_new, extism_function_set_namespace};
pub use host_function::{Error, collect};
pub use types::{
    ExtismCurrentPlugin, ExtismFunction, ExtismFunctionType, ExtismMemoryHandle, ExtismSize, ExtismVal, ExtismValType,
    ExtismValUnion,
};
pub use version::extism_wasmer_version;
