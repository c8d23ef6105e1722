//! The bytes of modules, kept once in a process however often they are loaded. A module that is still there from before is
//! recognised by a look at some of its bytes and a comparison of all, which needs no cryptographic hash; its hashes are
//! taken when they are asked for, once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::{Arc, LazyLock, OnceLock, Weak};

use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use crate::digest::Digest;
use crate::read;

/// How much of a file is compared at once: what a core's own cache holds.
const CHUNK: usize = 256 << 10;

/// How much of its front and of its end a module is looked up by.
const GLANCE: usize = 256;

/// A module's bytes: binary or text, valid or not.
#[derive(Debug)]
pub(crate) struct ModuleBytes {
    bytes: Box<[u8]>,
    glance: u64,
    sha256: OnceLock<Digest>,
    blake3: OnceLock<blake3::Hash>,
}

/// All that somebody has, by what a glance at them gives.
static MODULES: LazyLock<Mutex<HashMap<u64, Vec<Weak<ModuleBytes>>>>> = LazyLock::new(Mutex::default);

/// Numbers glances. Nobody outside can choose modules that collide.
static GLANCES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl ModuleBytes {
    /// Those of `bytes`.
    pub(crate) fn of_bytes(bytes: Cow<'_, [u8]>) -> Arc<Self> {
        let front = &bytes[..bytes.len().min(GLANCE)];
        let back = &bytes[bytes.len().saturating_sub(GLANCE)..];
        let glance = glance(bytes.len() as u64, front, back);
        let known = known(glance).into_iter().find(|known| *known.bytes == *bytes);
        known.unwrap_or_else(|| Self::keep(bytes.into_owned(), glance))
    }

    /// Those of a regular file, which is `size` bytes long as far as anybody knows; `None` if it has more than `max`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn of_file(file: &File, size: u64, max: u64) -> io::Result<Option<Arc<Self>>> {
        if size > max {
            return Ok(None);
        }
        let (mut front, mut back) = ([0; GLANCE], [0; GLANCE]);
        let front = read_at(file, &mut front, 0)?;
        let back = read_at(file, &mut back, size.saturating_sub(GLANCE as u64))?;
        let candidates = known(glance(size, front, back));
        for known in candidates {
            if has_bytes(file, &known.bytes)? {
                return Ok(Some(known));
            }
        }
        // It may have changed meanwhile.
        let bytes = read::whole(file, size, max)?;
        Ok(bytes.map(|bytes| Self::of_bytes(bytes.into())))
    }

    /// Those of `bytes`, whose SHA-256 was taken already.
    #[cfg(feature = "http")]
    pub(crate) fn hashed(bytes: Vec<u8>, sha256: Digest) -> Arc<Self> {
        let module = Self::of_bytes(bytes.into());
        module.sha256.get_or_init(|| sha256);
        module
    }

    /// Those with this SHA-256, if somebody has them and the hash was taken.
    #[cfg(feature = "http")]
    pub(crate) fn with_sha256(sha256: Digest) -> Option<Arc<Self>> {
        let all: Vec<_> = MODULES.lock().values().flatten().filter_map(Weak::upgrade).collect();
        all.into_iter().find(|module| module.sha256.get() == Some(&sha256))
    }

    fn keep(bytes: Vec<u8>, glance: u64) -> Arc<Self> {
        let (sha256, blake3) = (OnceLock::new(), OnceLock::new());
        let module = Arc::new(Self { bytes: bytes.into_boxed_slice(), glance, sha256, blake3 });
        // Dropped after the lock, which who drops the last takes.
        let others: Vec<_>;
        let mut modules = MODULES.lock();
        let same = modules.entry(glance).or_default();
        others = same.iter().filter_map(Weak::upgrade).collect();
        // Another thread may have brought it meanwhile.
        if let Some(known) = others.iter().find(|other| other.bytes == module.bytes) {
            return Arc::clone(known);
        }
        same.push(Arc::downgrade(&module));
        module
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Their SHA-256.
    pub(crate) fn sha256(&self) -> Digest {
        *self.sha256.get_or_init(|| Digest::of(&self.bytes))
    }

    /// Their BLAKE3.
    pub(crate) fn blake3(&self) -> &blake3::Hash {
        self.blake3.get_or_init(|| blake3::hash(&self.bytes))
    }
}

