//! Modules from files. Only regular files are read, and each is opened once: what was verified is what runs.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Error;
use crate::module_bytes::ModuleBytes;

/// The bytes of the regular file at `path`, which is at most `max` bytes long.
pub(super) fn load(name: &str, path: &Path, max: u64) -> Result<Arc<ModuleBytes>, Error> {
    let in_file = |cause| Error::File { path: path.to_owned(), cause };
    let file = open_now(path).map_err(in_file)?;
    // The open file is asked, not the path: nobody can exchange it any more.
    let metadata = file.metadata().map_err(in_file)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    let bytes = ModuleBytes::of_file(&file, metadata.len(), max).map_err(in_file)?;
    bytes.ok_or_else(|| Error::TooLarge { name: name.to_owned(), max })
}

/// Opens without waiting for the other end of a FIFO.
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
