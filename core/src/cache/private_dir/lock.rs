//! Lock files in a private directory. Any process that can open a file, even for reading only, can lock it. The locks
//! are therefore files that only their owner can open, and never the directory, which others may be allowed to read.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::dir::PrivateDir;

/// The number of tries to make a lock file. One try is lost to a file that others could open,
/// and one to each process that removes the file at the wrong moment.
const TRIES: u32 = 16;

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
    /// No file can be made or locked in the directory, or none that only its owner can open: file systems such as FAT
    /// and CIFS show the same mode for all files.
    pub(crate) fn lock_file(&self, name: &str) -> io::Result<Option<FileLock>> {
        self.lock_with(name, |file| Ok(rustix::fs::fstat(file)?.st_mode & 0o777))
    }

    /// Like [`lock_file`](Self::lock_file); `mode_of` returns the permissions that the file system shows.
    fn lock_with(&self, name: &str, mode_of: impl Fn(&OwnedFd) -> io::Result<u32>) -> io::Result<Option<FileLock>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut obstacle = String::new();
        for _ in 0..TRIES {
            let file = rustix::fs::openat(&self.open, name, flags, Mode::RUSR | Mode::WUSR)?;
            let mode = mode_of(&file)?;
            if mode & 0o077 != 0 {
                // Others may have opened the file, and could lock it for ever. A new one was opened by nobody.
                self.forget(name, &file)?;
                obstacle = format!("it was made with mode 600, and the file system says that it has {mode:o}");
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
            "another process removes it again and again".clone_into(&mut obstacle);
        }
        Err(io::Error::other(format!("the lock file `{name}` cannot be used: {obstacle}")))
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

#[cfg(test)]
mod tests {
    use super::{PrivateDir, TRIES};
    use crate::cache::private_dir::trust::Readers;
    use std::cell::Cell;
    use std::fs;

    /// Modes that the file system shows, one a try; the last one stays. Whether the file is locked then.
    #[test]
    fn a_file_that_others_can_open_is_replaced_but_not_for_ever() {
        for (modes, locked) in [(&[0o600][..], true), (&[0o644, 0o600], true), (&[0o755], false), (&[0o601], false)] {
            let folder = tempfile::tempdir().expect("a folder");
            let directory = PrivateDir::open(folder.path(), Readers::Owner).expect("ours");
            let tries = Cell::new(0);
            let shown = directory.lock_with("lock", |_| {
                let mode = *modes.get(tries.replace(tries.get() + 1)).unwrap_or(modes.last().expect("one"));
                Ok(mode)
            });
            let expected = if locked { modes.len() } else { TRIES as usize };
            assert_eq!(tries.get(), expected, "{modes:?}");
            match shown {
                Ok(lock) => assert!(locked && lock.is_some() && folder.path().join("lock").exists(), "{modes:?}"),
                Err(error) => {
                    let last = modes.last().expect("one");
                    assert!(!locked && error.to_string().ends_with(&format!("has {last:o}")), "{modes:?}: {error}");
                }
            }
            assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0, "{modes:?}");
        }
    }
}
