//! Modules from files. Only regular files are read, and each is opened once, so that the verified bytes run.

use std::path::Path;

use super::error::Error;
use crate::error::Excerpt;
use crate::module::contents::{self, Contents};
use crate::read;

/// The contents of the regular file at `path`, which is at most `max` bytes long.
pub(crate) fn open(name: &str, path: &Path, max: u64) -> Result<Contents, Error> {
    let in_file = |cause| contents::Error { path: path.to_owned(), cause };
    let file = read::open(path).map_err(in_file)?;
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