impl Drop for ModuleBytes {
    fn drop(&mut self) {
        let mut modules = MODULES.lock();
        if let Some(same) = modules.get_mut(&self.glance) {
            same.retain(|module| module.strong_count() > 0);
            if same.is_empty() {
                modules.remove(&self.glance);
            }
        }
    }
}

fn glance(length: u64, front: &[u8], back: &[u8]) -> u64 {
    GLANCES.hash_one((length, front, back))
}

/// All modules that look like this. The lock is given back before they are: who drops the last takes it.
fn known(glance: u64) -> Vec<Arc<ModuleBytes>> {
    let modules = MODULES.lock();
    modules.get(&glance).map_or_else(Vec::new, |same| same.iter().filter_map(Weak::upgrade).collect())
}

/// Whether the file has just these bytes.
fn has_bytes(file: &File, mut expected: &[u8]) -> io::Result<bool> {
    let (mut chunk, mut offset) = (Vec::with_capacity(CHUNK.min(expected.len() + 1)), 0);
    loop {
        chunk.clear();
        match rustix::io::pread(file, spare_capacity(&mut chunk), offset) {
            Ok(0) => return Ok(expected.is_empty()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let Some(rest) = expected.strip_prefix(chunk.as_slice()) else { return Ok(false) };
        expected = rest;
        offset += chunk.len() as u64;
    }
}

/// As much of `buffer` as there is from `offset` on.
fn read_at<'a>(file: &File, buffer: &'a mut [u8], offset: u64) -> io::Result<&'a [u8]> {
    let mut length = 0;
    while length < buffer.len() {
        match rustix::io::pread(file, &mut buffer[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(&buffer[..length])
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, MODULES, ModuleBytes};
    use crate::digest::Digest;
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::Arc;

    fn open(path: &Path, size: usize, max: u64) -> Option<Arc<ModuleBytes>> {
        ModuleBytes::of_file(&File::open(path).expect("there"), size as u64, max).expect("readable")
    }

    fn noise(length: usize, seed: usize) -> Vec<u8> {
        (0..length).map(|index| ((index + seed) % 251) as u8).collect()
    }

    #[test]
    fn the_same_bytes_are_kept_once_wherever_they_come_from() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for length in [0, 1, 255, 257, 513, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let bytes = noise(length, 1);
            fs::write(&path, &bytes).expect("writable");
            let first = ModuleBytes::of_bytes(bytes.as_slice().into());
            let second = ModuleBytes::of_bytes(bytes.clone().into());
            let third = open(&path, length, length as u64).expect("not too long");
            assert!(Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&first, &third), "{length}");
            assert_eq!((first.as_slice(), first.sha256()), (&*bytes, Digest::of(&bytes)));
            assert_eq!(*first.blake3(), blake3::hash(&bytes));
        }
    }

    #[test]
    fn other_bytes_are_another_module_even_if_they_look_alike() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let bytes = noise(2 * CHUNK, 2);
        let first = ModuleBytes::of_bytes(bytes.as_slice().into());
        for place in [300, CHUNK - 1, CHUNK, 2 * CHUNK - 300] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).expect("writable");
            for other in
                [ModuleBytes::of_bytes(changed.as_slice().into()), open(&path, 2 * CHUNK, u64::MAX).expect("read")]
            {
                assert!(!Arc::ptr_eq(&first, &other) && other.as_slice() == changed, "{place}");
                assert_eq!(other.sha256(), Digest::of(&changed));
            }
        }
        // A file that has become longer or shorter than it was said to be.
        for length in [2 * CHUNK - 1, 2 * CHUNK + 1] {
            fs::write(&path, noise(length, 2)).expect("writable");
            assert_eq!(open(&path, 2 * CHUNK, u64::MAX).expect("read").as_slice(), noise(length, 2));
        }
    }

    #[test]
    fn what_nobody_has_is_forgotten() {
        let module = ModuleBytes::of_bytes(noise(1000, 3).into());
        let glance = module.glance;
        assert!(MODULES.lock().contains_key(&glance));
        drop(module);
        assert!(!MODULES.lock().contains_key(&glance));
    }

    #[test]
    fn a_file_that_grows_is_not_read_without_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, vec![0; 9]).expect("writable");
        assert!(open(&path, 8, 8).is_none() && open(&path, 9, 8).is_none());
        assert!(open(&path, 8, 9).is_some());
    }
}
