//! Rights of preview 1: what can be asked of a descriptor, and (inheriting) of what is opened by way of it.
//!
//! Programs go by them: libc's `access` and `open` look at those of the directory, and `isatty` at those of the stream.
//! They are information only. What is refused is decided by the functions, from what a descriptor stands for.

use super::descriptors::{Descriptor, Directory, OpenFile};

const DATASYNC: u64 = 1 << 0;
pub(super) const READ: u64 = 1 << 1;
const SEEK: u64 = 1 << 2;
const SET_FLAGS: u64 = 1 << 3;
const SYNC: u64 = 1 << 4;
const TELL: u64 = 1 << 5;
pub(super) const WRITE: u64 = 1 << 6;
const ADVISE: u64 = 1 << 7;
pub(super) const ALLOCATE: u64 = 1 << 8;
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

/// On a directory and on the paths in it. Reading, writing, seeking and sizes are not among them: those who open a directory
/// again with what it reports must be able to.
const DIRECTORY: u64 = OPEN | READ_DIRECTORY | READ_LINK | PATH_STAT | STAT | DIRECTORY_CHANGES;

/// Those of a directory that change what is in it.
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

/// On a file that was opened for reading and writing.
const FILE: u64 = READ | SEEK | SET_FLAGS | SYNC | TELL | ADVISE | STAT | SET_TIMES | POLL | FILE_CHANGES;

/// Those of a file that only one opened for writing has.
const FILE_CHANGES: u64 = DATASYNC | WRITE | ALLOCATE | SET_SIZE;

/// On a stream, besides reading or writing. It cannot seek.
const STREAM: u64 = SET_FLAGS | STAT | POLL;

/// What a descriptor reports.
pub(super) struct Rights {
    pub(super) base: u64,
    pub(super) inheriting: u64,
}

impl Rights {
    pub(super) fn of(descriptor: &Descriptor) -> Self {
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
        // libc's `access` asks for `WRITE`, its `open` for those of `WRITE`, `ALLOCATE` and `SET_SIZE` that it finds here.
        // Without any, opening for writing would give a file that cannot be written to; with the last two, it says why not.
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
