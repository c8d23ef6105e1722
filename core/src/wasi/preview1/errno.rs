//! Why a function fails: WASI's error numbers, and the conversion from the host's. Why a plugin cannot have WASI.

use std::io;

use thiserror::Error;

use crate::error::{Excerpt, Message};

/// Why a plugin cannot have WASI.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("allowed_paths: `{host}`: {cause}")]
    Directory { host: Excerpt, cause: Message },
    #[error("allowed_paths: two directories are mapped to `{0}`")]
    DuplicateMapping(Excerpt),
    #[error("the module imports WASI but has no memory")]
    NoMemory,
}

/// The result of a function that returns nothing but its error number.
pub(super) type Result0 = Result<(), Errno>;

/// An error number of preview 1. Preview 0 has the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(u16);

impl Errno {
    pub(crate) const ACCES: Self = Self(2);
    pub(crate) const BADF: Self = Self(8);
    pub(crate) const FAULT: Self = Self(21);
    pub(crate) const ILSEQ: Self = Self(25);
    pub(crate) const INTR: Self = Self(27);
    pub(crate) const INVAL: Self = Self(28);
    pub(crate) const IO: Self = Self(29);
    pub(crate) const ISDIR: Self = Self(31);
    pub(crate) const MFILE: Self = Self(33);
    pub(crate) const NAMETOOLONG: Self = Self(37);
    pub(crate) const NOMEM: Self = Self(48);
    pub(crate) const NOTDIR: Self = Self(54);
    pub(crate) const NOTSOCK: Self = Self(57);
    pub(crate) const NOTSUP: Self = Self(58);
    pub(crate) const OVERFLOW: Self = Self(61);
    pub(crate) const PERM: Self = Self(63);
    pub(crate) const ROFS: Self = Self(69);
    pub(crate) const SPIPE: Self = Self(70);

    /// The number as a plugin sees it.
    pub(crate) fn number(self) -> u16 {
        self.0
    }
}

impl From<Errno> for i32 {
    fn from(errno: Errno) -> Self {
        Self::from(errno.0)
    }
}

/// Pairs of the host's and WASI's number for the same error, from preview 1's `errno` in witx and from errno(3).
const TABLE: [(i32, u16); 45] = [
    (libc::E2BIG, 1),
    (libc::EACCES, 2),
    (libc::EAGAIN, 6),
    (libc::EBADF, 8),
    (libc::EBUSY, 10),
    (libc::ECANCELED, 11),
    (libc::EDEADLK, 16),
    (libc::EDOM, 18),
    (libc::EDQUOT, 19),
    (libc::EEXIST, 20),
    (libc::EFAULT, 21),
    (libc::EFBIG, 22),
    (libc::EILSEQ, 25),
    (libc::EINPROGRESS, 26),
    (libc::EINTR, 27),
    (libc::EINVAL, 28),
    (libc::EIO, 29),
    (libc::EISDIR, 31),
    (libc::ELOOP, 32),
    (libc::EMFILE, 33),
    (libc::EMLINK, 34),
    (libc::ENAMETOOLONG, 37),
    (libc::ENFILE, 41),
    (libc::ENODEV, 43),
    (libc::ENOENT, 44),
    (libc::ENOEXEC, 45),
    (libc::ENOLCK, 46),
    (libc::ENOMEM, 48),
    (libc::ENOSPC, 51),
    (libc::ENOSYS, 52),
    (libc::ENOTDIR, 54),
    (libc::ENOTEMPTY, 55),
    (libc::ENOTSUP, 58),
    (libc::ENOTTY, 59),
    (libc::ENXIO, 60),
    (libc::EOVERFLOW, 61),
    (libc::EPERM, 63),
    (libc::EPIPE, 64),
    (libc::ERANGE, 68),
    (libc::EROFS, 69),
    (libc::ESPIPE, 70),
    (libc::ESTALE, 72),
    (libc::ETIMEDOUT, 73),
    (libc::ETXTBSY, 74),
    (libc::EXDEV, 75),
];

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        if let Some(code) = error.raw_os_error() {
            return TABLE.iter().find(|(host, _)| *host == code).map_or(Self::IO, |(_, wasi)| Self(*wasi));
        }
        match error.kind() {
            // The error of cap-std for a path that leads out of its directory.
            io::ErrorKind::PermissionDenied => Self::PERM,
            io::ErrorKind::InvalidInput => Self::INVAL,
            io::ErrorKind::Unsupported => Self::NOTSUP,
            _ => Self::IO,
        }
    }
}
