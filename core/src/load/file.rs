//! Modules from files. Only regular files are read, and each is opened once, so that the verified bytes run.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use super::error::Error;
use crate::error::Excerpt;
use crate::module::contents::{self, Contents};

/// The contents of the regular file at `path`, which is at most `max` bytes long.
pub(crate) fn open(name: &str, path: &Path, max: u64) -> Result<Contents, Error> {
    let in_file = |cause| contents::Error { path: path.to_owned(), cause };
    let file = open_now(path).map_err(in_file)?;
    // Checks the open file, not the path, behind which the file could be exchanged.
    let metadata = file.metadata().map_err(in_file)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    if metadata.len() > max {
        return Err(Error::TooLarge { name: Excerpt::of(name), max });
    }
    Ok(Contents::of_file(file, path.to_owned(), metadata.len(), max)?)
}

/// Opens a file. Does not wait for the other end of a FIFO.
fn open_now(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    options.open(path)
}
