//! The cache of downloads: modules, and what their servers answered last.
//!
//! ```text
//! downloads/modules/SHA-256    the bytes
//! downloads/addresses/KEY      the last answer of an address, a `CachedDownload`
//! downloads/locks/NAME         locked during a fetch
//! ```
//!
//! Any damage is logged and leads to a new download.

use std::io;
#[cfg(feature = "compiler")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::directory::{self, warn};
use super::private_dir::{DirEntry, FileLock, PrivateDir};
use super::shelf;
use crate::environment;
use crate::manifest::Remote;
use crate::module::bytes::ModuleBytes;
use crate::module::digest::Digest;

/// The maximum size of an entry's file, in bytes.
const MAX_ENTRY: u64 = 64 << 10;

/// The maximum disk space of all entries, in bytes, each rounded up to blocks.
const MAX_ENTRIES: u64 = 64 << 20;

/// The age of an abandoned lock: no thread waits or fetches for so long.
const LEFT: Duration = Duration::from_secs(3600);

/// The last answer of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CachedDownload {
    /// SHA-256 of the module, in hex.
    pub(crate) sha256: String,
    /// The address after redirects: the validators below are that server's.
    pub(crate) url: String,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// The time of the answer, in nanoseconds since 1970: no two answers have the same.
    pub(crate) checked: u128,
}

/// The file name of an address's entry: a hash of everything that is sent there.
pub(crate) fn key(remote: &Remote) -> String {
    let mut hasher = blake3::Hasher::new();
    let headers = remote.headers.iter().flat_map(|(name, value)| [name, value]);
    for part in [&remote.method, &remote.url].into_iter().chain(headers) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The open directory of downloads. Its subdirectories are opened on demand, because a read-only one may lack some.
#[derive(Debug)]
pub(crate) struct Downloads {
    downloads: PrivateDir,
    path: PathBuf,
}

const MODULES: &str = "modules";
const ADDRESSES: &str = "addresses";
const LOCKS: &str = "locks";

impl Downloads {
    /// Opens the directory, and makes it if it is missing. `None`, and a line in the log, if it cannot be used.
    pub(crate) fn open() -> Option<Self> {
        let (root, path) = directory::open(true).ok()?;
        let path = path.join("downloads");
        match root.create_directory("downloads") {
            Ok(downloads) => Some(Self { downloads, path }),
            Err(error) => {
                directory::refuse(&path, &error);
                None
            }
        }
    }

    /// Opens the directory below `root`, which is at `path`; `None` if it does not exist.
    #[cfg(feature = "compiler")]
    pub(crate) fn open_in(root: &PrivateDir, path: &Path) -> io::Result<Option<Self>> {
        match root.directory("downloads") {
            Ok(downloads) => Ok(Some(Self { downloads, path: path.join("downloads") })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The module with this SHA-256, if it is in memory or in the cache, and no longer than `max` bytes.
    pub(crate) fn module(&self, sha256: Digest, max: u64) -> Option<Arc<ModuleBytes>> {
        let name = sha256.to_string();
        let known = ModuleBytes::with_sha256(sha256).filter(|known| known.as_slice().len() as u64 <= max);
        if let Some(known) = known {
            return Some(known);
        }
        let read = || {
            let modules = self.downloads.directory(MODULES)?;
            let bytes = modules.read(&name, max, None)?;
            io::Result::Ok((modules, bytes))
        };
        match read() {
            Ok((modules, bytes)) if Digest::of(&bytes) == sha256 => {
                modules.touch(&name);
                Some(ModuleBytes::hashed(bytes, sha256))
            }
            Ok((modules, _)) => {
                warn(format_args!("`{}/modules/{name}` is damaged, it is fetched again", self.path.display()));
                let _ = modules.remove(&name);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn(format_args!("`{}/modules/{name}`: {error}", self.path.display()));
                None
            }
        }
    }

    /// Keeps bytes that have this SHA-256; returns true if they could be written.
    pub(crate) fn keep(&self, sha256: Digest, bytes: &[u8]) -> bool {
        let (name, max) = (sha256.to_string(), environment::CACHE_MAX_BYTES.value());
        let kept = match bytes.len() as u64 {
            length if length > max => Err(io::Error::other("larger than EXTISM_CACHE_MAX_BYTES")),
            _ => self.place(MODULES, &name, bytes, max),
        };
        self.report(&format!("modules/{name}"), kept)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<CachedDownload> {
        serde_json::from_slice(&self.downloads.directory(ADDRESSES).ok()?.read(key, MAX_ENTRY, None).ok()?).ok()
    }

    pub(crate) fn note(&self, key: &str, entry: &CachedDownload) {
        let text = serde_json::to_vec(entry).map_err(io::Error::other);
        let noted = text.and_then(|text| self.place(ADDRESSES, key, &text, MAX_ENTRIES));
        self.report(&format!("addresses/{key}"), noted);
    }

    /// Writes a file into a directory, and evicts old files beyond `max` bytes.
    fn place(&self, directory: &str, name: &str, bytes: &[u8], max: u64) -> io::Result<()> {
        let directory = self.downloads.create_directory(directory)?;
        directory.write(name, &[bytes])?;
        trim(&directory, max, name)
    }

    /// Locks the right to fetch `name`; `None` if another thread or process has it, an error if no file can be locked.
    pub(crate) fn lock(&self, name: &str) -> io::Result<Option<FileLock>> {
        let locks = self.downloads.create_directory(LOCKS)?;
        // Locks of processes that were killed, and that nobody has wanted since.
        for left in locks.entries()?.iter().filter(|lock| lock.is_older_than(LEFT)) {
            let _ = locks.remove(&left.name);
        }
        locks.lock_file(name)
    }

    /// The files of all modules, which are named by their SHA-256.
    #[cfg(feature = "compiler")]
    pub(crate) fn list(&self) -> io::Result<Vec<DirEntry>> {
        let entries = match self.downloads.directory(MODULES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            modules => modules?.entries()?,
        };
        Ok(entries.into_iter().filter(|entry| !entry.is_temporary()).collect())
    }

    /// Checks that the contents of the file match its name.
    #[cfg(feature = "compiler")]
    pub(crate) fn verify(&self, name: &str) -> io::Result<()> {
        let bytes = self.downloads.directory(MODULES)?.read(name, environment::CACHE_MAX_BYTES.value(), None)?;
        if Digest::of(&bytes).to_string() == name { Ok(()) } else { Err(io::Error::other("damaged")) }
    }

    /// Removes the file of this name. If its address is used again, the server is asked anew.
    #[cfg(feature = "compiler")]
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.downloads.directory(MODULES)?.remove(name)
    }

    fn report(&self, name: &str, result: io::Result<()>) -> bool {
        if let Err(error) = &result {
            warn(format_args!("`{}/{name}` could not be kept: {error}", self.path.display()));
        }
        result.is_ok()
    }
}

/// Evicts files of a directory, but never `newest`, until the rest takes up at most `max` bytes.
fn trim(directory: &PrivateDir, max: u64, newest: &str) -> io::Result<()> {
    /// The least disk space of a file, in bytes.
    const BLOCK: u64 = 4096;
    let used_and_size = |file: &DirEntry| (file.modified, file.size.next_multiple_of(BLOCK).max(BLOCK));
    let remove = |file: &DirEntry| file.name != newest && directory.remove(&file.name).is_ok();
    shelf::evict(shelf::files(directory)?, max, used_and_size, remove);
    Ok(())
}
