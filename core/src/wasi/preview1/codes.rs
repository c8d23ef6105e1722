//! Numbers of preview 1 for the types of files and for the flags that they are opened with.

use cap_std::fs::FileType;

/// `filetype` of preview 1.
pub(super) const UNKNOWN: u8 = 0;
pub(super) const CHARACTER_DEVICE: u8 = 2;
pub(super) const DIRECTORY: u8 = 3;
pub(super) const REGULAR_FILE: u8 = 4;
pub(super) const SYMBOLIC_LINK: u8 = 7;

/// `fdflags` of preview 1.
pub(super) const APPEND: u16 = 1;
pub(super) const DSYNC: u16 = 1 << 1;
const NONBLOCK: u16 = 1 << 2;
const RSYNC: u16 = 1 << 3;
const SYNC: u16 = 1 << 4;

/// The flags that can be chosen only when a file is opened, and all flags.
pub(super) const SYNCHRONISED: u16 = DSYNC | RSYNC | SYNC;
const ALL_FLAGS: u16 = APPEND | NONBLOCK | SYNCHRONISED;

/// The flags among `flags` that preview 1 knows.
pub(super) fn known_flags(flags: u32) -> u16 {
    flags as u16 & ALL_FLAGS
}

pub(super) fn file_type(file_type: FileType) -> u8 {
    match file_type {
        other if other.is_dir() => DIRECTORY,
        other if other.is_file() => REGULAR_FILE,
        other if other.is_symlink() => SYMBOLIC_LINK,
        _ => UNKNOWN,
    }
}
