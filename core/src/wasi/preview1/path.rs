//! The functions on paths. Every path starts at a directory of the plugin's. cap-std ensures that it cannot leave that
//! directory, neither by `..` nor by a link nor by a race.
#![expect(clippy::too_many_arguments, reason = "WASI says which parameters its functions have")]

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, SystemTimeSpec};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use cap_std::time::SystemTime;

use super::codes::{APPEND, DSYNC, SYNCHRONISED, known_flags};
use super::descriptor::{Descriptor, Directory, OpenFile};
use super::errno::{Errno, Result0};
use super::fd::write_filestat;
use super::frame::Frame;
use super::opening::{WITHOUT_WAITING, refuse_special};
use super::rights::{ALLOCATE, READ, WRITE};
use super::times::Times;

/// `lookupflags` of preview 1.
const FOLLOW: u32 = 1;

/// `oflags` of preview 1.
const CREATE: u32 = 1;
const OPEN_DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

pub(crate) fn create_directory(frame: Frame<'_>, fd: u32, path: u32, length: u32) -> Result0 {
    let path = frame.memory.path(path, length)?;
    Ok(frame.descriptors.directory(fd)?.writable()?.create_dir(path)?)
}

pub(crate) fn remove_directory(frame: Frame<'_>, fd: u32, path: u32, length: u32) -> Result0 {
    let path = frame.memory.path(path, length)?;
    // A final slash changes nothing here, but cap-std would take it for a `.`.
    let name = path.trim_end_matches('/');
    let path = if name.is_empty() { path.as_str() } else { name };
    Ok(frame.descriptors.directory(fd)?.writable()?.remove_dir(path)?)
}

pub(crate) fn unlink_file(frame: Frame<'_>, fd: u32, path: u32, length: u32) -> Result0 {
    let path = frame.memory.path(path, length)?;
    let dir = frame.descriptors.directory(fd)?.writable()?;
    // A final slash asks for a directory, and a link to a directory is none.
    if path.ends_with('/') && dir.symlink_metadata(path.trim_end_matches('/')).is_ok_and(|found| found.is_symlink()) {
        return Err(Errno::NOTDIR);
    }
    Ok(dir.remove_file(path)?)
}

pub(crate) fn filestat_get(frame: Frame<'_>, fd: u32, lookup: u32, path: u32, length: u32, to: u32) -> Result0 {
    let path = frame.memory.path(path, length)?;
    let dir = &frame.descriptors.directory(fd)?.dir;
    // A final slash asks for a directory, and follows links to it.
    let follow = lookup & FOLLOW != 0 || path.ends_with('/');
    let metadata = if follow { dir.metadata(path)? } else { dir.symlink_metadata(path)? };
    write_filestat(&frame, &metadata, to)
}

