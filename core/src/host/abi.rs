//! The two guest ABIs as one table: every host function that a plugin may import, and the Rust function that serves it.
//!
//! `env::extism_*` is the ABI of Extism 0.x plugins, `extism:host/env` that of 1.x. A plugin may use both; they share
//! one memory. Each import keeps the rules of its own ABI (an access out of bounds traps in 0.x and reads 0 in 1.x, for
//! example), so `host/` has two versions of most functions.

use wasmer::{AsStoreMut, Extern, Function, FunctionEnv, Global, StoreMut, Value};

use super::blocks::START;
use super::calls::{config, http, log, memory, vars};
use super::guest::Guest;
use super::watched::Watched;
use crate::module::reserved::FUEL_IMPORT;

/// The import module of 0.x plugins. Modules of the manifest may provide further names of it.
pub(crate) const ENV: &str = "env";

/// The import module of 1.x plugins. Only the host provides its names.
pub(crate) const HOST_MODULE: &str = "extism:host/env";

/// The name of the I/O memory in [`HOST_MODULE`].
pub(crate) const MEMORY: &str = "memory";

/// The memory and globals of [`HOST_MODULE`]; all other names of it are functions.
const HOST_OBJECTS: [&str; 4] = [MEMORY, "__data_end", "__heap_base", "extism_context"];

/// One function that a plugin may import.
struct HostFunction {
    module: &'static str,
    name: &'static str,
    make: fn(&mut StoreMut<'_>, &FunctionEnv<Guest>) -> Function,
}

macro_rules! host_functions {
    ($($module:ident :: $name:literal => $function:path,)*) => {
        &[$(HostFunction {
            module: $module,
            name: $name,
            make: |store, env| $function.make(store, env),
        },)*]
    };
}

const HOST_FUNCTIONS: &[HostFunction] = host_functions![
    ENV::"extism_input_length" => memory::input_length,
    ENV::"extism_input_offset" => memory::input_offset,
    ENV::"extism_input_load_u8" => memory::v0::input_load_u8,
    ENV::"extism_input_load_u64" => memory::v0::input_load_u64,
    ENV::"extism_alloc" => memory::v0::alloc,
    ENV::"extism_free" => memory::free,
    ENV::"extism_length" => memory::v0::length,
    ENV::"extism_load_u8" => memory::v0::load_u8,
    ENV::"extism_load_u64" => memory::v0::load_u64,
    ENV::"extism_store_u8" => memory::v0::store_u8,
    ENV::"extism_store_u64" => memory::v0::store_u64,
    ENV::"extism_output_set" => memory::v0::output_set,
    ENV::"extism_error_set" => memory::v0::error_set,
    ENV::"extism_config_get" => config::v0::config_get,
    ENV::"extism_var_get" => vars::v0::var_get,
    ENV::"extism_var_set" => vars::v0::var_set,
    ENV::"extism_http_request" => http::v0::http_request,
    ENV::"extism_http_status_code" => http::http_status_code,
    ENV::"extism_log_warn" => log::v0::warn,
    ENV::"extism_log_info" => log::v0::info,
    ENV::"extism_log_debug" => log::v0::debug,
    ENV::"extism_log_error" => log::v0::error,
    HOST_MODULE::"alloc" => memory::v1::alloc,
    HOST_MODULE::"free" => memory::free,
    HOST_MODULE::"length" => memory::v1::length,
    HOST_MODULE::"length_unsafe" => memory::v1::length,
    HOST_MODULE::"load_u8" => memory::v1::load_u8,
    HOST_MODULE::"load_u64" => memory::v1::load_u64,
    HOST_MODULE::"store_u8" => memory::v1::store_u8,
    HOST_MODULE::"store_u64" => memory::v1::store_u64,
    HOST_MODULE::"input_length" => memory::input_length,
    HOST_MODULE::"input_offset" => memory::input_offset,
    HOST_MODULE::"input_load_u8" => memory::v1::input_load_u8,
    HOST_MODULE::"input_load_u64" => memory::v1::input_load_u64,
    HOST_MODULE::"input_set" => memory::v1::input_set,
    HOST_MODULE::"output_set" => memory::v1::output_set,
    HOST_MODULE::"output_offset" => memory::v1::output_offset,
    HOST_MODULE::"output_length" => memory::v1::output_length,
    HOST_MODULE::"error_set" => memory::v1::error_set,
    HOST_MODULE::"error_get" => memory::v1::error_get,
    HOST_MODULE::"reset" => memory::v1::reset,
    HOST_MODULE::"memory_bytes" => memory::v1::memory_bytes,
    HOST_MODULE::"config_get" => config::v1::config_get,
    HOST_MODULE::"var_get" => vars::v1::var_get,
    HOST_MODULE::"var_set" => vars::v1::var_set,
    HOST_MODULE::"http_request" => http::v1::http_request,
    HOST_MODULE::"http_status_code" => http::http_status_code,
    HOST_MODULE::"http_headers" => http::v1::http_headers,
    HOST_MODULE::"log_warn" => log::v1::warn,
    HOST_MODULE::"log_info" => log::v1::info,
    HOST_MODULE::"log_debug" => log::v1::debug,
    HOST_MODULE::"log_error" => log::v1::error,
    HOST_MODULE::"log_trace" => log::v1::trace,
    HOST_MODULE::"get_log_level" => log::v1::get_log_level,
];

/// The functions whose calls the rewrite replaces by loads and stores, by their names in 1.x. Those of 0.x have a prefix.
pub(crate) const INLINED: [&str; 11] = [
    "load_u8",
    "load_u64",
    "store_u8",
    "store_u64",
    "input_load_u8",
    "input_load_u64",
    "input_length",
    "input_offset",
    "output_set",
    "output_offset",
    "output_length",
];

/// False if a host function cannot take the place of the import `module::name`: code does not call it, or only here and
/// there.
pub(crate) fn can_be_replaced(module: &str, name: &str) -> bool {
    let inlined = match module {
        HOST_MODULE => Some(name),
        ENV => name.strip_prefix("extism_"),
        _ => None,
    };
    (module, name) != FUEL_IMPORT && !inlined.is_some_and(|name| INLINED.contains(&name))
}

fn find(module: &str, name: &str) -> Option<&'static HostFunction> {
    HOST_FUNCTIONS.iter().find(|function| function.module == module && function.name == name)
}

