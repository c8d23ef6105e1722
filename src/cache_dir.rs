//! The directory in which things are kept from one process to the next: compiled code and downloaded modules.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use log::Level;

use crate::log as sink;
use crate::private_dir::PrivateDir;
use crate::sync::Mutex;

/// The directory that could not be used last: that is said once, not for every plugin.
static REFUSED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Says that `path` is not used.
pub(crate) fn refuse(path: &Path, error: &io::Error) {
    let mut refused = REFUSED.lock();
    if refused.replace(path.to_owned()).as_deref() != Some(path) {
        drop(refused);
        let line = format_args!("store `{}` is not used: {error}", path.display());
        sink::record(Level::Warn, sink::TARGET, line);
    }
}

/// Where it is: `EXTISM_CACHE_DIR`, else `extism-wasmer` in the user's directory for caches. `None` if
/// `EXTISM_CACHE_DIR` is empty.
pub(crate) fn path() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    match env::var_os("EXTISM_CACHE_DIR") {
        Some(path) if path.is_empty() => None,
        // Without a slash at the end, which would have a link followed.
        Some(path) => Some(Path::new(&path).components().collect()),
        None => Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("extism-wasmer")),
    }
}

/// Opens it, and makes it if `create`. What is wrong with it is a line in the log.
pub(crate) fn open(create: bool) -> Option<(PrivateDir, PathBuf)> {
    let path = path()?;
    match if create { PrivateDir::create(&path) } else { PrivateDir::open(&path) } {
        Ok(directory) => Some((directory, path)),
        Err(error) => {
            refuse(&path, &error);
            None
        }
    }
}

/// How many bytes each kind of what is kept may have: `EXTISM_CACHE_MAX_BYTES`, else 1 GiB.
#[cfg_attr(not(any(feature = "compiler", feature = "http")), expect(dead_code, reason = "nothing is kept"))]
pub(crate) fn max_bytes() -> u64 {
    const DEFAULT: u64 = 1 << 30;
    let Some(text) = env::var_os("EXTISM_CACHE_MAX_BYTES") else { return DEFAULT };
    let max = text.to_str().and_then(|text| text.trim().parse().ok());
    if max.is_none() {
        let line = format_args!("EXTISM_CACHE_MAX_BYTES: {text:?} is not a number of bytes");
        sink::record(Level::Warn, sink::TARGET, line);
    }
    max.unwrap_or(DEFAULT)
}
