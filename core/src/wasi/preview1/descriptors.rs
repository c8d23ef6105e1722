//! The table of a plugin's file descriptors: the three standard streams, the directories of `allowed_paths` from number
//! 3 on, and what the plugin has opened in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::descriptor::{self, Descriptor, Directory, OpenFile};
use super::errno::{Errno, Error};
use super::listing::Listing;
use super::stdio::Output;
use crate::error::Excerpt;
use crate::host::Logs;

/// An instance that has so many descriptors can open no more. Each is one of the host's, which has 1,024 by default.
const MAX_DESCRIPTORS: usize = 128;

pub(crate) struct Descriptors {
    /// The index is the descriptor's number; `None` is a free number.
    open: Vec<Option<Descriptor>>,
    pub(crate) listing: Option<Listing>,
}

impl Descriptors {
    /// The streams and the directories of `allowed_paths`: host path (`ro:` in front: read-only) to guest path.
    pub(crate) fn new(allowed_paths: &BTreeMap<String, String>, logs: &Arc<Logs>) -> Result<Self, Error> {
        let streams = [Descriptor::Input].into_iter().chain(Output::both(logs).map(Descriptor::Output));
        let mut descriptors: Vec<Option<Descriptor>> = streams.map(Some).collect();
        let mut taken = BTreeSet::new();
        for (host, guest) in allowed_paths {
            let (path, directory) = descriptor::open(host, guest)?;
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
