//! The registry of module bytes: a process keeps each module's bytes once, however often they are loaded. A module that
//! is in memory already is found by a fingerprint of some of its bytes, and a comparison of all. Neither needs a
//! cryptographic hash; hashes are computed once, on demand.

use std::borrow::Cow;
use std::collections::{HashMap, TryReserveError};
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::{Arc, OnceLock, Weak};

use rustix::io::{pread, retry_on_intr};

use super::digest::Digest;
use crate::read;
use crate::sync::{Lazy, Mutex, get_or_make};

/// The number of bytes at the front, and at the end, of a module that its fingerprint covers.
const COVERED: usize = 256;

/// A module's bytes: binary or text, valid or not.
#[derive(Debug)]
pub(crate) struct ModuleBytes {
    bytes: Vec<u8>,
    fingerprint: u64,
    sha256: OnceLock<Digest>,
    blake3: OnceLock<blake3::Hash>,
}

/// All modules in use, by fingerprint.
static MODULES: Lazy<Mutex<HashMap<u64, Vec<Weak<ModuleBytes>>>>> = Lazy::new(Mutex::default);

/// The most modules with the same fingerprint that are compared, newest first: bounds the cost of crafted look-alikes,
/// which at worst are stored twice.
const MAX_CANDIDATES: usize = 4;

/// The random keys of the fingerprint's hash.
static FINGERPRINT_KEYS: Lazy<RandomState> = Lazy::new(RandomState::new);

