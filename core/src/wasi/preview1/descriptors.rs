//! The table of a plugin's file descriptors: the three standard streams, the directories of `allowed_paths` from number
//! 3 on, and what the plugin has opened in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::Error;
use super::errno::Errno;
use super::listing::Listing;
use super::stdio::Output;
use crate::error::{Excerpt, Message};
use crate::host::Logs;

/// An instance that has so many descriptors can open no more. Each is one of the host's, which has 1,024 by default.
const MAX_DESCRIPTORS: usize = 128;

/// An open descriptor.
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

/// All descriptors of one instance.
pub(crate) struct Descriptors {
    /// The index is the descriptor's number; `None` is a free number.
    open: Vec<Option<Descriptor>>,
    pub(crate) listing: Option<Listing>,
}

impl Descriptors {
    /// The streams and the directories of `allowed_paths`: host path (`ro:` in front: read-only) to guest path.
    pub(crate) fn new(allowed_paths: &BTreeMap<String, String>, logs: &Arc<Logs>) -> Result<Self, Error> {
        let (stdout, stderr) = (Output::stdout(logs), Output::stderr(logs));
        let streams = [Descriptor::Input, Descriptor::Output(stdout), Descriptor::Output(stderr)];
        let mut descriptors: Vec<Option<Descriptor>> = streams.into_iter().map(Some).collect();
        let mut taken = BTreeSet::new();
        for (host, guest) in allowed_paths {
            let (path, directory) = open(host, guest)?;
            if !taken.insert(path) {
                return Err(Error::DuplicateMapping(Excerpt::of(guest)));
            }
            descriptors.push(Some(Descriptor::Directory(directory)));
        }
        Ok(Self { open: descriptors, listing: None })
    }

    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.open.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.open.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BADF)
    }

    pub(crate) fn file(&self, fd: u32) -> Result<&OpenFile, Errno> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(Errno::ISDIR),
            Descriptor::Input | Descriptor::Output(_) => Err(Errno::SPIPE),
        }
    }

    pub(crate) fn directory(&self, fd: u32) -> Result<&Directory, Errno> {
        match self.get(fd)? {
            Descriptor::Directory(directory) => Ok(directory),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// The lowest number that is free.
    pub(crate) fn free_number(&self) -> Result<usize, Errno> {
        let number = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if number < MAX_DESCRIPTORS { Ok(number) } else { Err(Errno::MFILE) }
    }

    /// Opens `descriptor` as `number`, which has to be free.
    pub(crate) fn put(&mut self, number: usize, descriptor: Descriptor) {
        if number == self.open.len() {
            self.open.push(None);
        }
        self.open[number] = Some(descriptor);
    }

    pub(crate) fn close(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.listing.take_if(|listing| listing.fd == fd);
        self.open.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::BADF)
    }

    /// Moves descriptor `from` to the number `onto`, which has to be open.
    pub(crate) fn renumber(&mut self, from: u32, onto: u32) -> Result<(), Errno> {
        self.get(onto)?;
        if from == onto {
            return Ok(());
        }
        self.listing = None;
        let descriptor = self.close(from)?;
        *self.open.get_mut(onto as usize).ok_or(Errno::BADF)? = Some(descriptor);
        Ok(())
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
