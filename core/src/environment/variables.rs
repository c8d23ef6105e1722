//! The variables of this library.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use super::snapshot::snapshot;
use super::variable::{Checked, Error, Variable};

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