impl ModuleBytes {
    /// The module bytes equal to `bytes`.
    pub(crate) fn of_bytes(bytes: Cow<'_, [u8]>) -> Result<Arc<Self>, TryReserveError> {
        let bytes = match bytes {
            Cow::Owned(bytes) => return Ok(Self::of_vec(bytes)),
            Cow::Borrowed(bytes) => bytes,
        };
        let (fingerprint, known) = Self::look_up(bytes);
        if let Some(known) = known {
            return Ok(known);
        }
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())?;
        copy.extend_from_slice(bytes);
        Ok(Self::keep(copy, fingerprint))
    }

    /// The module bytes equal to `bytes`, which are not copied.
    pub(crate) fn of_vec(bytes: Vec<u8>) -> Arc<Self> {
        let (fingerprint, known) = Self::look_up(&bytes);
        known.unwrap_or_else(|| Self::keep(bytes, fingerprint))
    }

    /// The fingerprint of `bytes`, and the registered module with the same bytes.
    fn look_up(bytes: &[u8]) -> (u64, Option<Arc<Self>>) {
        let front = &bytes[..bytes.len().min(COVERED)];
        let back = &bytes[bytes.len().saturating_sub(COVERED)..];
        let fingerprint = fingerprint(bytes.len() as u64, front, back);
        (fingerprint, known(fingerprint).into_iter().find(|known| *known.bytes == *bytes))
    }

    /// The registered module with the bytes of a regular file, if there is one. `size` is the file's expected length.
    pub(crate) fn known_of_file(file: &File, size: u64) -> io::Result<Option<Arc<Self>>> {
        let (mut front, mut back) = ([0; COVERED], [0; COVERED]);
        let front = read_at(file, &mut front, 0)?;
        let back = read_at(file, &mut back, size.saturating_sub(COVERED as u64))?;
        for known in known(fingerprint(size, front, back)) {
            if has_bytes(file, &known.bytes)? {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// The module bytes equal to `bytes`, whose SHA-256 is known.
    #[cfg(feature = "http")]
    pub(crate) fn hashed(bytes: Vec<u8>, sha256: Digest) -> Arc<Self> {
        let module = Self::of_vec(bytes);
        get_or_make(&module.sha256, || sha256);
        module
    }

    /// The registered module with this SHA-256, if its hash was ever computed.
    #[cfg(feature = "http")]
    pub(crate) fn with_sha256(sha256: Digest) -> Option<Arc<Self>> {
        let all: Vec<_> = MODULES.lock().values().flatten().filter_map(Weak::upgrade).collect();
        all.into_iter().find(|module| module.sha256.get() == Some(&sha256))
    }

    fn keep(bytes: Vec<u8>, fingerprint: u64) -> Arc<Self> {
        let (sha256, blake3) = (OnceLock::new(), OnceLock::new());
        let module = Arc::new(Self { bytes, fingerprint, sha256, blake3 });
        // Declared before the lock, so dropped after it: dropping the last reference to a module takes the lock.
        let others: Vec<_>;
        let mut modules = MODULES.lock();
        let same = modules.entry(fingerprint).or_default();
        others = latest(same);
        // Another thread may have registered it meanwhile.
        if let Some(known) = others.iter().find(|other| other.bytes == module.bytes) {
            return Arc::clone(known);
        }
        same.push(Arc::downgrade(&module));
        module
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn sha256(&self) -> Digest {
        *get_or_make(&self.sha256, || Digest::of(&self.bytes))
    }

    pub(crate) fn blake3(&self) -> &blake3::Hash {
        get_or_make(&self.blake3, || blake3::hash(&self.bytes))
    }
}

impl Drop for ModuleBytes {
    fn drop(&mut self) {
        let mut modules = MODULES.lock();
        if let Some(same) = modules.get_mut(&self.fingerprint) {
            same.retain(|module| module.strong_count() > 0);
            if same.is_empty() {
                modules.remove(&self.fingerprint);
            }
        }
    }
}

fn fingerprint(length: u64, front: &[u8], back: &[u8]) -> u64 {
    FINGERPRINT_KEYS.hash_one((length, front, back))
}

/// The newest modules of one fingerprint, at most [`MAX_CANDIDATES`].
fn latest(same: &[Weak<ModuleBytes>]) -> Vec<Arc<ModuleBytes>> {
    same.iter().rev().filter_map(Weak::upgrade).take(MAX_CANDIDATES).collect()
}

/// Modules with this fingerprint. The lock is released before they are dropped, because dropping the last takes it.
fn known(fingerprint: u64) -> Vec<Arc<ModuleBytes>> {
    let modules = MODULES.lock();
    modules.get(&fingerprint).map_or_else(Vec::new, |same| latest(same))
}

fn has_bytes(file: &File, mut expected: &[u8]) -> io::Result<bool> {
    let mut is_same = true;
    let read = read::pieces(file, |piece| {
        let rest = expected.strip_prefix(piece);
        is_same = rest.is_some();
        expected = rest.unwrap_or_default();
        // Stops reading at the first difference.
        rest.map(drop).ok_or_else(|| io::Error::other("another file"))
    });
    if is_same { read.map(|()| expected.is_empty()) } else { Ok(false) }
}

/// Reads from `offset` on, until `buffer` is full or the file ends; returns the part that was read.
fn read_at<'a>(file: &File, buffer: &'a mut [u8], offset: u64) -> io::Result<&'a [u8]> {
    let mut length = 0;
    while length < buffer.len() {
        match retry_on_intr(|| pread(file, &mut buffer[length..], offset + length as u64))? {
            0 => break,
            count => length += count,
        }
    }
    Ok(&buffer[..length])
}

#[cfg(test)]
mod tests {
    use super::{MAX_CANDIDATES, MODULES, ModuleBytes, known};
    use crate::module::digest::Digest;
    use crate::read::CHUNK;
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::Arc;

    fn open(path: &Path, size: usize) -> Option<Arc<ModuleBytes>> {
        ModuleBytes::known_of_file(&File::open(path).expect("there"), size as u64).expect("readable")
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
            let first = ModuleBytes::of_bytes(bytes.as_slice().into()).expect("room");
            let second = ModuleBytes::of_bytes(bytes.clone().into()).expect("room");
            let third = open(&path, length).expect("known");
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
        let first = ModuleBytes::of_bytes(bytes.as_slice().into()).expect("room");
        for place in [300, CHUNK - 1, CHUNK, 2 * CHUNK - 300] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).expect("writable");
            assert!(open(&path, 2 * CHUNK).is_none(), "{place}");
            let other = ModuleBytes::of_bytes(changed.as_slice().into()).expect("room");
            assert!(!Arc::ptr_eq(&first, &other) && other.as_slice() == changed, "{place}");
            assert_eq!(other.sha256(), Digest::of(&changed));
            assert!(Arc::ptr_eq(&open(&path, 2 * CHUNK).expect("known"), &other), "{place}");
        }
        // A file whose length differs from the given one.
        for length in [2 * CHUNK - 1, 2 * CHUNK + 1] {
            fs::write(&path, noise(length, 2)).expect("writable");
            assert!(open(&path, 2 * CHUNK).is_none(), "{length}");
        }
    }

    #[test]
    fn not_all_that_look_alike_are_compared() {
        let alike = |number: usize| {
            let mut bytes = vec![7; 2000];
            bytes[1000..1008].copy_from_slice(&number.to_le_bytes());
            ModuleBytes::of_bytes(bytes.into()).expect("room")
        };
        let all: Vec<_> = (0..100).map(alike).collect();
        assert!(known(all[0].fingerprint).len() <= MAX_CANDIDATES);
        assert!(Arc::ptr_eq(&alike(99), &all[99]), "one of the last is found");
        assert_eq!(alike(0).as_slice(), all[0].as_slice(), "an older one is another, with the same bytes");
    }

    #[test]
    fn what_nobody_has_is_forgotten() {
        let module = ModuleBytes::of_bytes(noise(1000, 3).into()).expect("room");
        let fingerprint = module.fingerprint;
        assert!(MODULES.lock().contains_key(&fingerprint));
        drop(module);
        assert!(!MODULES.lock().contains_key(&fingerprint));
    }
}
