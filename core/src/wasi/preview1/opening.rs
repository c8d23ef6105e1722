//! Opens files of a plugin's directories without waiting. Only regular files and directories may be opened: opening a
//! FIFO waits for its other end, and opening a device or a socket can have an effect.

use std::fs::File;
use std::io;

use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt};

use super::errno::Errno;

/// The host's flags for every file that is opened. `O_NONBLOCK` keeps the opening of a FIFO, or of a file that another
/// process holds a lease on, from waiting. Regular files that are open ignore it.
pub(super) const WITHOUT_WAITING: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// Refuses what is neither a regular file nor a directory, nor a link, which is not opened itself.
pub(super) fn refuse_special(metadata: &Metadata) -> Result<(), Errno> {
    let kind = metadata.file_type();
    if kind.is_file() || kind.is_dir() || kind.is_symlink() { Ok(()) } else { Err(Errno::ACCES) }
}

/// Opens the regular file or directory at `path`, for whatever access its mode allows. Follows links.
pub(super) fn open_for_any_access(dir: &Dir, path: &str) -> Result<File, Errno> {
    refuse_special(&dir.metadata(path)?)?;
    let open = |options: &mut OpenOptions| dir.open_with(path, options.custom_flags(WITHOUT_WAITING));
    let file = match open(OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open(OpenOptions::new().write(true))?,
        other => other?,
    };
    // Checked again, as another file may have taken its place.
    refuse_special(&file.metadata()?)?;
    Ok(file.into_std())
}
