//! The plugin's memory as the functions read and write it: little-endian, every access checked.

use std::ops::Range;

use wasmer::MemoryView;

use super::errno::Errno;

/// A path longer than this is refused, as by Linux.
const MAX_PATH: u32 = 4096;

/// More buffers than this in one call are refused, as by Linux.
const MAX_VECTORS: u32 = 1024;

/// No more than this is copied at once; a longer transfer is cut short, which callers must expect anyway.
const MAX_TRANSFER: usize = 1 << 20;

/// The memory of the instance that calls.
pub(super) struct GuestMemory<'a>(MemoryView<'a>);

impl<'a> GuestMemory<'a> {
    pub(super) fn new(view: MemoryView<'a>) -> Self {
        Self(view)
    }

    pub(super) fn read<const N: usize>(&self, at: u32) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        self.0.read(u64::from(at), &mut bytes).map_err(|_| Errno::FAULT)?;
        Ok(bytes)
    }

    pub(super) fn write(&self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write(u64::from(at), bytes).map_err(|_| Errno::FAULT)
    }

    pub(super) fn write_u32(&self, at: u32, value: u32) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&self, at: u32, value: u64) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    /// A length that the host counted, which fits because everything in a plugin's memory does.
    pub(super) fn write_length(&self, at: u32, length: usize) -> Result<(), Errno> {
        self.write_u32(at, u32::try_from(length).map_err(|_| Errno::OVERFLOW)?)
    }

    /// The place of `length` bytes at `at`, if they are all inside.
    pub(super) fn range(&self, at: u32, length: u32) -> Result<Range<u64>, Errno> {
        let start = u64::from(at);
        let end = start + u64::from(length);
        if end <= self.0.data_size() { Ok(start..end) } else { Err(Errno::FAULT) }
    }

    fn bytes(&self, at: u32, length: u32) -> Result<Vec<u8>, Errno> {
        // Wasmer would cut a range that ends outside.
        self.0.copy_range_to_vec(self.range(at, length)?).map_err(|_| Errno::FAULT)
    }

    /// A path: UTF-8 without NUL.
    pub(super) fn path(&self, at: u32, length: u32) -> Result<String, Errno> {
        if length > MAX_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        let path = String::from_utf8(self.bytes(at, length)?).map_err(|_| Errno::ILSEQ)?;
        if path.contains('\0') { Err(Errno::INVAL) } else { Ok(path) }
    }

    fn vectors(&self, at: u32, count: u32) -> Result<Vec<(u32, u32)>, Errno> {
        if count > MAX_VECTORS {
            return Err(Errno::INVAL);
        }
        let word = |at: u32| self.read(at).map(u32::from_le_bytes);
        (0..count)
            .map(|index| {
                let vector = at.checked_add(index * 8).ok_or(Errno::FAULT)?;
                Ok((word(vector)?, word(vector.checked_add(4).ok_or(Errno::FAULT)?)?))
            })
            .collect()
    }

    /// The bytes of `count` buffers, one after the other.
    pub(super) fn gather(&self, vectors: u32, count: u32) -> Result<Vec<u8>, Errno> {
        let mut bytes = Vec::new();
        for (at, length) in self.vectors(vectors, count)? {
            self.range(at, length)?;
            let room = u32::try_from(MAX_TRANSFER - bytes.len()).unwrap_or(u32::MAX);
            bytes.extend(self.bytes(at, length.min(room))?);
        }
        Ok(bytes)
    }

    /// Lets `fill` put bytes into a buffer as large as `count` buffers of the plugin, and copies them there.
    pub(super) fn scatter(
        &self,
        vectors: u32,
        count: u32,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let vectors = self.vectors(vectors, count)?;
        for (at, length) in &vectors {
            self.range(*at, *length)?;
        }
        let room: u64 = vectors.iter().map(|(_, length)| u64::from(*length)).sum();
        let mut buffer = vec![0; usize::try_from(room).unwrap_or(MAX_TRANSFER).min(MAX_TRANSFER)];
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
