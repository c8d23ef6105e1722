//! Trust in files: this user's and root's are trusted if nobody else can write to them. Also: who may read new files.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The readers of files and directories that the library makes. Only their owner may ever write to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Nobody but their owner.
    Owner,
    /// Everybody, as far as the process's umask lets them.
    #[cfg(feature = "compiler")]
    Umask,
}

impl Readers {
    pub(crate) fn of_directory(self) -> Mode {
        match self {
            Self::Owner => Mode::RWXU,
            #[cfg(feature = "compiler")]
            Self::Umask => Mode::from_raw_mode(0o755),
        }
    }

    pub(crate) fn of_file(self) -> Mode {
        match self {
            Self::Owner => Mode::RUSR | Mode::WUSR,
            #[cfg(feature = "compiler")]
            Self::Umask => Mode::from_raw_mode(0o644),
        }
    }
}

/// Refuses a file that somebody else could change: another user owns it, or the group or all may write to it.
pub(crate) fn check_owner(what: &str, stat: &Stat) -> io::Result<()> {
    let (owner, mode) = (stat.st_uid, mode(stat));
    if owner != 0 && owner != geteuid().as_raw() {
        let text =
            format!("{what} belongs to user {owner} (mode {mode:o}); only what is this user's or root's is trusted");
        return Err(io::Error::other(text));
    }
    if mode & 0o022 != 0 {
        return Err(io::Error::other(format!("others can write to {what} (mode {mode:o})")));
    }
    Ok(())
}

/// The error for a `path` that could not be opened. If access was denied, the text has owner and mode of the path, or
/// of the nearest directory above it that can be examined.
pub(crate) fn failed_at(path: &Path, error: Errno) -> io::Error {
    if error != Errno::ACCESS {
        return not_followed(error, || rustix::fs::lstat(path).ok());
    }
    let found = path.ancestors().find_map(|place| Some((place, rustix::fs::lstat(place).ok()?)));
    found.map_or_else(|| error.into(), |(place, stat)| denied(&place.display().to_string(), &stat))
}

/// The error for a `name` in an open directory that could not be opened, like [`failed_at`].
pub(crate) fn failed_in(directory: &OwnedFd, name: &str, error: Errno) -> io::Error {
    if error != Errno::ACCESS {
        return not_followed(error, || rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok());
    }
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => denied(name, &stat),
        Err(_) => rustix::fs::fstat(directory).map_or_else(|_| error.into(), |stat| denied(".", &stat)),
    }
}

/// The error for something that may be a symbolic link, as `found` shows. Links are not followed: the system then
/// reports that it is no directory, or that there are too many links. For a link, the text says what is meant. Any
/// other `error` stays as it is.
fn not_followed(error: Errno, found: impl FnOnce() -> Option<Stat>) -> io::Error {
    let may_be_link = matches!(error, Errno::NOTDIR | Errno::LOOP);
    let error = io::Error::from(error);
    let is_link = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    if may_be_link && found().is_some_and(is_link) {
        return io::Error::new(error.kind(), "it is a symbolic link, which is not followed: give what it leads to");
    }
    error
}

fn denied(what: &str, stat: &Stat) -> io::Error {
    let (error, owner, mode) = (io::Error::from(Errno::ACCESS), stat.st_uid, mode(stat));
    let text = format!("{error}: `{what}` belongs to user {owner} and has mode {mode:o}");
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}
