//! The variables of the environment: the only place that reads them, once, when the library is first used.
//!
//! While one thread calls `setenv`, the C library's `getenv` on another may read memory that has been freed. A program that sets
//! variables mostly does so before it has other threads, so that is when all of them are copied. From then on the copy is asked,
//! also for what dependencies would read themselves (`first_use.rs`). A variable that is set later has no effect.
//!
//! Each variable of this library is declared here once. An empty value is as good as none, but for `EXTISM_CACHE_DIR`. A value
//! that cannot be read is the error of each plugin that is made, see [`check`].

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
    /// Whether an empty value is one.
    may_be_empty: bool,
    /// Reads a value; `None` if it is wrong.
    read: fn(&'static OsStr) -> Option<T>,
    /// What is said of a value that is wrong.
    wrong: &'static str,
}

/// Where things are kept between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePlace {
    /// In the user's directory for caches.
    Usual,
    Nowhere,
    At(&'static Path),
}

/// The compiler, where neither the manifest nor the program has chosen.
pub(crate) static COMPILER: Variable<Option<&str>> = Variable {
    name: "EXTISM_COMPILER",
    default: None,
    may_be_empty: false,
    read: |value| value.to_str().map(Some),
    wrong: "is not the name of a compiler",
};

/// Where compiled code and downloads are kept.
pub(crate) static CACHE_DIR: Variable<CachePlace> = Variable {
    name: "EXTISM_CACHE_DIR",
    default: CachePlace::Usual,
    may_be_empty: true,
    read: |value| Some(if value.is_empty() { CachePlace::Nowhere } else { CachePlace::At(Path::new(value)) }),
    wrong: "is not a directory",
};

/// What compiled code, and what downloads, may grow to on disk, in bytes.
pub(crate) static CACHE_MAX_BYTES: Variable<u64> = bytes("EXTISM_CACHE_MAX_BYTES", 1 << 30);

/// How much compiled code and bytes of modules the process keeps for plugins to come, in bytes.
pub(crate) static CACHE_MEMORY_BYTES: Variable<u64> = bytes("EXTISM_CACHE_MEMORY_BYTES", 64 << 20);

/// How long a call may take, where the manifest does not say it.
pub(crate) static TIMEOUT: Variable<Option<Duration>> = Variable {
    name: "EXTISM_TIMEOUT_MS",
    default: None,
    may_be_empty: false,
    read: |value| number(value).map(Duration::from_millis).map(Some),
    wrong: "is no number of milliseconds",
};

/// Whether modules are taken from disk only.
pub(crate) static OFFLINE: Variable<bool> = Variable {
    name: "EXTISM_OFFLINE",
    default: false,
    may_be_empty: false,
    read: |value| Some(value != "0"),
    wrong: "is neither 0 nor 1",
};

/// How large a module may be, in bytes.
pub(crate) static MAX_MODULE_BYTES: Variable<u64> = bytes("EXTISM_MAX_MODULE_BYTES", 256 << 20);

/// Whether plugins' standard output and error are those of the process.
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
    /// What it says. The default if it is not set, or wrong, which [`check`] tells.
    pub(crate) fn value(&'static self) -> T {
        self.of(snapshot()).unwrap_or(self.default)
    }

    fn of(&self, snapshot: &'static Snapshot) -> Result<T, Error> {
        let Some(value) = snapshot.get(self.name, self.may_be_empty) else { return Ok(self.default) };
        let error = || Error { name: self.name, value: Excerpt::of(value.to_string_lossy()), wrong: self.wrong };
        (self.read)(value).ok_or_else(error)
    }
}

/// A variable of whatever type.
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

/// The environment as it was.
struct Snapshot {
    variables: HashMap<OsString, OsString>,
    /// The user's, from `HOME` or the system.
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

    /// `XDG_CACHE_HOME`, which counts only if it is absolute, else `.cache` in the user's home.
    fn cache_home(&self) -> Option<PathBuf> {
        let given = self.get("XDG_CACHE_HOME", false).map(Path::new).filter(|path| path.is_absolute());
        given.map(Path::to_owned).or_else(|| Some(self.home.as_ref()?.join(".cache")))
    }
}

/// Reads the environment, if that has not been done.
pub(crate) fn read() {
    snapshot();
}

/// Reads the environment as it would be with `changes`. False if it has been read before: nothing has changed then.
#[cfg(feature = "compiler")]
pub(crate) fn read_with(changes: impl IntoIterator<Item = (OsString, OsString)>) -> bool {
    SNAPSHOT.set(Snapshot::new(env::vars_os().chain(changes))).is_ok()
}

/// Whether all variables of this library can be used. Asked before each plugin is made.
///
/// # Errors
/// One cannot be; it is named.
pub(crate) fn check() -> Result<(), Error> {
    static CHECKED: OnceLock<Result<(), Error>> = OnceLock::new();
    CHECKED.get_or_init(|| ALL.iter().try_for_each(|variable| variable.check(snapshot()))).clone()
}

/// The value of any variable, if that is text.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    snapshot().get(name, true)?.to_str()
}

/// The user's directory for caches.
pub(crate) fn cache_home() -> Option<PathBuf> {
    snapshot().cache_home()
}

#[cfg(test)]
mod tests;
