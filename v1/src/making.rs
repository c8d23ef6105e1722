//! Makes plugins and compiled plugins.

use std::sync::Arc;

use thiserror::Error;

use extism_capi::callback::with_host_context;
use extism_capi::{arg, ffi};
use extism_core::abi::Abi;
use extism_core::error;
use extism_core::plugin::{self, CompiledPlugin, HostFunction, Options, PluginError};

use crate::id::Id;
use crate::plugin::Plugin;
use crate::registry::{self, COMPILED};

/// The arguments of C for a plugin or a compiled plugin.
pub(crate) struct Parts<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) functions: Vec<HostFunction>,
    pub(crate) with_wasi: bool,
    pub(crate) fuel: Option<u64>,
}

/// Why there is no plugin.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Functions(#[from] ffi::Error),
    #[error("Unable to compile Extism plugin: {0}")]
    Compile(String),
    #[error("Unable to create Extism plugin: {0}")]
    Create(String),
}

impl From<arg::Error> for Error {
    fn from(error: arg::Error) -> Self {
        Self::Compile(error.to_string())
    }
}

impl From<PluginError> for Error {
    fn from(error: PluginError) -> Self {
        let text = error::describe(&error);
        if error.is_out_of_fuel() { Self::Create(text) } else { Self::Compile(text) }
    }
}

/// Makes a plugin, and returns its token.
///
/// # Errors
/// It cannot be made.
pub(crate) fn plugin(parts: Parts<'_>) -> Result<usize, Error> {
    let id = id()?;
    let options = Options { label: Some(id.text()), ..options(parts.functions, parts.with_wasi, parts.fuel) };
    Ok(add(id, made(|| plugin::Plugin::new(parts.input, options))?))
}

/// Makes a compiled plugin, and returns its token.
///
/// # Errors
/// It cannot be made.
pub(crate) fn compiled_plugin(parts: Parts<'_>) -> Result<usize, Error> {
    let compiled = CompiledPlugin::new(parts.input, options(parts.functions, parts.with_wasi, parts.fuel))?;
    Ok(COMPILED.insert(Arc::new(compiled)))
}

/// Makes a plugin of the compiled plugin of a token, and returns its token.
///
/// # Errors
/// It cannot be made.
pub(crate) fn instance(compiled: usize) -> Result<usize, Error> {
    const STALE: &str = "`compiled` is NULL, has been freed, or never was a compiled plugin";
    let compiled = COMPILED.get(compiled).ok_or_else(|| Error::Create(STALE.to_owned()))?;
    let id = id()?;
    let made = made(|| compiled.instantiate(Some(id.text())));
    Ok(add(id, made.map_err(|error| Error::Create(error::describe(&error)))?))
}

/// Runs `make`, in which start functions may call host functions: those have no host context, even if the program makes
/// the plugin from inside a call that has one.
fn made<T>(make: impl FnOnce() -> T) -> T {
    with_host_context(std::ptr::null_mut(), make)
}

fn add(id: Id, plugin: plugin::Plugin) -> usize {
    registry::add(Plugin::new(plugin, id))
}

fn id() -> Result<Id, Error> {
    Id::new().map_err(|error| Error::Create(format!("no random numbers for the plugin's id: {error}")))
}

fn options(functions: Vec<HostFunction>, wasi: bool, fuel: Option<u64>) -> Options {
    Options { abi: Abi::V1, wasi, functions, fuel, ..Options::default() }
}
