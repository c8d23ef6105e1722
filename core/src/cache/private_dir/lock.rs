//! Lock files in a private directory. Any process that can open a file, even for reading only, can lock it. The locks
//! are therefore files that only their owner can open, and never the directory, which others may be allowed to read.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::PrivateDir;

/// A locked file. Dropping it removes the file and releases the lock.
#[derive(Debug)]
pub(crate) struct FileLock {
    directory: PrivateDir,
    name: String,
    /// Closing it releases the lock.
    file: OwnedFd,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if self.directory.has(&self.name, &self.file) {
            let _ = self.directory.remove(&self.name);
        }
    }
}

impl PrivateDir {
    /// Locks the file called `name`, and makes it first if it does not exist. `None` if it is locked already, in this
    /// process or another.
    ///
    /// # Errors
    /// No file can be made or locked in the directory.
    pub(crate) fn lock_file(&self, name: &str) -> io::Result<Option<FileLock>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        loop {
            let file = rustix::fs::openat(&self.open, name, flags, Mode::RUSR | Mode::WUSR)?;
            if rustix::fs::fstat(&file)?.st_mode & 0o077 != 0 {
                // Others may have opened the file, and could lock it for ever. A new one was opened by nobody.
                self.forget(name, &file)?;
                continue;
            }
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                other => other?,
            }
            // The previous holder may have removed the file in the meantime: a lock on it has no effect then.
            if self.has(name, &file) {
                let directory = Self { open: self.open.try_clone()?, readers: self.readers };
                return Ok(Some(FileLock { directory, name: name.to_owned(), file }));
            }
        }
    }

    /// Removes `file`, called `name`, unless it was removed or replaced already.
    fn forget(&self, name: &str, file: &OwnedFd) -> io::Result<()> {
        if !self.has(name, file) {
            return Ok(());
        }
        match self.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// True if the name `name` still refers to `file`.
    fn has(&self, name: &str, file: &OwnedFd) -> bool {
        let (file, named) = (rustix::fs::fstat(file), rustix::fs::statat(&self.open, name, AtFlags::SYMLINK_NOFOLLOW));
        file.is_ok_and(|file| named.is_ok_and(|named| (named.st_dev, named.st_ino) == (file.st_dev, file.st_ino)))
    }
}