pub(crate) fn filestat_set_times(
    frame: Frame<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    length: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result0 {
    let path = frame.memory.path(path, length)?;
    let times = Times::new(accessed, modified, flags)?;
    let dir = frame.descriptors.directory(fd)?.writable()?;
    if lookup & FOLLOW != 0 {
        return times.set(dir, &path);
    }
    let spec = |time: Option<std::time::SystemTime>| Some(SystemTimeSpec::Absolute(SystemTime::from_std(time?)));
    Ok(dir.set_symlink_times(path, spec(times.accessed), spec(times.modified))?)
}

/// Requires the source directory to be writable: a new link could be used to change a file of a read-only one.
pub(crate) fn link(
    frame: Frame<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    length: u32,
    new_fd: u32,
    new_path: u32,
    new_length: u32,
) -> Result0 {
    if lookup & FOLLOW != 0 {
        return Err(Errno::INVAL);
    }
    let (path, new_path) = (frame.memory.path(path, length)?, frame.memory.path(new_path, new_length)?);
    let from = frame.descriptors.directory(fd)?.writable()?;
    Ok(from.hard_link(path, frame.descriptors.directory(new_fd)?.writable()?, new_path)?)
}

pub(crate) fn rename(
    frame: Frame<'_>,
    fd: u32,
    path: u32,
    length: u32,
    new_fd: u32,
    new_path: u32,
    new_length: u32,
) -> Result0 {
    let (path, new_path) = (frame.memory.path(path, length)?, frame.memory.path(new_path, new_length)?);
    let from = frame.descriptors.directory(fd)?.writable()?;
    let onto = frame.descriptors.directory(new_fd)?.writable()?;
    // A final slash is valid for directories only.
    if new_path.ends_with('/') && !from.symlink_metadata(&path)?.is_dir() {
        return Err(Errno::NOTDIR);
    }
    Ok(from.rename(path, onto, new_path)?)
}

pub(crate) fn symlink(frame: Frame<'_>, target: u32, target_length: u32, fd: u32, path: u32, length: u32) -> Result0 {
    let (target, path) = (frame.memory.path(target, target_length)?, frame.memory.path(path, length)?);
    let dir = frame.descriptors.directory(fd)?.writable()?;
    Ok(Dir::symlink(dir, target, path)?)
}

pub(crate) fn readlink(frame: Frame<'_>, fd: u32, path: u32, length: u32, to: u32, size: u32, used: u32) -> Result0 {
    let path = frame.memory.path(path, length)?;
    let target = frame.descriptors.directory(fd)?.dir.read_link(path)?;
    let target = target.to_str().ok_or(Errno::ILSEQ)?.as_bytes();
    let target = &target[..target.len().min(size as usize)];
    frame.memory.write(to, target)?;
    frame.memory.write_length(used, target.len())
}

pub(crate) fn open(
    frame: Frame<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    length: u32,
    how: u32,
    rights: u64,
    _inheriting: u64,
    flags: u32,
    to: u32,
) -> Result0 {
    let path = frame.memory.path(path, length)?;
    // Opening creates or empties files, so it must not happen if the number cannot be written to the plugin's memory.
    frame.memory.range(to, 4)?;
    let number = frame.descriptors.free_number()?;
    let follow = lookup & FOLLOW != 0;
    let directory = frame.descriptors.directory(fd)?;
    let access = Access::new(rights, flags);
    let descriptor = if how & OPEN_DIRECTORY != 0 {
        open_directory(directory, &path, follow, how, access)?
    } else {
        open_file(directory, &path, follow, how, access)?
    };
    frame.descriptors.put(number, descriptor);
    frame.memory.write_length(to, number)
}

#[derive(Clone, Copy)]
struct Access {
    readable: bool,
    writable: bool,
    /// `fdflags`.
    flags: u16,
}

impl Access {
    /// The access that `rights` ask for. The right to set sizes does not ask for writing: Go requests it for files that
    /// it only reads.
    fn new(rights: u64, flags: u32) -> Self {
        Self { readable: rights & READ != 0, writable: rights & (WRITE | ALLOCATE) != 0, flags: known_flags(flags) }
    }

    /// The host's flags for `fdflags`.
    fn host_flags(self) -> i32 {
        let mut host = WITHOUT_WAITING;
        if self.flags & APPEND != 0 {
            host |= libc::O_APPEND;
        }
        match self.flags & SYNCHRONISED {
            0 => host,
            DSYNC => host | libc::O_DSYNC,
            _ => host | libc::O_SYNC,
        }
    }
}

fn open_directory(parent: &Directory, path: &str, follow: bool, how: u32, access: Access) -> Result<Descriptor, Errno> {
    if how & (CREATE | EXCLUSIVE | TRUNCATE) != 0 {
        return Err(Errno::INVAL);
    }
    let dir = if follow { parent.dir.open_dir(path)? } else { parent.dir.open_dir_nofollow(path)? };
    // No directory can be written to. If it is missing or not a directory, the error above says so.
    if access.writable { Err(Errno::ISDIR) } else { Ok(below(parent, dir)) }
}

fn below(parent: &Directory, dir: Dir) -> Descriptor {
    Descriptor::Directory(Directory { dir, preopened: None, read_only: parent.read_only })
}

fn open_file(parent: &Directory, path: &str, follow: bool, how: u32, access: Access) -> Result<Descriptor, Errno> {
    let Access { readable, writable, flags } = access;
    let mut how = how;
    let there = if follow { parent.dir.metadata(path) } else { parent.dir.symlink_metadata(path) };
    if let Ok(metadata) = &there {
        refuse_special(metadata)?;
        // Creating a file that exists changes nothing.
        if how & EXCLUSIVE == 0 {
            how &= !CREATE;
        }
    }
    let changes = writable || how & (CREATE | TRUNCATE) != 0;
    if changes {
        parent.writable()?;
    }
    let mut options = OpenOptions::new();
    options
        .read(readable || !changes)
        .write(changes)
        .create(how & CREATE != 0)
        .create_new(how & CREATE != 0 && how & EXCLUSIVE != 0)
        .truncate(how & TRUNCATE != 0)
        .follow(if follow { FollowSymlinks::Yes } else { FollowSymlinks::No })
        .custom_flags(access.host_flags());
    let file = parent.dir.open_with(path, &options)?;
    let metadata = file.metadata()?;
    let file = file.into_std();
    if metadata.is_dir() {
        return Ok(below(parent, Dir::from_std_file(file)));
    }
    // Checked again, as another file may have taken its place.
    refuse_special(&metadata)?;
    Ok(Descriptor::File(OpenFile { file, readable, writable, flags, read_only: parent.read_only }))
}
