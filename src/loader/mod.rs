//! From a manifest entry to the verified bytes of a WebAssembly module. Nothing of the bytes is interpreted before
//! the hash that the manifest gives for them has been found right.
//!
//! This floor does not know what a module imports or how it is compiled.

#[cfg_attr(not(feature = "http"), path = "download_absent.rs")]
mod download;
mod file;

#[cfg(feature = "compiler")]
use std::borrow::Cow;
#[cfg(feature = "compiler")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use thiserror::Error;

use crate::contents::{self, Contents};
use crate::digest::Digest;
use crate::environment;
#[cfg(feature = "http")]
use crate::http;
use crate::manifest::{ModuleEntry, Source};
#[cfg(all(feature = "compiler", feature = "http"))]
pub(crate) use download::Kept as Downloads;
use download::Wanted;

/// A module whose bytes are what the manifest promised.
#[derive(Debug)]
pub(crate) struct LoadedModule {
    pub(crate) name: String,
    /// A binary or WAT text.
    pub(crate) contents: Contents,
    /// The bytes' SHA-256, if the manifest has one.
    pub(crate) sha256: Option<Digest>,
}

/// Why a module could not be loaded.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    File(#[from] contents::Error),
    #[error("`{}` is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("module `{name}` is larger than the limit of {max} bytes (EXTISM_MAX_MODULE_BYTES)")]
    TooLarge { name: String, max: u64 },
    #[cfg(not(feature = "http"))]
    #[error("`{url}`: http is not built in")]
    NoHttp { url: String },
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] http::Error),
    #[cfg(feature = "http")]
    #[error("{origin}: the server answered with status {status}, not with a module")]
    Status { origin: String, status: u16 },
    #[cfg(feature = "http")]
    #[error("`{url}`: not on disk, and EXTISM_OFFLINE forbids to fetch it")]
    Offline { url: String },
    #[cfg(feature = "http")]
    #[error("`{url}`: timeout while somebody else fetches it")]
    Busy { url: String },
    #[error("module `{name}`: no room for its {size} bytes")]
    NoRoom { name: String, size: usize },
    #[error("hash of module `{name}`: `{given}` is not the 64 hex digits of a SHA-256")]
    BadHash { name: String, given: String },
    #[error("Hash mismatch, found {found} but expected {expected}")]
    HashMismatch { found: Digest, expected: Digest },
    #[cfg(feature = "compiler")]
    #[error("{0}")]
    Wat(String),
}

/// The SHA-256 that the manifest has for the module of `entry`.
///
/// # Errors
/// It is none.
pub(crate) fn expected_hash(entry: &ModuleEntry<'_>) -> Result<Option<Digest>, Error> {
    let Some(given) = &entry.hash else { return Ok(None) };
    let bad = || Error::BadHash { name: entry.name.clone(), given: given.clone() };
    Digest::parse(given).ok_or_else(bad).map(Some)
}

/// Gets the module of `entry`, until `deadline`, and checks its hash.
///
/// # Errors
/// The source cannot be read, is over the size limit, or does not have the hash.
pub(crate) fn load(entry: ModuleEntry<'_>, deadline: Option<Instant>) -> Result<LoadedModule, Error> {
    let (sha256, max) = (expected_hash(&entry)?, environment::MAX_MODULE_BYTES.value());
    let contents = match entry.source {
        Source::Path(path) => verified(file::open(&entry.name, &path, max)?, sha256)?,
        Source::Data(bytes) if bytes.len() as u64 > max => return Err(Error::TooLarge { name: entry.name, max }),
        Source::Data(bytes) => {
            let size = bytes.len();
            let contents = Contents::of_bytes(bytes).map_err(|_| Error::NoRoom { name: entry.name.clone(), size })?;
            verified(contents, sha256)?
        }
        Source::Url(remote) => {
            // Verified as it comes.
            let wanted = Wanted { remote: &remote, expected: sha256, max, deadline };
            Contents::of_module(wanted.load()?, None)
        }
    };
    Ok(LoadedModule { name: entry.name, contents, sha256 })
}

/// The bytes of the regular file at `path`, which is no longer than a module may be.
///
/// # Errors
/// It cannot be read, is no regular file, or is longer.
#[cfg(feature = "compiler")]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let name = path.display().to_string();
    let contents = file::open(&name, path, environment::MAX_MODULE_BYTES.value())?;
    Ok(contents.bytes()?.as_slice().to_vec())
}

fn verified(contents: Contents, sha256: Option<Digest>) -> Result<Contents, Error> {
    if let Some(expected) = sha256 {
        let found = contents.sha256()?;
        if found != expected {
            return Err(Error::HashMismatch { found, expected });
        }
    }
    Ok(contents)
}

#[cfg(feature = "compiler")]
impl LoadedModule {
    /// The module as a binary: what does not start with the magic number of the format is WAT text.
    ///
    /// # Errors
    /// The text is malformed, or cannot be read.
    pub(crate) fn to_binary(&self) -> Result<Cow<'_, [u8]>, Error> {
        let bytes = self.contents.bytes()?.as_slice();
        if bytes.starts_with(b"\0asm") {
            return Ok(Cow::Borrowed(bytes));
        }
        match wat::Parser::new().parse_bytes(self.contents.path(), bytes) {
            Ok(binary) => Ok(Cow::Owned(binary.into_owned())),
            Err(error) => Err(Error::Wat(error.to_string().trim_end().to_owned())),
        }
    }
}
