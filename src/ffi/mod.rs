//! The C interface: borrows what C passes, calls `context/` or `capi/`, hands the result back. One file a noun;
//! `extism.h` is generated from the documentation and signatures here. Start with `in_context.rs`, through which most
//! functions go.
#![expect(unsafe_code, reason = "C passes pointers, and C finds functions by name")]

mod cancel;
mod context;
mod in_context;
mod log;
mod plugin;

pub use extism_capi::ffi::{extism_compiler, extism_compiler_available, extism_compiler_set, extism_wasmer_version};

pub use cancel::{ExtismCancelHandle, extism_cancel_handle_free, extism_plugin_cancel, extism_plugin_cancel_handle};
pub use context::{ExtismContext, extism_context_free, extism_context_new, extism_context_reset};
pub use log::{extism_log_file, extism_version};
pub use plugin::{
    ExtismPlugin, ExtismSize, extism_error, extism_plugin_call, extism_plugin_config, extism_plugin_free,
    extism_plugin_fuel_used, extism_plugin_function_exists, extism_plugin_new, extism_plugin_output_data,
    extism_plugin_output_length, extism_plugin_update,
};
