//! The environment variables. This file alone reads them, once, when the library is first used.
//!
//! While one thread calls `setenv`, the C library's `getenv` on another may read freed memory. Programs mostly set
//! variables before they have other threads, so all variables are copied at the first use. The copy serves all readers,
//! even dependencies that would read the environment themselves (`first_use.rs`). Variables set later have no effect.
//!
//! Each variable of this library is declared here once. An empty value counts as unset, except for `EXTISM_CACHE_DIR`.
//! A wrong value is an error of every plugin that is made, see [`check`].

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use thiserror::Error;

use crate::error::Excerpt;

/// A variable of this library.
pub(crate) struct Variable<T> {
    name: &'static str,
    default: T,
    /// True if an empty value counts as set.
    may_be_empty: bool,
    /// Reads a value; `None` if it is wrong.
    read: fn(&'static OsStr) -> Option<T>,
    /// The end of the error message for a wrong value.
    wrong: &'static str,
}

/// The place of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePlace {
    /// Below the user's directory for caches.
    Usual,
    Nowhere,
    At(&'static Path),
}

/// The default compiler, if neither the manifest nor the program chooses one.
pub(crate) static COMPILER: Variable<Option<&str>> = Variable {
    name: "EXTISM_COMPILER",
    default: None,
    may_be_empty: false,
    read: |value| value.to_str().map(Some),
    wrong: "is not the name of a compiler",
};

/// The directory of the cache, for compiled code and downloads.
pub(crate) static CACHE_DIR: Variable<CachePlace> = Variable {
    name: "EXTISM_CACHE_DIR",
    default: CachePlace::Usual,
    may_be_empty: true,
    read: |value| Some(if value.is_empty() { CachePlace::Nowhere } else { CachePlace::At(Path::new(value)) }),
    wrong: "is not a directory",
};

/// The maximum size on disk of compiled code, and also of downloads, in bytes each.
pub(crate) static CACHE_MAX_BYTES: Variable<u64> = bytes("EXTISM_CACHE_MAX_BYTES", 1 << 30);

/// The maximum size of compiled code and module bytes that the process keeps in memory for later plugins, in bytes.
pub(crate) static CACHE_MEMORY_BYTES: Variable<u64> = bytes("EXTISM_CACHE_MEMORY_BYTES", 64 << 20);

/// The maximum duration of a call, if the manifest does not set one.
pub(crate) static TIMEOUT: Variable<Option<Duration>> = Variable {
    name: "EXTISM_TIMEOUT_MS",
    default: None,
    may_be_empty: false,
    read: |value| number(value).map(Duration::from_millis).map(Some),
    wrong: "is no number of milliseconds",
};

/// True if no module may be fetched from the network.
pub(crate) static OFFLINE: Variable<bool> = Variable {
    name: "EXTISM_OFFLINE",
    default: false,
    may_be_empty: false,
    read: |value| Some(value != "0"),
    wrong: "is neither 0 nor 1",
};

/// The maximum size of a module, in bytes.
pub(crate) static MAX_MODULE_BYTES: Variable<u64> = bytes("EXTISM_MAX_MODULE_BYTES", 256 << 20);

/// True if plugins' standard output and error go to the process's.
pub(crate) static INHERIT_OUTPUT: Variable<bool> = Variable {
    name: "EXTISM_ENABLE_WASI_OUTPUT",
    default: false,
    may_be_empty: false,
    read: |_| Some(true),
    wrong: "is not a value",
};

/// All variables of this library.
static ALL: [&dyn Checked; 8] = [
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
    Variable { name, default, may_be_empty: false, read: number, wrong: "is not a number of bytes" }
}

fn number(value: &OsStr) -> Option<u64> {
    value.to_str()?.trim().parse().ok()
}

/// A variable whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name}: `{value}` {wrong}")]
pub(crate) struct Error {
    name: &'static str,
    value: Excerpt,
    wrong: &'static str,
}

impl<T: Copy> Variable<T> {
    /// The value; the default if it is unset, or wrong, which [`check`] reports.
    pub(crate) fn value(&'static self) -> T {
        self.of(snapshot()).unwrap_or(self.default)
    }

    fn of(&self, snapshot: &'static Snapshot) -> Result<T, Error> {
        let Some(value) = snapshot.get(self.name, self.may_be_empty) else { return Ok(self.default) };
        let error = || Error { name: self.name, value: Excerpt::of(value.to_string_lossy()), wrong: self.wrong };
        (self.read)(value).ok_or_else(error)
    }
}

/// A variable of any type.
trait Checked: Sync {
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

/// A copy of the environment.
struct Snapshot {
    variables: HashMap<OsString, OsString>,
    /// The user's home directory, from `HOME` or the system.
    home: Option<PathBuf>,
}

static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();

fn snapshot() -> &'static Snapshot {
    SNAPSHOT.get_or_init(|| Snapshot::new(env::vars_os()))
}

impl Snapshot {
    fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut snapshot = Self { variables: variables.into_iter().collect(), home: None };
        snapshot.home = match snapshot.get("HOME", false) {
            Some(home) => Some(PathBuf::from(home)),
            None => env::home_dir(),
        };
        snapshot
    }

    fn get(&self, name: &str, may_be_empty: bool) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name)).map(OsString::as_os_str);
        value.filter(|value| may_be_empty || !value.is_empty())
    }

    /// The user's cache directory: `XDG_CACHE_HOME` if it is absolute, else `.cache` in the home directory.
    fn cache_home(&self) -> Option<PathBuf> {
        let given = self.get("XDG_CACHE_HOME", false).map(Path::new).filter(|path| path.is_absolute());
        given.map(Path::to_owned).or_else(|| Some(self.home.as_ref()?.join(".cache")))
    }
}

/// Reads the environment, unless it was read before.
pub(crate) fn read() {
    snapshot();
}

/// Reads the environment with `changes` applied. False if it was read before; the changes then have no effect.
#[cfg(feature = "compiler")]
pub(crate) fn read_with(changes: impl IntoIterator<Item = (OsString, OsString)>) -> bool {
    SNAPSHOT.set(Snapshot::new(env::vars_os().chain(changes))).is_ok()
}

/// Checks all variables of this library. Called before each plugin is made.
///
/// # Errors
/// A variable has a wrong value; the error names it.
pub(crate) fn check() -> Result<(), Error> {
    static CHECKED: OnceLock<Result<(), Error>> = OnceLock::new();
    CHECKED.get_or_init(|| ALL.iter().try_for_each(|variable| variable.check(snapshot()))).clone()
}

/// The value of any variable, if it is UTF-8.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    snapshot().get(name, true)?.to_str()
}

/// The user's directory for caches.
pub(crate) fn cache_home() -> Option<PathBuf> {
    snapshot().cache_home()
}

#[cfg(test)]
mod tests;
