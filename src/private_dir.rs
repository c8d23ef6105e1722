//! Directories that nobody but this user and root can write to, and the files in them. What is kept there is trusted,
//! so it is held open and asked, never looked up by path again: a link or an exchanged directory is not followed.

#![cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "only compilers have something to keep"))]

use std::ffi::CString;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::process::{geteuid, getpid};

use crate::read;

/// What temporary files' names begin with. Other names must not.
const TEMPORARY: &str = ".new-";

/// An open directory.
#[derive(Debug)]
pub(crate) struct PrivateDir(OwnedFd);

/// A locked directory.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Closing it gives the lock back.
    _directory: OwnedFd,
}

/// A locked file, which goes with the lock.
#[cfg(feature = "http")]
#[derive(Debug)]
pub(crate) struct FileLock {
    directory: PrivateDir,
    name: String,
    /// Closing it gives the lock back.
    file: OwnedFd,
}

#[cfg(feature = "http")]
impl Drop for FileLock {
    fn drop(&mut self) {
        if self.directory.has(&self.name, &self.file) {
            let _ = self.directory.remove(&self.name);
        }
    }
}

/// One thing in a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_dir: bool,
    /// In bytes.
    pub(crate) size: u64,
    /// When it was written, or used, last.
    pub(crate) modified: SystemTime,
}

impl Entry {
    /// Whether it is a file that is being written, or was when its writer ended.
    pub(crate) fn is_temporary(&self) -> bool {
        self.name.starts_with(TEMPORARY)
    }

    /// Whether it is what a write left behind that was interrupted, so long ago that it is none that goes on.
    pub(crate) fn is_abandoned(&self) -> bool {
        const LONG: Duration = Duration::from_secs(3600);
        self.is_temporary() && self.is_older_than(LONG)
    }

    /// Whether it was written, or used, longer ago than `age`.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        self.modified.elapsed().is_ok_and(|elapsed| elapsed > age)
    }
}

