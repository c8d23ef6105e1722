//! The I/O memory: a WebAssembly memory that the plugin does not name, with the input and the blocks in it.
//!
//! A plugin may load and store anywhere in it and nowhere else, and finds zeros wherever this call has not written.

use std::ops::Range;

use wasmer::{AsStoreMut, AsStoreRef, Memory, MemoryError, MemoryType, MemoryView, Pages};

use super::Fault;
use super::blocks::{Blocks, START};

const PAGE: u64 = 1 << 16;

/// The sizes that an I/O memory is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Pages it has from the start; at least one.
    pub(crate) initial_pages: u32,
    /// Cap on the blocks in pages, without the input. Extism 0.1.0 began with 4 and a lower value only forbade growth.
    pub(crate) max_block_pages: Option<u32>,
    /// Whether a module imports the memory itself and may write to it unseen.
    pub(crate) imported: bool,
    /// Zeroes the first so many bytes of a memory.
    pub(crate) clear: fn(&MemoryView<'_>, u64),
}

/// The memory and who has which part of it.
#[derive(Debug)]
pub(crate) struct IoMemory {
    memory: Memory,
    capacity: Capacity,
    blocks: Blocks,
    input: Range<u64>,
    output: Range<u64>,
    /// See `copy_output`; mostly empty.
    output_copy: Vec<u8>,
    /// Bytes from here on are zero.
    dirty_end: u64,
}

impl IoMemory {
    pub(super) fn new(store: &mut impl AsStoreMut, capacity: Capacity) -> Result<Self, MemoryError> {
        let ty = MemoryType::new(Pages(capacity.initial_pages.max(1)), None, false);
        Ok(Self {
            memory: Memory::new(store, ty)?,
            capacity,
            blocks: Blocks::default(),
            input: 0..0,
            output: 0..0,
            output_copy: Vec::new(),
            dirty_end: 0,
        })
    }

    /// The memory itself, for a module that imports it.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Clears what the previous call left and copies `input` in as the first block. No block for an empty input: its
    /// offset is 0.
    pub(super) fn begin(&mut self, store: &mut impl AsStoreMut, input: &[u8]) -> Result<(), Fault> {
        // The output of the previous call may be the input of this one; it is about to be cleared.
        let output;
        let input = if self.contains(store, input) {
            output = input.to_vec();
            output.as_slice()
        } else {
            input
        };
        self.reset(store);
        if input.is_empty() {
            return Ok(());
        }
        let length = input.len() as u64;
        let offset = self.alloc_below(store, length, u64::MAX).ok_or(Fault::OutOfMemory(length))?;
        self.write(store, offset, input)?;
        self.input = offset..offset + length;
        Ok(())
    }

    /// True if `bytes` lie in this memory, or in the copy of its output.
    fn contains(&self, store: &impl AsStoreRef, bytes: &[u8]) -> bool {
        let view = self.memory.view(store);
        let distance = bytes.as_ptr().addr().wrapping_sub(view.data_ptr().addr());
        (distance as u64) < view.data_size() || self.output_copy.as_ptr_range().contains(&bytes.as_ptr())
    }

    /// Forgets input, output and blocks, and clears every byte that was written.
    pub(super) fn reset(&mut self, store: &mut impl AsStoreMut) {
        self.input = 0..0;
        self.forget_output();
        self.blocks.clear();
        let view = self.memory.view(store);
        let dirty_end = if self.capacity.imported { view.data_size() } else { self.dirty_end };
        (self.capacity.clear)(&view, dirty_end.min(view.data_size()));
        self.dirty_end = 0;
    }

    /// The input's place; `0..0` if it is empty.
    pub(super) fn input(&self) -> Range<u64> {
        self.input.clone()
    }

    pub(super) fn set_input(&mut self, store: &impl AsStoreRef, offset: u64, length: u64) -> Option<()> {
        self.input = self.checked_range(store, offset, length)?;
        Some(())
    }

    /// The output's place; `0..0` if there is none.
    pub(super) fn output(&self) -> Range<u64> {
        self.output.clone()
    }

    /// Makes `length` bytes from `offset` on the output, if they are in the memory.
    pub(super) fn set_output(&mut self, store: &impl AsStoreRef, offset: u64, length: u64) -> Option<()> {
        self.output = self.checked_range(store, offset, length)?;
        Some(())
    }

    /// Empties the output.
    pub(crate) fn forget_output(&mut self) {
        self.output = 0..0;
        self.output_copy = Vec::new();
    }

    /// The address of the output, which the C caller reads in place, and its length. The byte after it is readable.
    pub(crate) fn output_address(&mut self, store: &mut impl AsStoreMut) -> (*const u8, u64) {
        let length = self.output.end - self.output.start;
        if self.output.end == self.size(store) {
            return (self.copy_output(store), length);
        }
        let base = self.memory.view(store).data_ptr().cast_const();
        let offset = usize::try_from(self.output.start).unwrap_or(0);
        (base.wrapping_add(offset), length)
    }

