//! From a manifest entry to the verified bytes of a WebAssembly module. Nothing of the bytes is interpreted before
//! the hash that the manifest gives for them has been found right.
//!
//! This floor does not know what a module imports or how it is compiled.

#[cfg_attr(not(feature = "http"), path = "download_absent.rs")]
mod download;
mod file;

#[cfg(feature = "compiler")]
use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;

use crate::digest::Digest;
#[cfg(feature = "http")]
use crate::http;
use crate::manifest::{ModuleEntry, Source};
use crate::module_bytes::ModuleBytes;
#[cfg(all(feature = "compiler", feature = "http"))]
pub(crate) use download::Kept as Downloads;
use download::Wanted;

/// A module whose bytes are what the manifest promised.
#[derive(Debug)]
pub(crate) struct LoadedModule {
    pub(crate) name: String,
    /// A binary or WAT text.
    pub(crate) bytes: Arc<ModuleBytes>,
    /// The file they come from, if they come from one.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "only compilers read text"))]
    path: Option<PathBuf>,
    /// The bytes' SHA-256, if the manifest has one.
    pub(crate) sha256: Option<Digest>,
}

/// Why a module could not be loaded.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("`{}`: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("`{}` is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("module `{name}` is larger than the limit of {max} bytes (EXTISM_MAX_MODULE_BYTES)")]
    TooLarge { name: String, max: u64 },
    #[error("EXTISM_MAX_MODULE_BYTES: `{0}` is not a number of bytes")]
    BadLimit(String),
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
    let (sha256, max) = (expected_hash(&entry)?, max_module_bytes()?);
    let (bytes, path) = match entry.source {
        Source::Path(path) => (verified(file::load(&entry.name, &path, max)?, sha256)?, Some(path)),
        Source::Data(bytes) if bytes.len() as u64 > max => return Err(Error::TooLarge { name: entry.name, max }),
        Source::Data(bytes) => (verified(ModuleBytes::of_bytes(bytes), sha256)?, None),
        // Verified as it comes.
        Source::Url(remote) => (Wanted { remote: &remote, expected: sha256, max, deadline }.load()?, None),
    };
    Ok(LoadedModule { name: entry.name, bytes, path, sha256 })
}

fn verified(bytes: Arc<ModuleBytes>, sha256: Option<Digest>) -> Result<Arc<ModuleBytes>, Error> {
    match sha256 {
        Some(expected) if bytes.sha256() != expected => Err(Error::HashMismatch { found: bytes.sha256(), expected }),
        _ => Ok(bytes),
    }
}

/// The size limit for one module: 256 MiB unless the environment says otherwise.
fn max_module_bytes() -> Result<u64, Error> {
    const DEFAULT: u64 = 256 << 20;
    match std::env::var("EXTISM_MAX_MODULE_BYTES") {
        Ok(text) => text.trim().parse().map_err(|_| Error::BadLimit(text)),
        Err(_) => Ok(DEFAULT),
    }
}

#[cfg(feature = "compiler")]
impl LoadedModule {
    /// The module as a binary: what does not start with the magic number of the format is WAT text.
    ///
    /// # Errors
    /// The text is malformed.
    pub(crate) fn to_binary(&self) -> Result<Cow<'_, [u8]>, Error> {
        let bytes = self.bytes.as_slice();
        if bytes.starts_with(b"\0asm") {
            return Ok(Cow::Borrowed(bytes));
        }
        match wat::Parser::new().parse_bytes(self.path.as_deref(), bytes) {
            Ok(binary) => Ok(Cow::Owned(binary.into_owned())),
            Err(error) => Err(Error::Wat(error.to_string().trim_end().to_owned())),
        }
    }
}
