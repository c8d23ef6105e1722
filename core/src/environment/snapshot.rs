//! The copy of the environment that all readers share.

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(super) struct Snapshot {
    variables: HashMap<OsString, OsString>,
    /// The user's home directory, from `HOME` or the system.
    home: Option<PathBuf>,
}

static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();

pub(super) fn snapshot() -> &'static Snapshot {
    SNAPSHOT.get_or_init(|| Snapshot::new(env::vars_os()))
}

impl Snapshot {
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut snapshot = Self { variables: variables.into_iter().collect(), home: None };
        snapshot.home = match snapshot.get("HOME", false) {
            Some(home) => Some(PathBuf::from(home)),
            None => env::home_dir(),
        };
        snapshot
    }

    pub(super) fn get(&self, name: &str, may_be_empty: bool) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name)).map(OsString::as_os_str);
        value.filter(|value| may_be_empty || !value.is_empty())
    }

    /// The user's cache directory: `XDG_CACHE_HOME` if it is absolute, else `.cache` in the home directory.
    pub(super) fn cache_home(&self) -> Option<PathBuf> {
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

/// The value of any variable, if it is UTF-8.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    snapshot().get(name, true)?.to_str()
}

pub(crate) fn cache_home() -> Option<PathBuf> {
    snapshot().cache_home()
}
