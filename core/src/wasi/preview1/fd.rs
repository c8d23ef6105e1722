//! The functions on open descriptors.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use cap_std::fs::{Metadata, MetadataExt};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::codes::{APPEND, CHARACTER_DEVICE, DIRECTORY, REGULAR_FILE, SYNCHRONISED, UNKNOWN, file_type, known_flags};
use super::descriptor::{Descriptor, Directory, OpenFile};
use super::errno::{Errno, Result0};
use super::frame::{Frame, Version};
use super::listing::Listing;
use super::rights::Rights;
use super::times::Times;
use super::yield_point::yield_point;
use crate::write_signals;

/// Accepts any hint and ignores it.
pub(crate) fn advise(frame: Frame<'_>, fd: u32) -> Result0 {
    frame.descriptors.file(fd).map(drop)
}

pub(crate) fn allocate(frame: Frame<'_>, fd: u32) -> Result0 {
    frame.descriptors.file(fd)?;
    Err(Errno::NOTSUP)
}

pub(crate) fn close(frame: Frame<'_>, fd: u32) -> Result0 {
    frame.descriptors.close(fd).map(drop)
}

pub(crate) fn datasync(frame: Frame<'_>, fd: u32) -> Result0 {
    match frame.descriptors.get(fd)? {
        Descriptor::File(file) => Ok(file.file.sync_data()?),
        _ => Ok(()),
    }
}

pub(crate) fn sync(frame: Frame<'_>, fd: u32) -> Result0 {
    match frame.descriptors.get(fd)? {
        Descriptor::File(file) => Ok(file.file.sync_all()?),
        _ => Ok(()),
    }
}

pub(crate) fn renumber(frame: Frame<'_>, from: u32, onto: u32) -> Result0 {
    frame.descriptors.renumber(from, onto)
}

pub(crate) fn fdstat_get(frame: Frame<'_>, fd: u32, to: u32) -> Result0 {
    let descriptor = frame.descriptors.get(fd)?;
    let (file_type, flags) = match descriptor {
        Descriptor::Input => (UNKNOWN, 0),
        Descriptor::Output(output) => (stream_type(output.is_terminal()), 0),
        Descriptor::File(file) => (REGULAR_FILE, file.flags),
        Descriptor::Directory(_) => (DIRECTORY, 0),
    };
    let rights = Rights::of(descriptor);
    let mut stat = [0; 24];
    stat[0] = file_type;
    stat[2..4].copy_from_slice(&flags.to_le_bytes());
    stat[8..16].copy_from_slice(&rights.base.to_le_bytes());
    stat[16..24].copy_from_slice(&rights.inheriting.to_le_bytes());
    frame.memory.write(to, &stat)
}

/// Programs take a character device that cannot seek for a terminal, and behave interactively.
fn stream_type(is_terminal: bool) -> u8 {
    if is_terminal { CHARACTER_DEVICE } else { UNKNOWN }
}

/// Flags for synchronised writing cannot be changed after opening, as in Linux; others can.
pub(crate) fn fdstat_set_flags(frame: Frame<'_>, fd: u32, flags: u32) -> Result0 {
    let Descriptor::File(file) = frame.descriptors.get_mut(fd)? else { return Ok(()) };
    let flags = known_flags(flags);
    if (flags ^ file.flags) & SYNCHRONISED != 0 {
        return Err(Errno::NOTSUP);
    }
    let mut host = fcntl_getfl(&file.file).map_err(io::Error::from)?;
    host.set(OFlags::APPEND, flags & APPEND != 0);
    fcntl_setfl(&file.file, host).map_err(io::Error::from)?;
    file.flags = flags;
    Ok(())
}

pub(crate) fn fdstat_set_rights(frame: Frame<'_>, fd: u32) -> Result0 {
    frame.descriptors.get(fd)?;
    Err(Errno::NOTSUP)
}

pub(crate) fn filestat_get(frame: Frame<'_>, fd: u32, to: u32) -> Result0 {
    let metadata = match frame.descriptors.get(fd)? {
        Descriptor::Input => return write_stream_stat(&frame, false, to),
        Descriptor::Output(output) => return write_stream_stat(&frame, output.is_terminal(), to),
        Descriptor::File(file) => Metadata::from_file(&file.file)?,
        Descriptor::Directory(directory) => directory.dir.dir_metadata()?,
    };
    write_filestat(&frame, &metadata, to)
}

