//! A module's contents: its bytes, or an open file. A file stays in memory only if somebody needs its bytes, not just
//! its hash, or will ask for it again. If the machine code is on disk, this saves much of a big module's time.

use std::borrow::Cow;
use std::collections::TryReserveError;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use thiserror::Error;

use super::bytes::ModuleBytes;
use super::digest::Digest;
use crate::error::Excerpt;
use crate::read;
use crate::sync;

/// Why a file cannot be read.
#[derive(Debug, Error)]
#[error("`{}`: {cause}", Excerpt::of(path.display()))]
pub(crate) struct Error {
    pub(crate) path: PathBuf,
    pub(crate) cause: io::Error,
}

/// A module's bytes, read when they are first needed, and the same each time.
#[derive(Debug)]
pub(crate) struct Contents {
    /// The path of the file, if there is one.
    path: Option<PathBuf>,
    /// The file and the size it had when it was opened, if its bytes may still have to be read.
    file: Option<(File, u64)>,
    max: u64,
    blake3: OnceLock<blake3::Hash>,
    bytes: OnceLock<Arc<ModuleBytes>>,
}

impl Contents {
    pub(crate) fn of_bytes(bytes: Cow<'_, [u8]>) -> Result<Self, TryReserveError> {
        Ok(Self::of_module(ModuleBytes::of_bytes(bytes)?, None))
    }

    pub(crate) fn of_module(bytes: Arc<ModuleBytes>, path: Option<PathBuf>) -> Self {
        Self { path, file: None, max: 0, blake3: OnceLock::new(), bytes: bytes.into() }
    }

    /// The contents of a regular file that is `size` bytes long, and must not grow longer than `max` bytes.
    pub(crate) fn of_file(file: File, path: PathBuf, size: u64, max: u64) -> Result<Self, Error> {
        match ModuleBytes::known_of_file(&file, size) {
            Ok(Some(bytes)) => Ok(Self::of_module(bytes, Some(path))),
            Ok(None) => {
                let (blake3, bytes) = (OnceLock::new(), OnceLock::new());
                Ok(Self { path: Some(path), file: Some((file, size)), max, blake3, bytes })
            }
            Err(cause) => Err(Error { path, cause }),
        }
    }

    /// Closes the file, if it is open. It is opened again if its bytes are needed.
    pub(crate) fn close_file(&mut self) {
        // A file whose hash is not known could be another one the next time.
        if self.blake3.get().is_some() || self.bytes.get().is_some() {
            self.file = None;
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The size in bytes; before a file is read, the size it had when it was opened.
    pub(crate) fn size(&self) -> u64 {
        match (self.bytes.get(), &self.file) {
            (Some(bytes), _) => bytes.as_slice().len() as u64,
            (None, Some((_, size))) => *size,
            (None, None) => 0,
        }
    }

    /// The bytes, if they are in memory.
    pub(crate) fn at_hand(&self) -> Option<&Arc<ModuleBytes>> {
        self.bytes.get()
    }

    /// The bytes, which are read if they are not in memory. Fails if the file has changed since it was hashed.
    pub(crate) fn bytes(&self) -> Result<&Arc<ModuleBytes>, Error> {
        if let Some(bytes) = self.bytes.get() {
            return Ok(bytes);
        }
        let bytes = self.read().map_err(|cause| self.error(cause))?;
        Ok(sync::get_or_make(&self.bytes, || bytes))
    }

    fn read(&self) -> io::Result<Arc<ModuleBytes>> {
        let reopened;
        let (file, size) = match (&self.file, &self.path) {
            (Some((file, size)), _) => (file, *size),
            (None, Some(path)) => {
                reopened = read::open(path)?;
                let metadata = reopened.metadata()?;
                if !metadata.is_file() {
                    return Err(io::Error::other("it is no regular file any more"));
                }
                (&reopened, metadata.len())
            }
            (None, None) => return Err(io::Error::other("there is no file")),
        };
        let bytes = read::whole(file, size, self.max, None)?.ok_or_else(|| self.too_long())?;
        let bytes = ModuleBytes::of_vec(bytes);
        if self.blake3.get().is_some_and(|hash| bytes.blake3() != hash) {
            return Err(io::Error::other("the file changed while it was read"));
        }
        Ok(bytes)
    }

    pub(crate) fn blake3(&self) -> Result<blake3::Hash, Error> {
        if let Some(hash) = self.bytes.get().map(|bytes| bytes.blake3()).or_else(|| self.blake3.get()) {
            return Ok(*hash);
        }
        let hash = self.hash().map_err(|cause| self.error(cause))?;
        Ok(*self.blake3.get_or_init(|| hash))
    }

    fn hash(&self) -> io::Result<blake3::Hash> {
        let Some((file, _)) = &self.file else { return Err(io::Error::other("there is no file")) };
        let (mut hasher, mut length) = (blake3::Hasher::new(), 0);
        read::pieces(file, |piece| {
            hasher.update(piece);
            length += piece.len() as u64;
            if length > self.max { Err(self.too_long()) } else { Ok(()) }
        })?;
        Ok(hasher.finalize())
    }

    pub(crate) fn sha256(&self) -> Result<Digest, Error> {
        Ok(self.bytes()?.sha256())
    }

    fn error(&self, cause: io::Error) -> Error {
        Error { path: self.path.clone().unwrap_or_default(), cause }
    }

    fn too_long(&self) -> io::Error {
        let max = self.max;
        io::Error::other(format!("the file has grown past the limit of {max} bytes (EXTISM_MAX_MODULE_BYTES)"))
    }
}

#[cfg(test)]
mod tests {
    use super::Contents;
    use crate::read::CHUNK;
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::Arc;

    fn open(path: &Path, size: usize, max: u64) -> Contents {
        Contents::of_file(File::open(path).expect("there"), path.to_owned(), size as u64, max).expect("readable")
    }

    #[test]
    fn a_file_has_the_hash_and_the_bytes_of_what_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let bytes: Vec<u8> = (0..length).map(|index| (index % 241) as u8).collect();
            fs::write(&path, &bytes).expect("writable");
            let hashed_first = open(&path, length, length as u64);
            assert_eq!(hashed_first.blake3().expect("readable"), blake3::hash(&bytes), "{length}");
            assert!(hashed_first.at_hand().is_none(), "{length}");
            assert_eq!(hashed_first.bytes().expect("readable").as_slice(), bytes, "{length}");
            // From here on, the module is in the registry of module bytes.
            let again = open(&path, length, length as u64);
            assert!(Arc::ptr_eq(again.at_hand().expect("known"), hashed_first.bytes().expect("read")), "{length}");
            assert_eq!(again.blake3().expect("known"), blake3::hash(&bytes), "{length}");
        }
    }

    #[test]
    fn what_was_hashed_is_what_is_read_or_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "contents").expect("writable");
        let contents = open(&path, 8, 100);
        contents.blake3().expect("readable");
        fs::write(&path, "changes!").expect("writable");
        let error = contents.bytes().expect_err("other bytes");
        assert_eq!(error.cause.to_string(), "the file changed while it was read");
        fs::write(&path, "contents").expect("writable");
        assert_eq!(contents.bytes().expect("the same again").as_slice(), b"contents");
    }

    #[test]
    fn a_file_that_grows_is_not_read_without_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, vec![0; 9]).expect("writable");
        let contents = open(&path, 8, 8);
        assert!(contents.blake3().is_err());
        let error = contents.bytes().expect_err("too long").cause.to_string();
        assert_eq!(error, "the file has grown past the limit of 8 bytes (EXTISM_MAX_MODULE_BYTES)");
    }
}
