//! From a manifest entry to the verified bytes of a WebAssembly module. Nothing of the bytes is interpreted before
//! the hash that the manifest gives for them has been found right.
//!
//! This floor does not know what a module imports or how it is compiled.

mod digest;
mod file;

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::manifest::{ModuleEntry, Source};
use digest::Digest;

/// A module whose bytes are what the manifest promised, in the binary format.
#[derive(Debug)]
pub(crate) struct LoadedModule<'a> {
    pub(crate) name: String,
    pub(crate) wasm: Cow<'a, [u8]>,
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
    #[error("`{url}`: http is not built in")]
    NoHttp { url: String },
    #[error("hash of module `{name}`: `{given}` is not the 64 hex digits of a SHA-256")]
    BadHash { name: String, given: String },
    #[error("Hash mismatch, found {found} but expected {expected}")]
    HashMismatch { found: String, expected: String },
    #[error("{0}")]
    Wat(String),
}

/// Reads the module of `entry`, checks its hash, and turns WAT text into the binary format.
///
/// # Errors
/// The source cannot be read, is over the size limit, does not have the hash, or is malformed WAT.
pub(crate) fn load<'a>(entry: ModuleEntry<'a>) -> Result<LoadedModule<'a>, Error> {
    let expected = entry.hash.map(|given| Digest::parse(&entry.name, given)).transpose()?;
    let (bytes, origin) = fetch(&entry.name, entry.source)?;
    if let Some(expected) = expected {
        expected.verify(&bytes)?;
    }
    let wasm = to_binary(bytes, origin)?;
    Ok(LoadedModule { name: entry.name, wasm })
}

fn fetch<'a>(name: &str, source: Source<'a>) -> Result<(Cow<'a, [u8]>, Option<PathBuf>), Error> {
    let max = max_module_bytes()?;
    match source {
        Source::Path(path) => Ok((Cow::Owned(file::read(name, &path, max)?), Some(path))),
        Source::Data(bytes) if bytes.len() as u64 > max => Err(Error::TooLarge { name: name.to_owned(), max }),
        Source::Data(bytes) => Ok((bytes, None)),
        Source::Url(url) => Err(Error::NoHttp { url }),
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

/// A module that does not start with the magic number of the binary format is WAT text.
fn to_binary(bytes: Cow<'_, [u8]>, origin: Option<PathBuf>) -> Result<Cow<'_, [u8]>, Error> {
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes);
    }
    match wat::Parser::new().parse_bytes(origin.as_deref(), &bytes) {
        Ok(binary) => Ok(Cow::Owned(binary.into_owned())),
        Err(error) => Err(Error::Wat(error.to_string().trim_end().to_owned())),
    }
}
