//! The files of the cache on disk, compiled code and downloads: to list, check and remove them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cache::code::{CachedArtifact, CodeCache};
use crate::cache::directory;
#[cfg(feature = "http")]
use crate::cache::downloads::Downloads;
use crate::cache::private_dir::Readers;
use crate::error::Described;

/// The directory of the cache: the one that the environment names, or the default. `None` if the environment says that
/// there is none, or there is no home directory.
#[must_use]
pub fn default_directory() -> Option<PathBuf> {
    directory::path()
}

/// The error for a directory that cannot be opened as a cache.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Described {
    Described::text(format!("cache `{}`: {error}", path.display()))
}

/// The cache on disk, with compiled code and downloads: to list, check and clear it.
#[derive(Debug)]
pub struct Cache {
    code: CodeCache,
    #[cfg(feature = "http")]
    downloads: Option<Downloads>,
}

/// A file in the cache.
#[derive(Debug)]
pub struct CacheEntry {
    file: CacheFile,
    size: u64,
    used: SystemTime,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CacheFile {
    /// Code of the module with this SHA-256, in the file of this name.
    Code(String, String),
    #[cfg(feature = "http")]
    Download(String),
}

impl CacheEntry {
    /// The file's path, relative to the cache's directory.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.file {
            CacheFile::Code(module, name) => format!("modules/{module}/{name}"),
            #[cfg(feature = "http")]
            CacheFile::Download(name) => format!("downloads/modules/{name}"),
        }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The time at which it was last made or used.
    #[must_use]
    pub fn used(&self) -> SystemTime {
        self.used
    }
}

impl Cache {
    /// Opens the cache at `path`; `None` if there is nothing.
    ///
    /// # Errors
    /// The path is no directory, may not be read, belongs to another user than this one or root, or others can write to
    /// it.
    pub fn open(path: &Path) -> Result<Option<Self>, Described> {
        let code = match CodeCache::open(path, false, Readers::Owner) {
            Ok(code) => code,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, &error)),
        };
        #[cfg(feature = "http")]
        let downloads = Downloads::open_in(&code.root, path).map_err(Described::of)?;
        Ok(Some(Self {
            code,
            #[cfg(feature = "http")]
            downloads,
        }))
    }

    /// All files in the cache, code first, each kind in the order of paths.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn entries(&self) -> Result<Vec<CacheEntry>, Described> {
        let mut entries: Vec<_> = self
            .code
            .list()
            .map_err(Described::of)?
            .into_iter()
            .map(|cached| {
                let CachedArtifact { module, name, size, used } = cached;
                CacheEntry { file: CacheFile::Code(module, name), size, used }
            })
            .collect();
        #[cfg(feature = "http")]
        entries.extend(
            self.downloads.as_ref().map_or(Ok(Vec::new()), Downloads::list).map_err(Described::of)?.into_iter().map(
                |entry| CacheEntry { file: CacheFile::Download(entry.name), size: entry.size, used: entry.modified },
            ),
        );
        entries.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(entries)
    }

    #[cfg(feature = "http")]
    fn downloads(&self) -> io::Result<&Downloads> {
        self.downloads.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Checks that a file is undamaged.
    ///
    /// # Errors
    /// It is damaged.
    pub fn verify(&self, entry: &CacheEntry) -> Result<(), Described> {
        match &entry.file {
            CacheFile::Code(module, name) => self.code.verify(module, name).map(drop),
            #[cfg(feature = "http")]
            CacheFile::Download(name) => self.downloads().and_then(|downloads| downloads.verify(name)),
        }
        .map_err(Described::of)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, entry: &CacheEntry) -> Result<(), Described> {
        match &entry.file {
            CacheFile::Code(module, name) => self.code.remove(module, name),
            #[cfg(feature = "http")]
            CacheFile::Download(name) => self.downloads().and_then(|downloads| downloads.remove(name)),
        }
        .map_err(Described::of)
    }
}