/// True if the host provides the import `module::name`.
pub(crate) fn is_known(module: &str, name: &str) -> bool {
    (module == HOST_MODULE && HOST_OBJECTS.contains(&name))
        || (module, name) == FUEL_IMPORT
        || find(module, name).is_some()
}

/// Makes the import `module::name` for the plugin of `guest`; `None` if the host does not provide it.
pub(crate) fn import(
    store: &mut impl AsStoreMut,
    guest: &FunctionEnv<Guest>,
    module: &str,
    name: &str,
) -> Option<Extern> {
    if module == HOST_MODULE
        && let Some(object) = host_object(store, guest, name)
    {
        return Some(object);
    }
    if (module, name) == FUEL_IMPORT {
        return Some(guest.as_ref(store).fuel.as_ref()?.global().clone().into());
    }
    Some((find(module, name)?.make)(&mut store.as_store_mut(), guest).into())
}

/// The I/O memory, or a global of Extism's kernel (its own host side, in WebAssembly). `__data_end` and `__heap_base`
/// are where blocks begin, [`START`] here; `extism_context` is a slot for a reference of the host, null here.
fn host_object(store: &mut impl AsStoreMut, guest: &FunctionEnv<Guest>, name: &str) -> Option<Extern> {
    match name {
        MEMORY => Some(guest.as_ref(store).io.memory()?.clone().into()),
        "__data_end" | "__heap_base" => Some(Global::new(store, Value::I32(START as i32)).into()),
        "extism_context" => Some(Global::new_mut(store, Value::ExternRef(None)).into()),
        _ => None,
    }
}
