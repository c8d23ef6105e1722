//! Stand-ins for what the plugin of the 1.x library uses beside its own files and those of the model of the registry.

use std::ffi::c_void;
use std::fmt;

use crate::plugin::{CallFailure, Plugin, PluginError};

/// Why an argument cannot be used. Here, all can.
#[derive(Debug)]
pub(crate) enum ArgumentError {}

impl fmt::Display for ArgumentError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// The answers that are to be had while a plugin runs.
pub(crate) struct Facts;

impl Facts {
    pub(crate) fn is_callable(&self, _name: &str) -> bool {
        true
    }

    pub(crate) fn configure(&self, _json: &[u8]) -> Result<(), PluginError> {
        Ok(())
    }

    pub(crate) fn keep_http_headers(&self) {}
}

impl Plugin {
    pub(crate) fn facts(&self) -> Facts {
        Facts
    }

    /// The output of the last call. Its bytes are where they were at the end of that.
    pub(crate) fn output_in_place(&mut self) -> &[u8] {
        self.used(|_| {});
        &self.output
    }

    pub(crate) fn reset(&mut self) -> bool {
        self.used(|plugin| plugin.output.clear());
        true
    }
}

/// The number of a plugin.
pub(crate) struct Id(pub(crate) u8);

impl Id {
    pub(crate) fn address(&self) -> *const u8 {
        &raw const self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) fn with_host_context<T>(_context: *mut c_void, work: impl FnOnce() -> T) -> T {
    work()
}

pub(crate) fn note_failure_v1(_label: Option<&str>, _text: &str) {}

pub(crate) fn code(failure: &CallFailure) -> i32 {
    failure.code
}

pub(crate) fn text(failure: CallFailure) -> String {
    failure.text()
}
