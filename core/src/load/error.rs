//! Errors of loading a module, and the place that it comes from.

use std::fmt;
#[cfg(feature = "compiler")]
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::own_memory;
use crate::error::Excerpt;
#[cfg(feature = "compiler")]
use crate::error::Message;
#[cfg(feature = "http")]
use crate::http::{self, Origin};
use crate::module::contents::{self, Contents};
use crate::module::digest::Digest;

/// Why a module could not be loaded.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    File(#[from] contents::Error),
    #[error("`{}` is not a regular file", Excerpt::of(path.display()))]
    NotAFile { path: PathBuf },
    #[error("module `{name}` is larger than the limit of {max} bytes (EXTISM_MAX_MODULE_BYTES)")]
    TooLarge { name: Excerpt, max: u64 },
    #[cfg(not(feature = "http"))]
    #[error("`{url}`: http is not built in (cargo build --features http)")]
    NoHttp { url: Excerpt },
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] http::Error),
    #[cfg(feature = "http")]
    #[error("{origin}: the server answered with status {status}, not with a module")]
    Status { origin: Origin, status: u16 },
    #[cfg(feature = "http")]
    #[error("`{url}`: not on disk, and EXTISM_OFFLINE forbids to fetch it")]
    Offline { url: Excerpt },
    #[cfg(feature = "http")]
    #[error("`{url}`: timeout while somebody else fetches it")]
    Busy { url: Excerpt },
    #[error("module `{name}`: no room for its {size} bytes")]
    NoRoom { name: Excerpt, size: usize },
    #[error("module `{name}`: {cause}")]
    Memory { name: Excerpt, cause: own_memory::Error },
    #[error("hash of module `{name}`: `{given}` is not the 64 hex digits of a SHA-256")]
    BadHash { name: Excerpt, given: Excerpt },
    #[error("Hash mismatch, found {found} but expected {expected}: {origin} is not what the manifest's `hash` is of")]
    HashMismatch { found: Digest, expected: Digest, origin: ModuleOrigin },
    #[cfg(feature = "compiler")]
    #[error("{0}")]
    Wat(Message),
    #[cfg(feature = "compiler")]
    #[error("module `{name}`: no threads to compile with, as the system does not allow any: {cause}")]
    NoThread { name: Excerpt, cause: io::Error },
    #[cfg(feature = "compiler")]
    #[error("{origin} is not a WebAssembly module: it is {kind}")]
    NotAModule { origin: ModuleOrigin, kind: &'static str },
    #[cfg(feature = "compiler")]
    #[error("{origin} is cut off: it has {size} bytes, and goes on until byte {end} at least")]
    Cut { origin: ModuleOrigin, size: usize, end: u64 },
    #[cfg(feature = "compiler")]
    #[error("{origin} ends at byte {end}, and has {size} bytes: what follows is no section of a module")]
    Extra { origin: ModuleOrigin, size: usize, end: usize },
}

/// Where a module comes from, as errors say it.
#[derive(Debug)]
pub(crate) enum ModuleOrigin {
    /// The manifest or the caller, which gave the bytes of the module of this name.
    Given(Excerpt),
    /// A file or an address.
    Place(Excerpt),
}

impl ModuleOrigin {
    /// The file that `contents` are in, else the module called `name`.
    pub(super) fn of(contents: &Contents, name: &str) -> Self {
        match contents.path() {
            Some(path) => Self::Place(Excerpt::of(path.display())),
            None => Self::Given(Excerpt::of(name)),
        }
    }
}

impl fmt::Display for ModuleOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(name) => write!(f, "module `{name}`"),
            Self::Place(place) => write!(f, "`{place}`"),
        }
    }
}
