//! The kinds of descriptors.

use std::fs;
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::errno::{Errno, Error};
use super::stdio::Output;
use crate::error::{Excerpt, Message};

pub(crate) enum Descriptor {
    /// Standard input, always at its end.
    Input,
    Output(Output),
    File(OpenFile),
    Directory(Directory),
}

/// A regular file.
pub(crate) struct OpenFile {
    pub(crate) file: fs::File,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The file's `fdflags`, as opened or as set since.
    pub(crate) flags: u16,
    /// The file lies in a read-only directory.
    pub(crate) read_only: bool,
}

/// A directory, which gives access to all below it.
pub(crate) struct Directory {
    pub(crate) dir: Dir,
    /// The guest path of a directory of `allowed_paths`; `None` for one that the plugin has opened.
    pub(crate) preopened: Option<String>,
    pub(crate) read_only: bool,
}

impl Directory {
    /// The directory, to be changed; fails if it is read-only.
    pub(crate) fn writable(&self) -> Result<&Dir, Errno> {
        if self.read_only { Err(Errno::ROFS) } else { Ok(&self.dir) }
    }
}

/// Opens the directory of the host's that `allowed_paths` maps to `guest`; returns its path there, too.
pub(super) fn open(host: &str, guest: &str) -> Result<(PathBuf, Directory), Error> {
    let failed = |cause: Message| Error::Directory { host: Excerpt::of(host), cause };
    let bad_path = || failed(Message::of(format_args!("`{guest}` is not a path")));
    let guest_path = guest_path(guest).ok_or_else(bad_path)?;
    let (path, read_only) = host.strip_prefix("ro:").map_or((host, false), |path| (path, true));
    let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| failed(Message::of(error)))?;
    let preopened = Some(guest_path.to_string_lossy().into_owned());
    Ok((guest_path, Directory { dir, preopened, read_only }))
}

/// `path` as an absolute path without `.` and `..`.
fn guest_path(path: &str) -> Option<PathBuf> {
    let mut absolute = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => absolute.push(name),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!path.is_empty()).then_some(absolute)
}
