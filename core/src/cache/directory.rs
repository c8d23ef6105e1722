//! The cache: the directory that keeps compiled code and downloaded modules from one process to the next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use log::Level;
use thiserror::Error;

use super::private_dir::{PrivateDir, Readers};
use crate::environment::{self, CachePlace};
use crate::log as sink;
use crate::sync::Mutex;

/// Why there is no usable cache.
#[derive(Debug, Error)]
pub(crate) enum Unusable {
    #[error("there is none (EXTISM_CACHE_DIR)")]
    Nowhere,
    #[error("`{}` cannot be used: {cause}", path.display())]
    Refused { path: PathBuf, cause: io::Error },
}

/// The directory that could not be used last: the log says so once, not for every plugin.
static REFUSED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Logs that the directory `path` is not used, unless it was the last one that was refused.
pub(crate) fn refuse(path: &Path, error: &io::Error) {
    let mut refused = REFUSED.lock();
    if refused.replace(path.to_owned()).as_deref() != Some(path) {
        drop(refused);
        warn(format_args!("cache `{}` is not used: {error}", path.display()));
    }
}

/// The path of the cache: `EXTISM_CACHE_DIR`, else `extism-wasmer` in the user's directory for caches; `None` if it is
/// empty.
pub(crate) fn path() -> Option<PathBuf> {
    match environment::CACHE_DIR.value() {
        CachePlace::Nowhere => None,
        // `components` drops a final slash, which would make the system follow a symbolic link.
        CachePlace::At(path) => Some(path.components().collect()),
        CachePlace::Usual => Some(environment::cache_home()?.join("extism-wasmer")),
    }
}

/// Opens the cache, and makes it first if `create` is set. Only its owner may read it. Logs why it cannot be used,
/// unless it is switched off.
pub(crate) fn open(create: bool) -> Result<(PrivateDir, PathBuf), Unusable> {
    let path = path().ok_or(Unusable::Nowhere)?;
    let readers = Readers::Owner;
    match if create { PrivateDir::create(&path, readers) } else { PrivateDir::open(&path, readers) } {
        Ok(directory) => Ok((directory, path)),
        Err(cause) => {
            refuse(&path, &cause);
            Err(Unusable::Refused { path, cause })
        }
    }
}

/// Logs a fault of the cache.
pub(crate) fn warn(line: fmt::Arguments<'_>) {
    sink::record(Level::Warn, sink::TARGET, line);
}
