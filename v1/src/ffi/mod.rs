//! The C interface: borrows what C passes, calls the rest of the library, hands the result back. One file a noun; the
//! functions about host functions are in `extism_capi::ffi`. Start with `call.rs`.
#![expect(unsafe_code, reason = "C passes pointers, and C finds functions by name")]

mod call;
mod cancel;
mod compiled_plugin;
mod create;
mod guarded;
mod log;
mod output;
mod plugin;
mod settings;
mod version;

pub use call::{
    extism_error, extism_plugin_call, extism_plugin_call_with_host_context, extism_plugin_error,
    extism_plugin_fuel_consumed,
};
pub use cancel::{ExtismCancelHandle, extism_plugin_cancel, extism_plugin_cancel_handle};
pub use compiled_plugin::{
    ExtismCompiledPlugin, extism_compiled_plugin_free, extism_compiled_plugin_new,
    extism_compiled_plugin_new_with_fuel_limit, extism_plugin_new_from_compiled,
};
pub use extism_capi::ffi::{
    ExtismCurrentPlugin, ExtismFunction, ExtismFunctionType, ExtismMemoryHandle, ExtismSize, ExtismVal, ExtismValType,
    ExtismValUnion, extism_compiler, extism_compiler_available, extism_compiler_set, extism_current_plugin_error_set,
    extism_current_plugin_host_context, extism_current_plugin_memory, extism_current_plugin_memory_alloc,
    extism_current_plugin_memory_free, extism_current_plugin_memory_length, extism_function_free, extism_function_new,
    extism_function_set_namespace, extism_wasmer_version,
};
pub use log::{ExtismLogDrainFunctionType, extism_log_custom, extism_log_drain, extism_log_file};
pub use output::{extism_plugin_output_data, extism_plugin_output_length};
pub use plugin::{
    ExtismPlugin, extism_plugin_free, extism_plugin_id, extism_plugin_new, extism_plugin_new_error_free,
    extism_plugin_new_with_fuel_limit, extism_plugin_reset,
};
pub use settings::{extism_plugin_allow_http_response_headers, extism_plugin_config, extism_plugin_function_exists};
pub use version::extism_version;
