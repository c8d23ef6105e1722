//! The C interface: borrows what C passes, calls `context/` or `capi/`, hands the result back. One file a noun;
//! `extism.h` is generated from the documentation and signatures here. Start with `in_context.rs`, through which most
//! functions go.
#![expect(unsafe_code, reason = "C passes pointers, and C finds functions by name")]

mod cancel;
mod context;
mod in_context;
mod log;
mod plugin;

pub use cancel::{ExtismCancelHandle, extism_cancel_handle_free, extism_plugin_cancel, extism_plugin_cancel_handle};
pub use context::{ExtismContext, extism_context_free, extism_context_new, extism_context_reset};
pub use extism_capi::ffi::{
    ExtismCurrentPlugin, ExtismFunction, ExtismFunctionType, ExtismMemoryHandle, ExtismSize, ExtismVal, ExtismValType,
    ExtismValUnion, extism_compiler, extism_compiler_available, extism_compiler_set, extism_current_plugin_error_set,
    extism_current_plugin_host_context, extism_current_plugin_memory, extism_current_plugin_memory_alloc,
    extism_current_plugin_memory_free, extism_current_plugin_memory_length, extism_function_free, extism_function_new,
    extism_function_set_namespace, extism_wasmer_version,
};
pub use log::{extism_log_file, extism_version};
pub use plugin::{
    ExtismPlugin, extism_error, extism_plugin_call, extism_plugin_config, extism_plugin_free, extism_plugin_fuel_used,
    extism_plugin_function_exists, extism_plugin_new, extism_plugin_new_with_functions, extism_plugin_output_data,
    extism_plugin_output_length, extism_plugin_update,
};
