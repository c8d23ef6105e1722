//! Replaces `preview1/` in builds without WASI, with the same interface: a plugin that imports WASI gets an error.

use std::collections::BTreeMap;

use thiserror::Error;
use wasmer::{AsStoreMut, Extern, FunctionEnv, Instance, RuntimeError};

use super::program::Program;
use crate::host::Guest;

/// Has no values: there is no WASI.
pub(crate) enum Wasi {}

/// Why a plugin cannot have WASI.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("wasi is not built in (cargo build --features wasi)")]
    NotBuiltIn,
    #[error("`allowed_paths` has no effect, wasi is not built in")]
    NoEffect,
}

/// Always `None`: no plugin can call `proc_exit`.
pub(crate) fn exit_code(_: &RuntimeError) -> Option<i32> {
    None
}

/// Faults of `allowed_paths`.
pub(crate) fn check(allowed_paths: &BTreeMap<String, String>) -> impl Iterator<Item = Error> {
    (!allowed_paths.is_empty()).then_some(Error::NoEffect).into_iter()
}

impl Wasi {
    pub(crate) fn new(
        _: &mut impl AsStoreMut,
        _: &FunctionEnv<Guest>,
        _: Program<'_>,
        _: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        Err(Error::NotBuiltIn)
    }

    pub(crate) fn import(&self, _: &mut impl AsStoreMut, _: &str, _: &str) -> Option<Extern> {
        match *self {}
    }

    pub(crate) fn attach(&self, _: &mut impl AsStoreMut, _: &Instance) -> Result<(), Error> {
        match *self {}
    }
}