/// Writes the status of a stream, of which only the type is known.
fn write_stream_stat(frame: &Frame<'_>, is_terminal: bool, to: u32) -> Result0 {
    let mut stat = [0; 64];
    stat[16] = stream_type(is_terminal);
    let length = if frame.version == Version::Preview0 { 56 } else { 64 };
    frame.memory.write(to, &stat[..length])
}

/// Writes `metadata` in the layout of the frame's version.
pub(crate) fn write_filestat(frame: &Frame<'_>, metadata: &Metadata, to: u32) -> Result0 {
    let nanoseconds = |seconds: i64, nanoseconds: i64| {
        let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        u64::try_from(total).unwrap_or(0)
    };
    let times = [
        nanoseconds(metadata.atime(), metadata.atime_nsec()),
        nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
    ];
    let mut stat = Vec::with_capacity(64);
    stat.extend(metadata.dev().to_le_bytes());
    stat.extend(metadata.ino().to_le_bytes());
    stat.extend([file_type(metadata.file_type()), 0, 0, 0]);
    match frame.version {
        Version::Preview0 => stat.extend((metadata.nlink() as u32).to_le_bytes()),
        Version::Preview1 => {
            stat.extend([0; 4]);
            stat.extend(metadata.nlink().to_le_bytes());
        }
    }
    stat.extend(metadata.len().to_le_bytes());
    stat.extend(times.iter().flat_map(|time| time.to_le_bytes()));
    frame.memory.write(to, &stat)
}

pub(crate) fn filestat_set_size(frame: Frame<'_>, fd: u32, size: u64) -> Result0 {
    let file = frame.descriptors.file(fd)?;
    if !file.writable {
        return Err(Errno::INVAL);
    }
    Ok(write_signals::held(|| file.file.set_len(size))?)
}

pub(crate) fn filestat_set_times(frame: Frame<'_>, fd: u32, accessed: u64, modified: u64, flags: u32) -> Result0 {
    let times = Times::new(accessed, modified, flags)?;
    match frame.descriptors.get(fd)? {
        Descriptor::File(file) if file.read_only => Err(Errno::ROFS),
        Descriptor::File(file) => Ok(file.file.set_times(times.of_file())?),
        Descriptor::Directory(directory) => times.set(directory.writable()?, "."),
        Descriptor::Input | Descriptor::Output(_) => Err(Errno::INVAL),
    }
}

fn readable(file: &OpenFile) -> Result<&OpenFile, Errno> {
    if file.readable { Ok(file) } else { Err(Errno::BADF) }
}

fn writable(file: &OpenFile) -> Result<&OpenFile, Errno> {
    if file.writable { Ok(file) } else { Err(Errno::BADF) }
}

pub(crate) fn read(frame: Frame<'_>, fd: u32, vectors: u32, count: u32, to: u32) -> Result0 {
    let read = match frame.descriptors.get(fd)? {
        Descriptor::Input => frame.memory.scatter(vectors, count, |_| Ok(0))?,
        Descriptor::Output(_) => return Err(Errno::BADF),
        Descriptor::Directory(_) => return Err(Errno::ISDIR),
        Descriptor::File(file) => {
            let mut file = &readable(file)?.file;
            frame.memory.scatter(vectors, count, |buffer| Ok(file.read(buffer)?))?
        }
    };
    frame.memory.write_length(to, read)
}

pub(crate) fn pread(frame: Frame<'_>, fd: u32, vectors: u32, count: u32, offset: u64, to: u32) -> Result0 {
    let file = &readable(frame.descriptors.file(fd)?)?.file;
    let read = frame.memory.scatter(vectors, count, |buffer| Ok(file.read_at(buffer, offset)?))?;
    frame.memory.write_length(to, read)
}

pub(crate) fn write(frame: Frame<'_>, fd: u32, vectors: u32, count: u32, to: u32) -> Result0 {
    let bytes = frame.memory.gather(vectors, count)?;
    let written = match frame.descriptors.get_mut(fd)? {
        Descriptor::Input => return Err(Errno::BADF),
        Descriptor::Directory(_) => return Err(Errno::ISDIR),
        Descriptor::Output(output) => output.write(&bytes, frame.watch)?,
        Descriptor::File(file) => {
            let mut target = &writable(file)?.file;
            write_signals::held(|| target.write(&bytes))?
        }
    };
    frame.memory.write_length(to, written)
}

