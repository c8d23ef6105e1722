//! Rights of preview 1: what a descriptor allows and, as inheriting rights, what descriptors opened through it allow.
//!
//! Programs rely on them: libc's `access` and `open` read a directory's, and `isatty` a stream's. They are information
//! only: the functions decide what to refuse by what a descriptor stands for.

use super::descriptor::{Descriptor, Directory, OpenFile};

const DATASYNC: u64 = 1 << 0;
pub(crate) const READ: u64 = 1 << 1;
const SEEK: u64 = 1 << 2;
const SET_FLAGS: u64 = 1 << 3;
const SYNC: u64 = 1 << 4;
const TELL: u64 = 1 << 5;
pub(crate) const WRITE: u64 = 1 << 6;
const ADVISE: u64 = 1 << 7;
pub(crate) const ALLOCATE: u64 = 1 << 8;
const CREATE_DIRECTORY: u64 = 1 << 9;
const CREATE_FILE: u64 = 1 << 10;
const LINK_SOURCE: u64 = 1 << 11;
const LINK_TARGET: u64 = 1 << 12;
const OPEN: u64 = 1 << 13;
const READ_DIRECTORY: u64 = 1 << 14;
const READ_LINK: u64 = 1 << 15;
const RENAME_SOURCE: u64 = 1 << 16;
const RENAME_TARGET: u64 = 1 << 17;
const PATH_STAT: u64 = 1 << 18;
const PATH_SET_TIMES: u64 = 1 << 20;
const STAT: u64 = 1 << 21;
const SET_SIZE: u64 = 1 << 22;
const SET_TIMES: u64 = 1 << 23;
const SYMLINK: u64 = 1 << 24;
const REMOVE_DIRECTORY: u64 = 1 << 25;
const UNLINK: u64 = 1 << 26;
const POLL: u64 = 1 << 27;

/// Rights of a directory and on paths in it. Reading, writing, seeking and sizes are left out, as a program may open a
/// directory again with the rights it reports, and that has to succeed.
const DIRECTORY: u64 = OPEN | READ_DIRECTORY | READ_LINK | PATH_STAT | STAT | DIRECTORY_CHANGES;

/// Rights of a directory that change its contents.
const DIRECTORY_CHANGES: u64 = CREATE_DIRECTORY
    | CREATE_FILE
    | LINK_SOURCE
    | LINK_TARGET
    | RENAME_SOURCE
    | RENAME_TARGET
    | SYMLINK
    | REMOVE_DIRECTORY
    | UNLINK
    | PATH_SET_TIMES
    | SET_TIMES;

/// Rights of a file that was opened for reading and writing.
const FILE: u64 = READ | SEEK | SET_FLAGS | SYNC | TELL | ADVISE | STAT | SET_TIMES | POLL | FILE_CHANGES;

/// Rights of a file that require opening for writing.
const FILE_CHANGES: u64 = DATASYNC | WRITE | ALLOCATE | SET_SIZE;

/// Rights of a stream, besides reading or writing. A stream cannot seek.
const STREAM: u64 = SET_FLAGS | STAT | POLL;

/// The rights that a descriptor reports.
pub(crate) struct Rights {
    pub(crate) base: u64,
    pub(crate) inheriting: u64,
}

impl Rights {
    pub(crate) fn of(descriptor: &Descriptor) -> Self {
        let same = |rights| Self { base: rights, inheriting: rights };
        match descriptor {
            Descriptor::Input => same(STREAM | READ),
            Descriptor::Output(_) => same(STREAM | WRITE),
            Descriptor::File(file) => same(file_rights(file)),
            Descriptor::Directory(directory) => Self::of_directory(directory),
        }
    }

    fn of_directory(directory: &Directory) -> Self {
        let Directory { read_only, .. } = directory;
        if !read_only {
            return Self { base: DIRECTORY, inheriting: DIRECTORY | FILE };
        }
        // libc's `access` needs `WRITE`; `open` requests those of `WRITE`, `ALLOCATE` and `SET_SIZE` that are here: the
        // last two make opening for writing fail with a reason; with none, the file would open without write access.
        let base = DIRECTORY & !DIRECTORY_CHANGES;
        Self { base, inheriting: base | FILE & !(WRITE | SET_TIMES) }
    }
}

fn file_rights(file: &OpenFile) -> u64 {
    let mut rights = FILE;
    if !file.readable {
        rights &= !READ;
    }
    if !file.writable {
        rights &= !FILE_CHANGES;
    }
    if file.read_only {
        rights &= !SET_TIMES;
    }
    rights
}
