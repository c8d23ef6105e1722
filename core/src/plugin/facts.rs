//! Answers about a plugin that do not need its instance, and so are to be had while it runs.

use std::sync::Arc;

use wasmer::{ExportType, ExternType, Module, Type};

use super::error::{Error, PluginError};
use crate::code::PluginCode;
use crate::host::{self, SharedState};
use crate::manifest;
use crate::module::reserved;

/// Answers about a plugin, for any thread at any time. Changes count from the plugin's next look on.
pub struct Facts {
    /// Declared before `_code`: it must be dropped before the engine that owns its code.
    main: Option<Module>,
    _code: Arc<PluginCode>,
    state: SharedState,
}

impl Facts {
    pub(super) fn new(main: Option<Module>, code: &Arc<PluginCode>, state: &SharedState) -> Self {
        Self { main, _code: Arc::clone(code), state: SharedState::clone(state) }
    }

    /// True if the main module exports a function `name` that can be called: no parameters, and an `i32` or no result.
    pub fn is_callable(&self, name: &str) -> bool {
        let Some(main) = &self.main else { return false };
        let is_it = |export: &ExportType| export.name() == name && !reserved::is_reserved(name);
        main.exports().find(is_it).is_some_and(|export| match export.ty() {
            ExternType::Function(ty) => ty.params().is_empty() && matches!(ty.results(), [] | [Type::I32]),
            _ => false,
        })
    }

    /// Merges a JSON object of strings into the configuration; null removes a key. The other forms that a manifest may
    /// have for a map are taken, too.
    ///
    /// # Errors
    /// The text is anything else; the configuration is unchanged.
    pub fn configure(&self, json: &[u8]) -> Result<(), PluginError> {
        configure(&self.state, json)
    }

    /// Has the plugin get the headers of HTTP answers, from its next request on.
    pub fn keep_http_headers(&self) {
        if let Some(mut state) = host::hold(&self.state) {
            state.keeps_http_headers = true;
        }
    }
}

/// Merges a JSON object into the configuration of a plugin with this state.
pub(super) fn configure(state: &SharedState, json: &[u8]) -> Result<(), PluginError> {
    let changes = manifest::config_changes(json).map_err(Error::Config)?;
    let config = &mut host::hold(state).ok_or(Error::StateKept)?.config;
    for (key, value) in changes {
        match value {
            Some(value) => config.insert(key, value),
            None => config.remove(&key),
        };
    }
    Ok(())
}