    /// A copy of the output.
    #[cfg(feature = "compiler")]
    pub(crate) fn output_bytes(&self, store: &impl AsStoreRef) -> Vec<u8> {
        self.memory.view(store).copy_range_to_vec(self.output()).unwrap_or_default()
    }

    /// The output with a byte after it, outside the memory: for output that ends where the memory does, which no block
    /// does.
    fn copy_output(&mut self, store: &impl AsStoreRef) -> *const u8 {
        if self.output_copy.is_empty() {
            self.output_copy = self.memory.view(store).copy_range_to_vec(self.output()).unwrap_or_default();
            self.output_copy.push(0);
        }
        self.output_copy.as_ptr()
    }

    /// A new block of `length` bytes; `None` if there is no room for it.
    pub(super) fn alloc(&mut self, store: &mut impl AsStoreMut, length: u64) -> Option<u64> {
        let limit = match self.capacity.max_block_pages {
            Some(pages) => self.input.end.max(START) + u64::from(pages.max(4)) * PAGE,
            None => u64::MAX,
        };
        self.alloc_below(store, length, limit)
    }

    /// A new block that holds `bytes`.
    pub(super) fn alloc_with(&mut self, store: &mut impl AsStoreMut, bytes: &[u8]) -> Option<u64> {
        let offset = self.alloc(store, bytes.len() as u64)?;
        self.write(store, offset, bytes).ok()?;
        Some(offset)
    }

    /// Frees the block at `offset`. The input is gone with its block; the output's block stays.
    pub(super) fn free(&mut self, offset: u64) {
        if self.is_output(offset) {
            return;
        }
        if offset == self.input.start {
            self.input = 0..0;
        }
        self.blocks.free(offset);
    }

    /// Takes over a handle that the plugin has passed on, as Extism does since 1.7.
    pub(super) fn release(&mut self, offset: u64) {
        if offset != self.input.start && !self.is_output(offset) {
            self.blocks.release(offset);
        }
    }

    /// True if the output lies in the block at `offset`.
    fn is_output(&self, offset: u64) -> bool {
        let end = offset.saturating_add(self.blocks.length(offset).unwrap_or(0));
        offset < self.output.end && self.output.start < end
    }

    /// The length of the block that begins at `offset`.
    pub(super) fn length(&self, offset: u64) -> Option<u64> {
        self.blocks.length(offset)
    }

    /// The bytes of the block that begins at `offset`.
    pub(super) fn block(&self, store: &impl AsStoreRef, offset: u64) -> Option<Vec<u8>> {
        let end = offset + self.blocks.length(offset)?;
        self.memory.view(store).copy_range_to_vec(offset..end).ok()
    }

    /// Up to `most` bytes of the block that begins at `offset`, and how many it has besides.
    pub(super) fn block_start(&self, store: &impl AsStoreRef, offset: u64, most: u64) -> Option<(Vec<u8>, u64)> {
        let length = self.blocks.length(offset)?;
        let taken = length.min(most);
        let bytes = self.memory.view(store).copy_range_to_vec(offset..offset + taken).ok()?;
        Some((bytes, length - taken))
    }

    /// `N` bytes at `offset`, anywhere in the memory.
    pub(super) fn load<const N: usize>(&self, store: &impl AsStoreRef, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.memory.view(store).read(offset, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Stores `bytes` at `offset`, anywhere in the memory.
    pub(super) fn write(&mut self, store: &impl AsStoreRef, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.memory.view(store).write(offset, bytes).map_err(|_| Fault::OutOfBounds)?;
        self.dirty_end = self.dirty_end.max(offset + bytes.len() as u64);
        Ok(())
    }

    /// The memory's size in bytes.
    pub(super) fn size(&self, store: &impl AsStoreRef) -> u64 {
        self.memory.view(store).data_size()
    }

    fn checked_range(&self, store: &impl AsStoreRef, offset: u64, length: u64) -> Option<Range<u64>> {
        let end = offset.checked_add(length)?;
        (end <= self.size(store)).then_some(offset..end)
    }

    /// Allocates below `limit`, growing the memory if it must. The memory's last byte is never part of a block, so
    /// that there is always a readable one after the output.
    fn alloc_below(&mut self, store: &mut impl AsStoreMut, length: u64, limit: u64) -> Option<u64> {
        let end = limit.min(self.size(store) - 1);
        if let Some(offset) = self.blocks.alloc(length, end) {
            return Some(offset);
        }
        let needed = self.blocks.end_needed(length)?;
        if needed > limit || self.blocks.is_full() {
            return None;
        }
        self.grow(store, needed + 1)?;
        self.blocks.alloc(length, needed)
    }

    /// Grows to at least `needed` bytes, to twice the size where that is allowed: a block at a time would be slow.
    fn grow(&self, store: &mut impl AsStoreMut, needed: u64) -> Option<()> {
        let size = self.size(store);
        let missing = |target: u64| u32::try_from(target.saturating_sub(size).div_ceil(PAGE)).ok();
        let least = missing(needed)?;
        let ample = missing(size * 2)?.max(least);
        self.memory.grow(store, Pages(ample)).or_else(|_| self.memory.grow(store, Pages(least))).ok()?;
        Some(())
    }
}
