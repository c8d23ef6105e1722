//! Access to the plugin's memory for WASI's functions: little-endian, with a bounds check for every access.

use std::ops::Range;

use wasmer::MemoryView;

use super::errno::Errno;
use super::yield_point::in_pieces;
use crate::stop::Watch;

/// The longest path in bytes, as in Linux.
const MAX_PATH: u32 = 4096;

/// The most buffers in one call, as in Linux.
const MAX_VECTORS: u32 = 1024;

/// The most bytes that one call transfers. A longer transfer is cut short, which callers have to expect anyway.
pub(crate) const MAX_TRANSFER: usize = 1 << 20;

/// The memory of the calling instance.
pub(crate) struct GuestMemory<'a> {
    view: MemoryView<'a>,
    /// Asked between the pieces of a long copy.
    watch: Watch,
}

/// An empty vector with capacity for `length` items. The plugin chooses the length, so a lack of memory is an error.
pub(crate) fn room<T>(length: usize) -> Result<Vec<T>, Errno> {
    let mut items = Vec::new();
    items.try_reserve_exact(length).map_err(|_| Errno::NOMEM)?;
    Ok(items)
}

impl<'a> GuestMemory<'a> {
    pub(crate) fn new(view: MemoryView<'a>, watch: Watch) -> Self {
        Self { view, watch }
    }

    pub(crate) fn read<const N: usize>(&self, at: u32) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        self.view.read(u64::from(at), &mut bytes).map_err(|_| Errno::FAULT)?;
        Ok(bytes)
    }

    /// Writes any number of bytes: all of them, none if they do not fit, or the first ones if the plugin shall stop.
    pub(crate) fn write(&self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::FAULT)?;
        let mut at = self.range(at, length)?.start;
        in_pieces(self.watch, bytes, |piece| {
            self.view.write(at, piece).map_err(|_| Errno::FAULT)?;
            at += piece.len() as u64;
            Ok(())
        })
    }

    pub(crate) fn write_u32(&self, at: u32, value: u32) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&self, at: u32, value: u64) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    /// Writes a length that the host has counted. It fits into 32 bits, as everything in a plugin's memory does.
    pub(crate) fn write_length(&self, at: u32, length: usize) -> Result<(), Errno> {
        self.write_u32(at, u32::try_from(length).map_err(|_| Errno::OVERFLOW)?)
    }

    /// The range of `length` bytes at `at`; fails if they are not all inside.
    pub(crate) fn range(&self, at: u32, length: u32) -> Result<Range<u64>, Errno> {
        let start = u64::from(at);
        let end = start + u64::from(length);
        if end <= self.view.data_size() { Ok(start..end) } else { Err(Errno::FAULT) }
    }

    /// Appends `length` bytes of the plugin to `bytes`, which has the capacity for them.
    fn append(&self, bytes: &mut Vec<u8>, at: u32, length: u32) -> Result<(), Errno> {
        let range = self.range(at, length)?;
        let filled = bytes.len();
        bytes.resize(filled + length as usize, 0);
        self.view.read(range.start, &mut bytes[filled..]).map_err(|_| Errno::FAULT)
    }

    /// A path: UTF-8 without NUL.
    pub(crate) fn path(&self, at: u32, length: u32) -> Result<String, Errno> {
        if length > MAX_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        let mut bytes = room(length as usize)?;
        self.append(&mut bytes, at, length)?;
        let path = String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)?;
        if path.contains('\0') { Err(Errno::INVAL) } else { Ok(path) }
    }

    /// The offset and length of `count` buffers, all inside the memory, and how many bytes to transfer in all.
    fn vectors(&self, at: u32, count: u32) -> Result<(Vec<(u32, u32)>, usize), Errno> {
        if count > MAX_VECTORS {
            return Err(Errno::INVAL);
        }
        let word = |at: u32| self.read(at).map(u32::from_le_bytes);
        let mut vectors = room(count as usize)?;
        let mut total: u64 = 0;
        for index in 0..count {
            let vector = at.checked_add(index * 8).ok_or(Errno::FAULT)?;
            let (at, length) = (word(vector)?, word(vector.checked_add(4).ok_or(Errno::FAULT)?)?);
            self.range(at, length)?;
            total += u64::from(length);
            vectors.push((at, length));
        }
        Ok((vectors, usize::try_from(total).unwrap_or(MAX_TRANSFER).min(MAX_TRANSFER)))
    }

    /// The bytes of `count` buffers, concatenated, up to [`MAX_TRANSFER`].
    pub(crate) fn gather(&self, vectors: u32, count: u32) -> Result<Vec<u8>, Errno> {
        let (vectors, total) = self.vectors(vectors, count)?;
        let mut bytes = room(total)?;
        for (at, length) in vectors {
            let left = u32::try_from(total - bytes.len()).unwrap_or(u32::MAX);
            self.append(&mut bytes, at, length.min(left))?;
        }
        Ok(bytes)
    }

    /// Has `fill` write into a buffer as large as `count` buffers of the plugin, up to [`MAX_TRANSFER`], and copies
    /// what it wrote to those.
    pub(crate) fn scatter(
        &self,
        vectors: u32,
        count: u32,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let (vectors, total) = self.vectors(vectors, count)?;
        let mut buffer = room(total)?;
        buffer.resize(total, 0);
        let filled = fill(&mut buffer)?;
        let mut rest = &buffer[..filled];
        for (at, length) in vectors {
            let (now, later) = rest.split_at(rest.len().min(length as usize));
            self.write(at, now)?;
            rest = later;
        }
        Ok(filled)
    }
}
