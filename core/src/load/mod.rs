//! Turns a manifest entry into the verified bytes of a WebAssembly module. The bytes are not interpreted before their
//! hash was compared with the manifest's.
//!
//! This floor does not know what a module imports or how it is compiled.

#[cfg(feature = "http")]
mod download;
#[cfg(not(feature = "http"))]
mod download_absent;
mod file;
#[cfg(feature = "compiler")]
mod text;

#[cfg(feature = "compiler")]
use std::borrow::Cow;
#[cfg(feature = "compiler")]
use std::fmt;
#[cfg(feature = "compiler")]
use std::io;
#[cfg(feature = "compiler")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use thiserror::Error;

#[cfg(not(feature = "http"))]
use download_absent as download;

use crate::environment;
use crate::error::Excerpt;
#[cfg(feature = "compiler")]
use crate::error::Message;
#[cfg(feature = "http")]
use crate::http::{self, Origin};
use crate::manifest::{ModuleEntry, Source};
use crate::module::contents::{self, Contents};
use crate::module::digest::Digest;
#[cfg(feature = "compiler")]
use crate::module::kind::{self, Extent};
use download::Wanted;

/// A module whose bytes match the manifest's hash, if it has one.
#[derive(Debug)]
pub(crate) struct LoadedModule {
    pub(crate) name: String,
    /// A binary or WAT text.
    pub(crate) contents: Contents,
    /// The address that they come from, if it is one, as errors show it.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
    address: Option<Excerpt>,
    /// The bytes' SHA-256, if the manifest has one.
    pub(crate) sha256: Option<Digest>,
}

/// Where a module comes from, as errors say it.
#[derive(Debug)]
pub(crate) enum ModuleOrigin {
    /// The manifest or the caller, which gave the bytes of the module of this name.
    Given(Excerpt),
    /// A file or an address.
    Place(Excerpt),
}

impl fmt::Display for ModuleOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(name) => write!(f, "module `{name}`"),
            Self::Place(place) => write!(f, "`{place}`"),
        }
    }
}

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

/// The SHA-256 that the manifest gives for the module of `entry`.
///
/// # Errors
/// It is not a SHA-256.
pub(crate) fn expected_hash(entry: &ModuleEntry<'_>) -> Result<Option<Digest>, Error> {
    let Some(given) = &entry.hash else { return Ok(None) };
    let bad = || Error::BadHash { name: Excerpt::of(&entry.name), given: Excerpt::of(given) };
    Digest::parse(given).ok_or_else(bad).map(Some)
}

/// Loads the module of `entry`, by `deadline` at the latest, and checks its hash.
///
/// # Errors
/// The source cannot be read, is over the size limit, or has another hash.
pub(crate) fn load(entry: ModuleEntry<'_>, deadline: Option<Instant>) -> Result<LoadedModule, Error> {
    let (sha256, max) = (expected_hash(&entry)?, environment::MAX_MODULE_BYTES.value());
    let address = match &entry.source {
        #[cfg(feature = "http")]
        Source::Url(remote) => Some(http::shown(&remote.url)),
        _ => None,
    };
    let contents = match entry.source {
        Source::Path(path) => verified(file::open(&entry.name, &path, max)?, &entry.name, sha256)?,
        Source::Data(bytes) if bytes.len() as u64 > max => {
            return Err(Error::TooLarge { name: Excerpt::of(entry.name), max });
        }
        Source::Data(bytes) => {
            let size = bytes.len();
            let no_room = |_| Error::NoRoom { name: Excerpt::of(&entry.name), size };
            verified(Contents::of_bytes(bytes).map_err(no_room)?, &entry.name, sha256)?
        }
        Source::Url(remote) => {
            // Verified while it is downloaded.
            let wanted = Wanted { remote: &remote, expected: sha256, max, deadline };
            Contents::of_module(wanted.load()?, None)
        }
    };
    Ok(LoadedModule { name: entry.name, contents, address, sha256 })
}

/// The bytes of the regular file at `path`, at most as many as a module may have.
///
/// # Errors
/// The file cannot be read, is not a regular file, or is longer.
#[cfg(feature = "compiler")]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let name = path.display().to_string();
    let contents = file::open(&name, path, environment::MAX_MODULE_BYTES.value())?;
    Ok(contents.bytes()?.as_slice().to_vec())
}

/// `contents` of the module called `name`, if they have this hash.
fn verified(contents: Contents, name: &str, sha256: Option<Digest>) -> Result<Contents, Error> {
    if let Some(expected) = sha256 {
        let found = contents.sha256()?;
        if found != expected {
            return Err(Error::HashMismatch { found, expected, origin: origin(&contents, name) });
        }
    }
    Ok(contents)
}

/// The file that `contents` are in, else the module called `name`.
fn origin(contents: &Contents, name: &str) -> ModuleOrigin {
    match contents.path() {
        Some(path) => ModuleOrigin::Place(Excerpt::of(path.display())),
        None => ModuleOrigin::Given(Excerpt::of(name)),
    }
}

#[cfg(feature = "compiler")]
impl LoadedModule {
    /// Where it comes from.
    pub(crate) fn origin(&self) -> ModuleOrigin {
        let address = self.address.clone().map(ModuleOrigin::Place);
        address.unwrap_or_else(|| origin(&self.contents, &self.name))
    }

    /// The module in binary: bytes without the magic number of the binary format are read as WAT.
    ///
    /// # Errors
    /// The bytes are neither binary nor WAT, are malformed, or cannot be read.
    pub(crate) fn to_binary(&self) -> Result<Cow<'_, [u8]>, Error> {
        let bytes = self.contents.bytes()?.as_slice();
        if kind::is_binary(bytes) {
            let (origin, size) = (|| self.origin(), bytes.len());
            return match kind::extent(bytes) {
                Extent::Cut { end } => Err(Error::Cut { origin: origin(), size, end }),
                Extent::Extra { end } => Err(Error::Extra { origin: origin(), size, end }),
                Extent::Whole => Ok(Cow::Borrowed(bytes)),
            };
        }
        if !kind::is_wat(bytes) {
            return Err(Error::NotAModule { origin: self.origin(), kind: kind::of(bytes) });
        }
        text::to_binary(&self.name, self.contents.path(), kind::without_mark(bytes)).map(Cow::Owned)
    }
}
