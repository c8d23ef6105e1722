//! An open private directory, and what is done with the files in it.

use std::ffi::CString;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::process::getpid;

use super::trust::{Readers, check_owner, failed_at, failed_in};
use crate::read;
use crate::write_signals;

/// The prefix of temporary files' names. No other name may have it.
const TEMPORARY: &str = ".new-";

/// An open directory of this user's or root's, which nobody else can write to.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    pub(super) open: OwnedFd,
    /// The readers of files and directories that are made in it.
    pub(super) readers: Readers,
}

#[derive(Debug)]
pub(crate) struct DirEntry {
    pub(crate) name: String,
    pub(crate) is_dir: bool,
    /// Size in bytes.
    pub(crate) size: u64,
    /// The time at which it was last written or used.
    pub(crate) modified: SystemTime,
}

impl DirEntry {
    /// True for a file that is being written, or whose writer ended in the middle.
    pub(crate) fn is_temporary(&self) -> bool {
        self.name.starts_with(TEMPORARY)
    }

    /// True for the leftover of an interrupted write: too old to be one in progress.
    pub(crate) fn is_abandoned(&self) -> bool {
        const LONG: Duration = Duration::from_secs(3600);
        self.is_temporary() && self.is_older_than(LONG)
    }

    /// True if it was last written or used longer ago than `age`.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        self.modified.elapsed().is_ok_and(|elapsed| elapsed > age)
    }
}

impl PrivateDir {
    /// Opens the directory at `path`. `readers` may read what is made in it.
    ///
    /// # Errors
    /// It does not exist, is a link, may not be read, belongs to another user than this one or root, or others can
    /// write to it.
    pub(crate) fn open(path: &Path, readers: Readers) -> io::Result<Self> {
        let opened = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty());
        Self::checked(opened.map_err(|error| failed_at(path, error))?, readers)
    }

    /// Like [`open`](Self::open), but makes it first, and those above it, if it does not exist.
    pub(crate) fn create(path: &Path, readers: Readers) -> io::Result<Self> {
        match Self::open(path, readers) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(readers.of_directory().as_raw_mode()).create(path)?;
                Self::open(path, readers)
            }
            other => other,
        }
    }

    /// Opens a directory in this one.
    pub(crate) fn directory(&self, name: &str) -> io::Result<Self> {
        let opened = rustix::fs::openat(&self.open, name, DIRECTORY, Mode::empty());
        Self::checked(opened.map_err(|error| failed_in(&self.open, name, error))?, self.readers)
    }

    /// Opens a directory in this one, and makes it first if it does not exist.
    pub(crate) fn create_directory(&self, name: &str) -> io::Result<Self> {
        match self.directory(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match rustix::fs::mkdirat(&self.open, name, self.readers.of_directory()) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => self.directory(name),
                    Err(error) => Err(error.into()),
                }
            }
            other => other,
        }
    }

    fn checked(open: OwnedFd, readers: Readers) -> io::Result<Self> {
        check_owner("the directory", &rustix::fs::fstat(&open)?)?;
        Ok(Self { open, readers })
    }

    /// The contents of a file of at most `max` bytes, read by `deadline` at the latest, if there is one.
    ///
    /// # Errors
    /// It does not exist, is not a regular file, is a link, is longer, belongs to another user than this one or root,
    /// others can write to it, or the deadline passes.
    pub(crate) fn read(&self, name: &str, max: u64, deadline: Option<Instant>) -> io::Result<Vec<u8>> {
        let (file, size) = self.file(name)?;
        let too_large = || io::Error::other(format!("larger than {max} bytes"));
        read::whole(&file, size, max, deadline)?.ok_or_else(too_large)
    }

    /// Opens a file that only this user and root can write to; returns it and its size.
    fn file(&self, name: &str) -> io::Result<(File, u64)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.open, name, flags, Mode::empty());
        let file = File::from(opened.map_err(|error| failed_in(&self.open, name, error))?);
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("not a regular file"));
        }
        check_owner("the file", &stat)?;
        Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// The first bytes of a file, at most `length`.
    pub(crate) fn read_front(&self, name: &str, length: u64) -> io::Result<Vec<u8>> {
        let (file, size) = self.file(name)?;
        let mut front = Vec::with_capacity(usize::try_from(size.min(length)).unwrap_or(0));
        file.take(length).read_to_end(&mut front)?;
        Ok(front)
    }

    /// Writes a file of the given parts under `name`, atomically: readers see the old file or the new one. A failure
    /// leaves nothing behind.
    pub(crate) fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY}{}-{count}-{now:x}", getpid().as_raw_nonzero());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.open, &temporary, flags, self.readers.of_file())?);
        let written = write_signals::held(|| parts.iter().try_for_each(|part| file.write_all(part)));
        let placed = written
            .and_then(|()| rustix::fs::renameat(&self.open, &temporary, &self.open, name).map_err(io::Error::from));
        if placed.is_err() {
            let _ = self.remove(&temporary);
        }
        placed
    }

    /// Notes that a file is used now, in its time of modification, unless that is less than a minute old. Eviction
    /// removes the files with the oldest times first. Failures are ignored.
    pub(crate) fn touch(&self, name: &str) {
        const LATELY: Duration = Duration::from_secs(60);
        let used = rustix::fs::statat(&self.open, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| modified(&stat));
        if used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age < LATELY)) {
            return;
        }
        let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
        let _ = rustix::fs::utimensat(&self.open, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }

    /// The directory's entries, in no order. Names that are not UTF-8 cannot be the library's, and are left out.
    pub(crate) fn entries(&self) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.open)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            // Skips an entry that was removed in the meantime.
            let Ok(stat) = rustix::fs::statat(&self.open, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if name != "." && name != ".." {
                entries.push(DirEntry {
                    name: name.to_owned(),
                    is_dir: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
                    size: u64::try_from(stat.st_size).unwrap_or(0),
                    modified: modified(&stat),
                });
            }
        }
        Ok(entries)
    }

    /// Removes a file or link.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.open, name, AtFlags::empty())?)
    }

    pub(crate) fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.open, name, AtFlags::REMOVEDIR)?)
    }

    /// Makes a symbolic link called `name` that holds `text`; replaces one that holds another text.
    pub(crate) fn write_link(&self, name: &str, text: &str) -> io::Result<()> {
        match rustix::fs::symlinkat(text, &self.open, name) {
            Err(rustix::io::Errno::EXIST)
                if self.read_link(name).is_ok_and(|held| held.as_bytes() == text.as_bytes()) =>
            {
                Ok(())
            }
            Err(rustix::io::Errno::EXIST) => {
                self.remove(name)?;
                Ok(rustix::fs::symlinkat(text, &self.open, name)?)
            }
            other => Ok(other?),
        }
    }

    /// The text of the symbolic link called `name`.
    pub(crate) fn read_link(&self, name: &str) -> io::Result<CString> {
        Ok(rustix::fs::readlinkat(&self.open, name, Vec::new())?)
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn modified(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds)
}
