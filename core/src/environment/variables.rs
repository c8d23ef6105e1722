//! The variables of this library: their names, types and defaults, and the error for a wrong value.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use thiserror::Error;

use super::snapshot::{Snapshot, snapshot};
use crate::error::Excerpt;

pub(crate) struct Variable<T> {
    pub(super) name: &'static str,
    pub(super) default: T,
    /// True if an empty value counts as set.
    may_be_empty: bool,
    /// Reads a value; `None` if it is wrong.
    read: fn(&'static OsStr) -> Option<T>,
    /// The end of the error message for a wrong value.
    wrong: &'static str,
}

/// A variable whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name}: `{value}` {wrong}")]
pub(crate) struct Error {
    pub(super) name: &'static str,
    value: Excerpt,
    wrong: &'static str,
}

impl<T: Copy> Variable<T> {
    const fn new(name: &'static str, default: T, read: fn(&'static OsStr) -> Option<T>, wrong: &'static str) -> Self {
        Self { name, default, may_be_empty: false, read, wrong }
    }

    /// The value; the default if it is unset, or wrong, which `check` reports.
    pub(crate) fn value(&'static self) -> T {
        self.of(snapshot()).unwrap_or(self.default)
    }

    pub(super) fn of(&self, snapshot: &'static Snapshot) -> Result<T, Error> {
        let Some(value) = snapshot.get(self.name, self.may_be_empty) else { return Ok(self.default) };
        let error = || Error { name: self.name, value: Excerpt::of(value.to_string_lossy()), wrong: self.wrong };
        (self.read)(value).ok_or_else(error)
    }
}

/// A variable of any type.
pub(super) trait Checked: Sync {
    fn check(&self, snapshot: &'static Snapshot) -> Result<(), Error>;
    #[cfg(test)]
    fn name(&self) -> &'static str;
}

impl<T: Copy + Sync> Checked for Variable<T> {
    fn check(&self, snapshot: &'static Snapshot) -> Result<(), Error> {
        self.of(snapshot).map(drop)
    }

    #[cfg(test)]
    fn name(&self) -> &'static str {
        self.name
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePlace {
    /// Below the user's directory for caches.
    Usual,
    Nowhere,
    At(&'static Path),
}

/// The default compiler, if neither the manifest nor the program chooses one.
pub(crate) static COMPILER: Variable<Option<&str>> =
    Variable::new("EXTISM_COMPILER", None, |value| value.to_str().map(Some), "is not the name of a compiler");

/// The directory of the cache, for compiled code and downloads.
pub(crate) static CACHE_DIR: Variable<CachePlace> = Variable {
    may_be_empty: true,
    ..Variable::new("EXTISM_CACHE_DIR", CachePlace::Usual, cache_place, "is not a directory")
};

/// The maximum size on disk of compiled code, and also of downloads, in bytes each.
pub(crate) static CACHE_MAX_BYTES: Variable<u64> = bytes("EXTISM_CACHE_MAX_BYTES", 1 << 30);

/// The maximum size of compiled code and module bytes that the process keeps in memory for later plugins, in bytes.
pub(crate) static CACHE_MEMORY_BYTES: Variable<u64> = bytes("EXTISM_CACHE_MEMORY_BYTES", 64 << 20);

/// The maximum duration of a call, if the manifest does not set one.
pub(crate) static TIMEOUT: Variable<Option<Duration>> =
    Variable::new("EXTISM_TIMEOUT_MS", None, |value| milliseconds(value).map(Some), "is no number of milliseconds");

/// True if no module may be fetched from the network.
pub(crate) static OFFLINE: Variable<bool> =
    Variable::new("EXTISM_OFFLINE", false, |value| Some(value != "0"), "is neither 0 nor 1");

/// The maximum size of a module, in bytes.
pub(crate) static MAX_MODULE_BYTES: Variable<u64> = bytes("EXTISM_MAX_MODULE_BYTES", 256 << 20);

/// True if plugins' standard output and error go to the process's.
pub(crate) static INHERIT_OUTPUT: Variable<bool> =
    Variable::new("EXTISM_ENABLE_WASI_OUTPUT", false, |_| Some(true), "is not a value");

pub(super) static ALL: [&dyn Checked; 8] = [
    &COMPILER,
    &CACHE_DIR,
    &CACHE_MAX_BYTES,
    &CACHE_MEMORY_BYTES,
    &TIMEOUT,
    &OFFLINE,
    &MAX_MODULE_BYTES,
    &INHERIT_OUTPUT,
];

const fn bytes(name: &'static str, default: u64) -> Variable<u64> {
    Variable::new(name, default, number, "is not a number of bytes")
}

fn cache_place(value: &'static OsStr) -> Option<CachePlace> {
    Some(if value.is_empty() { CachePlace::Nowhere } else { CachePlace::At(Path::new(value)) })
}

fn milliseconds(value: &OsStr) -> Option<Duration> {
    number(value).map(Duration::from_millis)
}

fn number(value: &OsStr) -> Option<u64> {
    value.to_str()?.trim().parse().ok()
}

/// Checks all variables of this library. Called before each plugin is made.
pub(crate) fn check() -> Result<(), Error> {
    static CHECKED: OnceLock<Result<(), Error>> = OnceLock::new();
    CHECKED.get_or_init(|| ALL.iter().try_for_each(|variable| variable.check(snapshot()))).clone()
}
