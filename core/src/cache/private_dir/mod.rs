//! Private directories: only this user and root can write to them, so the library trusts their files. A directory stays
//! open, and files are opened relative to it, never by path again: no symbolic link or exchanged directory can redirect
//! an access.
//!
//! Start with `dir.rs`. `trust.rs` decides which owners are trusted and who may read, `lock.rs` has the locks.

#![cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "only compilers have something to keep"))]

mod dir;
#[cfg(any(feature = "compiler", feature = "http"))]
mod lock;
mod trust;

pub(crate) use dir::{DirEntry, PrivateDir};
#[cfg(feature = "http")]
pub(crate) use lock::FileLock;
pub(crate) use trust::Readers;