impl PrivateDir {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// It is not there, is a link, or others can write to it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::checked(rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())?)
    }

    /// As [`open`](Self::open); makes it before, and those above it, if it is not there.
    ///
    /// # Errors
    /// As there, or it cannot be made.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        match Self::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(path)?;
                Self::open(path)
            }
            other => other,
        }
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) fn directory(&self, name: &str) -> io::Result<Self> {
        Self::checked(rustix::fs::openat(&self.0, name, DIRECTORY, Mode::empty())?)
    }

    /// Opens a directory in this one, and makes it before if it is not there.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub(crate) fn create_directory(&self, name: &str) -> io::Result<Self> {
        match self.directory(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match rustix::fs::mkdirat(&self.0, name, Mode::RWXU) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => self.directory(name),
                    Err(error) => Err(error.into()),
                }
            }
            other => other,
        }
    }

    fn checked(directory: OwnedFd) -> io::Result<Self> {
        check_owner("the directory", &rustix::fs::fstat(&directory)?)?;
        Ok(Self(directory))
    }

    /// The contents of a file that is no longer than `max` bytes.
    ///
    /// # Errors
    /// It is not there, is no file or a link, others can write to it, or it is longer.
    pub(crate) fn read(&self, name: &str, max: u64) -> io::Result<Vec<u8>> {
        let (file, size) = self.file(name)?;
        read::whole(&file, size, max)?.ok_or_else(|| io::Error::other(format!("larger than {max} bytes")))
    }

    /// An open file that only this user and root can write to, and its size.
    fn file(&self, name: &str) -> io::Result<(File, u64)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.0, name, flags, Mode::empty())?);
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("not a regular file"));
        }
        check_owner("the file", &stat)?;
        Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// The first bytes of a file, at most `length`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub(crate) fn read_front(&self, name: &str, length: u64) -> io::Result<Vec<u8>> {
        let (file, size) = self.file(name)?;
        let mut front = Vec::with_capacity(usize::try_from(size.min(length)).unwrap_or(0));
        file.take(length).read_to_end(&mut front)?;
        Ok(front)
    }

    /// Locks the directory until the lock is dropped; `None` if another process has locked it.
    ///
    /// # Errors
    /// Where it lies, nothing can be locked.
    pub(crate) fn lock(&self) -> io::Result<Option<Lock>> {
        // An open file of its own: this lock must not be that of others who use this directory in this process.
        let directory = rustix::fs::openat(&self.0, ".", DIRECTORY, Mode::empty())?;
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _directory: directory })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Locks the file called `name`, and makes it before if it is not there, until the lock is dropped; `None` if
    /// somebody else has locked it, in this process or another.
    ///
    /// # Errors
    /// Where it lies, nothing can be made or locked.
    #[cfg(feature = "http")]
    pub(crate) fn lock_file(self, name: &str) -> io::Result<Option<FileLock>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        loop {
            let file = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                other => other?,
            }
            // Who had the lock before may have removed the file in the meantime: then it locks nothing.
            if self.has(name, &file) {
                return Ok(Some(FileLock { directory: self, name: name.to_owned(), file }));
            }
        }
    }

    /// Whether `file` is what is called `name` now.
    #[cfg(feature = "http")]
    fn has(&self, name: &str, file: &OwnedFd) -> bool {
        let (file, named) = (rustix::fs::fstat(file), rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW));
        file.is_ok_and(|file| named.is_ok_and(|named| (named.st_dev, named.st_ino) == (file.st_dev, file.st_ino)))
    }

    /// Puts a file of the given parts under `name`, all of it or nothing; a reader sees the old or the new one.
    ///
    /// # Errors
    /// It cannot be written; nothing is left then.
    pub(crate) fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY}{}-{count}-{now:x}", getpid().as_raw_nonzero());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.0, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
        let written = parts.iter().try_for_each(|part| file.write_all(part));
        let placed =
            written.and_then(|()| rustix::fs::renameat(&self.0, &temporary, &self.0, name).map_err(io::Error::from));
        if placed.is_err() {
            let _ = self.remove(&temporary);
        }
        placed
    }

    /// Marks a file as used just now, if it was not lately. For what is kept longest; a failure has no effect.
    pub(crate) fn touch(&self, name: &str) {
        const LATELY: Duration = Duration::from_secs(60);
        let used = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| modified(&stat));
        if used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age < LATELY)) {
            return;
        }
        let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
        let _ = rustix::fs::utimensat(&self.0, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }

    /// What is in the directory, in no order; names that are not UTF-8 are nothing of ours and are left out.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            // What has gone in the meantime is not there.
            let Ok(stat) = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if name != "." && name != ".." {
                entries.push(Entry {
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
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// It is not empty, or cannot be removed.
    pub(crate) fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Makes a link called `name`, which holds `text`, in the place of one that holds another.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn write_link(&self, name: &str, text: &str) -> io::Result<()> {
        match rustix::fs::symlinkat(text, &self.0, name) {
            Err(rustix::io::Errno::EXIST)
                if self.read_link(name).is_ok_and(|held| held.as_bytes() == text.as_bytes()) =>
            {
                Ok(())
            }
            Err(rustix::io::Errno::EXIST) => {
                self.remove(name)?;
                Ok(rustix::fs::symlinkat(text, &self.0, name)?)
            }
            other => Ok(other?),
        }
    }

    /// What the link called `name` holds.
    ///
    /// # Errors
    /// It is not there, or is no link.
    pub(crate) fn read_link(&self, name: &str) -> io::Result<CString> {
        Ok(rustix::fs::readlinkat(&self.0, name, Vec::new())?)
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Refuses what somebody else could change: of another user, or writable by the group or all.
fn check_owner(what: &str, stat: &Stat) -> io::Result<()> {
    let owner = stat.st_uid;
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(io::Error::other(format!("{what} belongs to user {owner}")));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(io::Error::other(format!("others can write to {what} (mode {:o})", stat.st_mode & 0o7777)));
    }
    Ok(())
}

fn modified(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds)
}
