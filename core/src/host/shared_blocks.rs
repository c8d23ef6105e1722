//! Blocks that functions of the host program read and write by their addresses, unseen by this library.

use std::ptr;

use super::direct::DirectMemory;
use super::io_memory::IoMemory;

impl IoMemory {
    /// The address of the memory's first byte; null if there is no memory yet.
    pub(crate) fn base(&self) -> *mut u8 {
        self.memory.as_ref().map_or(ptr::null_mut(), DirectMemory::base)
    }

    /// Allocates a block of `length` bytes for a function of the host program, which cannot tell what was in its place
    /// before: all bytes are 0. `None` if it does not fit, or not below 2 GiB: host languages keep handles in 32 bits.
    pub(crate) fn alloc_for_host(&mut self, length: u64) -> Option<u64> {
        const MOST: u64 = 1 << 31;
        let written = self.written_end();
        let offset = self.alloc(length)?;
        let end = offset + length;
        if end > MOST {
            self.blocks.free(offset);
            return None;
        }
        if let Some(memory) = &mut self.memory {
            memory.clear(offset..end.min(written));
        }
        self.dirty_end = self.dirty_end.max(end);
        Some(offset)
    }

    /// Takes all blocks for written: a function of the host program has their addresses.
    pub(crate) fn note_host_writes(&mut self) {
        self.dirty_end = self.dirty_end.max(self.blocks.top());
    }

    /// Makes the memory's first byte 0: programs take the address of handle 0, which is none, for an empty C string. The
    /// plugin may have written there, where no block is.
    pub(crate) fn clear_first_byte(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.clear(0..1);
        }
    }
}
