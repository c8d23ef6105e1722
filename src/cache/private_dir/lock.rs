//! Locks in a directory. Whoever can open a file can lock it, for reading is enough: so a file is locked that only its owner can
//! open, and never the directory, which others may be allowed to read.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::PrivateDir;

/// A locked file, which goes with the lock.
#[derive(Debug)]
pub(crate) struct FileLock {
    directory: PrivateDir,
    name: String,
    /// Closing it gives the lock back.
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
    /// Locks the file called `name`, and makes it before if it is not there, until the lock is dropped; `None` if
    /// somebody else has locked it, in this process or another.
    ///
    /// # Errors
    /// Where it lies, nothing can be made or locked.
    pub(crate) fn lock_file(&self, name: &str) -> io::Result<Option<FileLock>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        loop {
            let file = rustix::fs::openat(&self.open, name, flags, Mode::RUSR | Mode::WUSR)?;
            if rustix::fs::fstat(&file)?.st_mode & 0o077 != 0 {
                // Others may have opened it, and locked it for good. A new one has not been opened by anybody.
                self.forget(name, &file)?;
                continue;
            }
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                other => other?,
            }
            // Who had the lock before may have removed the file in the meantime: then it locks nothing.
            if self.has(name, &file) {
                let directory = Self { open: self.open.try_clone()?, readers: self.readers };
                return Ok(Some(FileLock { directory, name: name.to_owned(), file }));
            }
        }
    }

    /// Removes `file`, called `name`, unless somebody has done so already.
    fn forget(&self, name: &str, file: &OwnedFd) -> io::Result<()> {
        if !self.has(name, file) {
            return Ok(());
        }
        match self.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether `file` is what is called `name` now.
    fn has(&self, name: &str, file: &OwnedFd) -> bool {
        let (file, named) = (rustix::fs::fstat(file), rustix::fs::statat(&self.open, name, AtFlags::SYMLINK_NOFOLLOW));
        file.is_ok_and(|file| named.is_ok_and(|named| (named.st_dev, named.st_ino) == (file.st_dev, file.st_ino)))
    }
}
