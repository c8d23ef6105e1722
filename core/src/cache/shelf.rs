//! A bounded shelf: a directory of the cache that is kept within a size by evicting what was least recently used.

use std::io;
use std::time::SystemTime;

use super::private_dir::{DirEntry, PrivateDir};

/// The files of a directory, without those that are being written. Removes leftovers of interrupted writes.
pub(super) fn files(directory: &PrivateDir) -> io::Result<Vec<DirEntry>> {
    let (abandoned, mut files): (Vec<_>, Vec<_>) = directory.entries()?.into_iter().partition(DirEntry::is_abandoned);
    for entry in abandoned {
        let _ = directory.remove(&entry.name);
    }
    files.retain(|entry| !entry.is_dir && !entry.is_temporary());
    Ok(files)
}

/// Evicts files, least recently used first, until the rest takes up at most `max` bytes.
///
/// `used_and_size` returns when a file was last used, and its bytes; `remove` removes a file, and returns whether it is
/// gone.
pub(super) fn evict<T>(
    mut files: Vec<T>,
    max: u64,
    used_and_size: impl Fn(&T) -> (SystemTime, u64),
    remove: impl Fn(&T) -> bool,
) {
    let mut total: u64 = files.iter().map(|file| used_and_size(file).1).sum();
    files.sort_by_key(|file| used_and_size(file).0);
    for file in files {
        if total <= max {
            break;
        }
        if remove(&file) {
            total -= used_and_size(&file).1;
        }
    }
}
