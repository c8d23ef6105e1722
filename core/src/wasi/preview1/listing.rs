//! The entries of a directory, for `fd_readdir`.

use std::os::unix::ffi::OsStrExt;

use cap_std::fs::MetadataExt;

use super::codes::{DIRECTORY, UNKNOWN, file_type};
use super::descriptor::Directory;
use super::errno::Errno;
use super::yield_point::yield_point;
use crate::stop::Watch;

/// The most entries of a listing, as others may fill the directory. At most some 10 MB of the host's memory.
const MAX_ENTRIES: usize = 1 << 17;

/// The entries of the directory that was last read from its start. An instance has only one listing, to save the host's
/// memory.
pub(crate) struct Listing {
    pub(crate) fd: u32,
    entries: Vec<ListingEntry>,
    /// All names, concatenated.
    names: Vec<u8>,
}

struct ListingEntry {
    inode: u64,
    /// The end of its name in `names`. The name begins where the previous entry's ends.
    name_end: usize,
    file_type: u8,
}

impl Listing {
    /// Reads `directory`, whose descriptor is `fd`, from its start.
    pub(super) fn read(fd: u32, directory: &Directory, watch: Watch) -> Result<Self, Errno> {
        let mut listing = Self { fd, entries: Vec::new(), names: Vec::new() };
        let inode = directory.dir.dir_metadata()?.ino();
        listing.add(b".", inode, DIRECTORY)?;
        listing.add(b"..", inode, DIRECTORY)?;
        for entry in directory.dir.entries()? {
            yield_point(watch)?;
            let entry = entry?;
            let kind = entry.file_type().map_or(UNKNOWN, file_type);
            let inode = entry.metadata().map_or(0, |metadata| metadata.ino());
            listing.add(entry.file_name().as_bytes(), inode, kind)?;
        }
        Ok(listing)
    }

    fn add(&mut self, name: &[u8], inode: u64, file_type: u8) -> Result<(), Errno> {
        if self.entries.len() == MAX_ENTRIES {
            return Err(Errno::OVERFLOW);
        }
        self.names.try_reserve(name.len()).map_err(|_| Errno::NOMEM)?;
        self.entries.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        self.names.extend_from_slice(name);
        self.entries.push(ListingEntry { inode, name_end: self.names.len(), file_type });
        Ok(())
    }

    /// The entry at `index` in the plugin's layout: a header, then the name.
    pub(super) fn entry(&self, index: usize) -> Option<([u8; 24], &[u8])> {
        let entry = self.entries.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].name_end);
        let name = &self.names[start..entry.name_end];
        let mut head = [0; 24];
        head[..8].copy_from_slice(&(index as u64 + 1).to_le_bytes());
        head[8..16].copy_from_slice(&entry.inode.to_le_bytes());
        head[16..20].copy_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        head[20] = entry.file_type;
        Some((head, name))
    }
}