pub(crate) fn pwrite(frame: Frame<'_>, fd: u32, vectors: u32, count: u32, offset: u64, to: u32) -> Result0 {
    let file = &writable(frame.descriptors.file(fd)?)?.file;
    let bytes = frame.memory.gather(vectors, count)?;
    let written = write_signals::held(|| file.write_at(&bytes, offset))?;
    frame.memory.write_length(to, written)
}

pub(crate) fn seek(frame: Frame<'_>, fd: u32, offset: i64, whence: u32, to: u32) -> Result0 {
    let mut file = &frame.descriptors.file(fd)?.file;
    // The values of `whence` are current, end, start in preview 0, and start, current, end in preview 1.
    let position = match (frame.version, whence) {
        (Version::Preview0, 2) | (Version::Preview1, 0) => {
            SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::INVAL)?)
        }
        (Version::Preview0, 0) | (Version::Preview1, 1) => SeekFrom::Current(offset),
        (Version::Preview0, 1) | (Version::Preview1, 2) => SeekFrom::End(offset),
        _ => return Err(Errno::INVAL),
    };
    frame.memory.write_u64(to, file.seek(position)?)
}

pub(crate) fn tell(frame: Frame<'_>, fd: u32, to: u32) -> Result0 {
    let mut file = &frame.descriptors.file(fd)?.file;
    frame.memory.write_u64(to, file.stream_position()?)
}

/// Fills the buffer with entries from number `cookie` on. The last entry may be cut.
pub(crate) fn readdir(frame: Frame<'_>, fd: u32, to: u32, length: u32, cookie: u64, used: u32) -> Result0 {
    frame.memory.range(to, length)?;
    let listing = match frame.descriptors.listing.take() {
        Some(listing) if listing.fd == fd && cookie != 0 => listing,
        _ => Listing::read(fd, frame.descriptors.directory(fd)?, frame.watch)?,
    };
    let mut filled = 0;
    let mut put = |bytes: &[u8]| -> Result<bool, Errno> {
        let count = bytes.len().min((length - filled) as usize);
        frame.memory.write(to + filled, &bytes[..count])?;
        filled += count as u32;
        Ok(filled < length)
    };
    let mut index = usize::try_from(cookie).unwrap_or(usize::MAX);
    while let Some((head, name)) = listing.entry(index) {
        yield_point(frame.watch)?;
        if !(put(&head)? && put(name)?) {
            break;
        }
        index += 1;
    }
    // A buffer that is not full marks the end of the directory, after which plugins do not read on.
    if filled == length {
        frame.descriptors.listing = Some(listing);
    }
    frame.memory.write_u32(used, filled)
}

/// All functions on sockets: no descriptor is one.
pub(crate) fn no_socket(frame: Frame<'_>, fd: u32) -> Result0 {
    frame.descriptors.get(fd)?;
    Err(Errno::NOTSOCK)
}

/// The guest path of a directory of `allowed_paths`. Plugins find these directories by it; other descriptors fail.
fn preopened<'a>(frame: &'a Frame<'_>, fd: u32) -> Result<&'a str, Errno> {
    match frame.descriptors.get(fd)? {
        Descriptor::Directory(Directory { preopened: Some(name), .. }) => Ok(name),
        _ => Err(Errno::BADF),
    }
}

pub(crate) fn prestat_get(frame: Frame<'_>, fd: u32, to: u32) -> Result0 {
    let length = u32::try_from(preopened(&frame, fd)?.len()).map_err(|_| Errno::OVERFLOW)?;
    let mut prestat = [0; 8];
    prestat[4..].copy_from_slice(&length.to_le_bytes());
    frame.memory.write(to, &prestat)
}

pub(crate) fn prestat_dir_name(frame: Frame<'_>, fd: u32, to: u32, length: u32) -> Result0 {
    let name = preopened(&frame, fd)?;
    if name.len() > length as usize {
        return Err(Errno::NAMETOOLONG);
    }
    frame.memory.write(to, name.as_bytes())
}
