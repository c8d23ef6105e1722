//! The bytes of a module: at hand, or in an open file. A file is only kept in memory if somebody needs its bytes, not
//! its hash: where the code is at hand, that saves most of the time that a big module takes.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::read;

/// How much of a file is hashed at once: what a core's own cache holds.
const CHUNK: usize = 64 << 10;

/// Why a file cannot be read.
#[derive(Debug, Error)]
#[error("`{}`: {cause}", path.display())]
pub(crate) struct Error {
    pub(crate) path: PathBuf,
    pub(crate) cause: io::Error,
}

/// Bytes that are read when they are needed, and are the same each time.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    source: Source<'a>,
    blake3: OnceCell<blake3::Hash>,
}

#[derive(Debug)]
enum Source<'a> {
    Bytes(Cow<'a, [u8]>),
    File(OpenFile),
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    path: PathBuf,
    size: u64,
    max: u64,
    bytes: OnceCell<Vec<u8>>,
}

impl<'a> Contents<'a> {
    /// Those of `bytes`.
    pub(crate) fn of_bytes(bytes: Cow<'a, [u8]>) -> Self {
        Self { source: Source::Bytes(bytes), blake3: OnceCell::new() }
    }

    /// Those of a regular file of `size` bytes, which must not become longer than `max` bytes.
    pub(crate) fn of_file(file: File, path: PathBuf, size: u64, max: u64) -> Self {
        let file = OpenFile { file, path, size, max, bytes: OnceCell::new() };
        Self { source: Source::File(file), blake3: OnceCell::new() }
    }

    /// Where the file is, if they are in one.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "only compilers read text"))]
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Bytes(_) => None,
            Source::File(file) => Some(&file.path),
        }
    }

    /// All bytes.
    ///
    /// # Errors
    /// The file cannot be read, is longer than allowed, or has changed since it was hashed.
    pub(crate) fn bytes(&self) -> Result<&[u8], Error> {
        match &self.source {
            Source::Bytes(bytes) => Ok(bytes),
            Source::File(file) => {
                file.bytes(self.blake3.get()).map_err(|cause| Error { path: file.path.clone(), cause })
            }
        }
    }

    /// BLAKE3 of the bytes.
    ///
    /// # Errors
    /// As for [`bytes`](Self::bytes).
    pub(crate) fn blake3(&self) -> Result<blake3::Hash, Error> {
        if let Some(hash) = self.blake3.get() {
            return Ok(*hash);
        }
        let hash = match &self.source {
            Source::Bytes(bytes) => blake3::hash(bytes),
            Source::File(file) => file.blake3().map_err(|cause| Error { path: file.path.clone(), cause })?,
        };
        Ok(*self.blake3.get_or_init(|| hash))
    }
}

impl OpenFile {
    /// All bytes, with this hash if one is known.
    fn bytes(&self, known: Option<&blake3::Hash>) -> io::Result<&[u8]> {
        if let Some(bytes) = self.bytes.get() {
            return Ok(bytes);
        }
        let bytes = read::whole(&self.file, self.size, self.max)?.ok_or_else(|| self.too_long())?;
        if known.is_some_and(|hash| blake3::hash(&bytes) != *hash) {
            return Err(io::Error::other("the file changed while it was read"));
        }
        Ok(self.bytes.get_or_init(|| bytes))
    }

    fn blake3(&self) -> io::Result<blake3::Hash> {
        if let Some(bytes) = self.bytes.get() {
            return Ok(blake3::hash(bytes));
        }
        let (mut hasher, mut chunk, mut length) = (blake3::Hasher::new(), vec![0; CHUNK], 0);
        loop {
            match self.file.read_at(&mut chunk, length) {
                Ok(0) => return Ok(hasher.finalize()),
                Ok(count) => {
                    hasher.update(&chunk[..count]);
                    length += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if length > self.max {
                return Err(self.too_long());
            }
        }
    }

    fn too_long(&self) -> io::Error {
        let max = self.max;
        io::Error::other(format!("the file has grown past the limit of {max} bytes (EXTISM_MAX_MODULE_BYTES)"))
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Contents};
    use std::fs::{self, File};
    use std::path::Path;

    fn open(path: &Path, size: usize, max: u64) -> Contents<'static> {
        Contents::of_file(File::open(path).expect("there"), path.to_owned(), size as u64, max)
    }

    #[test]
    fn a_file_has_the_hash_and_the_bytes_of_what_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            fs::write(&path, &bytes).expect("writable");
            let hashed_first = open(&path, length, length as u64);
            assert_eq!(hashed_first.blake3().expect("readable"), blake3::hash(&bytes), "{length}");
            assert_eq!(hashed_first.bytes().expect("readable"), bytes, "{length}");
            let read_first = open(&path, length, length as u64);
            assert_eq!(read_first.bytes().expect("readable"), bytes, "{length}");
            assert_eq!(read_first.blake3().expect("readable"), blake3::hash(&bytes), "{length}");
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
        assert_eq!(contents.bytes().expect("the same again"), b"contents");
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
