//! The I/O memory: a WebAssembly memory that the plugin does not name, with the input and the blocks in it.
//!
//! A plugin may load and store anywhere in it and nowhere else, and finds zeros wherever this call has not written. It is
//! the module's own, where calls are inlined in that (`rewrite/inline.rs`), else one that the host has made.

use std::ops::Range;

use wasmer::{AsStoreMut, AsStoreRef, Instance, Memory, MemoryError, MemoryType, MemoryView, Pages};

use super::Fault;
use super::blocks::{Blocks, START};
use super::registers::{Registers, WORD};
use super::reserved::IO_MEMORY_EXPORT;
use super::usage::Usage;

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
    /// The same, by giving them back to the system.
    pub(crate) discard: fn(&MemoryView<'_>, u64),
}

/// The memory and who has which part of it.
#[derive(Debug)]
pub(crate) struct IoMemory {
    /// None before the module is there that owns it.
    memory: Option<Memory>,
    /// What inlined code goes by, if there is such code.
    registers: Option<Registers>,
    capacity: Capacity,
    blocks: Blocks,
    input: Range<u64>,
    /// Where there are no registers.
    output: Range<u64>,
    /// See `copy_output`; mostly empty.
    output_copy: Vec<u8>,
    /// Inlined code moves bytes below this, and so up to a word behind it.
    bound: u64,
    /// Bytes from here on are zero, but for that.
    dirty_end: u64,
    usage: Usage,
}

impl IoMemory {
    /// Without a memory, which nothing can be done with before it has one.
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            memory: None,
            registers: None,
            capacity,
            blocks: Blocks::default(),
            input: 0..0,
            output: 0..0,
            output_copy: Vec::new(),
            bound: 0,
            dirty_end: 0,
            usage: Usage::default(),
        }
    }

    /// Makes a memory for modules that have none of their own for it.
    pub(super) fn make(&mut self, store: &mut impl AsStoreMut) -> Result<(), MemoryError> {
        let ty = MemoryType::new(Pages(self.capacity.initial_pages.max(1)), None, false);
        self.memory = Some(Memory::new(store, ty)?);
        Ok(())
    }

    /// Takes the memory that `instance` has for it, and what goes with that, if it has one.
    pub(super) fn attach(&mut self, instance: &Instance) {
        if let Ok(memory) = instance.exports.get_memory(IO_MEMORY_EXPORT) {
            self.memory = Some(memory.clone());
            self.registers = Registers::of(instance);
        }
    }

    /// The memory itself, for a module that imports it.
    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    fn view<'a>(&self, store: &'a (impl AsStoreRef + ?Sized)) -> Option<MemoryView<'a>> {
        Some(self.memory.as_ref()?.view(store))
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
        self.place_input(store, offset..offset + length);
        Ok(())
    }

    /// True if `bytes` lie in this memory, or in the copy of its output.
    fn contains(&self, store: &impl AsStoreRef, bytes: &[u8]) -> bool {
        let Some(view) = self.view(store) else { return false };
        let distance = bytes.as_ptr().addr().wrapping_sub(view.data_ptr().addr());
        (distance as u64) < view.data_size() || self.output_copy.as_ptr_range().contains(&bytes.as_ptr())
    }

    /// Forgets input, output and blocks, and clears every byte that was written.
    pub(super) fn reset(&mut self, store: &mut impl AsStoreMut) {
        self.place_input(store, 0..0);
        self.forget_output(store);
        self.blocks.clear();
        if let Some(view) = self.view(store) {
            let inlined = if self.bound == 0 { 0 } else { self.bound + WORD };
            let written = if self.capacity.imported { view.data_size() } else { self.dirty_end.max(inlined) };
            match self.usage.note(written) {
                None => (self.capacity.clear)(&view, written),
                Some(resident) => (self.capacity.discard)(&view, resident),
            }
        }
        self.dirty_end = 0;
        self.set_bound(store, 0);
    }

    fn set_bound(&mut self, store: &mut impl AsStoreMut, bound: u64) {
        if self.bound != bound
            && let Some(registers) = &self.registers
        {
            registers.set_bound(store, bound);
            self.bound = bound;
        }
    }

    /// The input's place; `0..0` if it is empty.
    pub(super) fn input(&self) -> Range<u64> {
        self.input.clone()
    }

    pub(super) fn set_input(&mut self, store: &mut impl AsStoreMut, offset: u64, length: u64) -> Option<()> {
        let input = self.checked_range(store, offset, length)?;
        self.place_input(store, input);
        Some(())
    }

    fn place_input(&mut self, store: &mut impl AsStoreMut, input: Range<u64>) {
        if self.input != input
            && let Some(registers) = &self.registers
        {
            registers.set_input(store, &input);
        }
        self.input = input;
    }

    /// The output's place; `0..0` if there is none.
    pub(super) fn output(&self, store: &mut impl AsStoreMut) -> Range<u64> {
        let Some(registers) = &self.registers else { return self.output.clone() };
        let (offset, length) = registers.output(store);
        // They are the module's: what they say is checked like what any plugin says.
        self.checked_range(store, offset, length).unwrap_or(0..0)
    }

    /// Makes `length` bytes from `offset` on the output, if they are in the memory.
    pub(super) fn set_output(&mut self, store: &mut impl AsStoreMut, offset: u64, length: u64) -> Option<()> {
        let output = self.checked_range(store, offset, length)?;
        self.place_output(store, output);
        Some(())
    }

    fn place_output(&mut self, store: &mut impl AsStoreMut, output: Range<u64>) {
        if let Some(registers) = &self.registers {
            registers.set_output(store, &output);
        } else {
            self.output = output;
        }
    }

    /// Empties the output.
    pub(crate) fn forget_output(&mut self, store: &mut impl AsStoreMut) {
        self.place_output(store, 0..0);
        self.output_copy = Vec::new();
    }

    /// The address of the output, which the C caller reads in place, and its length. The byte after it is readable.
    pub(crate) fn output_address(&mut self, store: &mut impl AsStoreMut) -> (*const u8, u64) {
        let output = self.output(store);
        let length = output.end - output.start;
        if output.end >= self.size(store) {
            return (self.copy_output(store), length);
        }
        let base = self.view(store).map_or(std::ptr::null(), |view| view.data_ptr().cast_const());
        let offset = usize::try_from(output.start).unwrap_or(0);
        (base.wrapping_add(offset), length)
    }

    /// A copy of the output.
    #[cfg(feature = "compiler")]
    pub(crate) fn output_bytes(&self, store: &mut impl AsStoreMut) -> Vec<u8> {
        let output = self.output(store);
        self.view(store).and_then(|view| view.copy_range_to_vec(output).ok()).unwrap_or_default()
    }

    /// The output with a byte after it, outside the memory: for output that ends where the memory does, which no block
    /// does.
    fn copy_output(&mut self, store: &mut impl AsStoreMut) -> *const u8 {
        if self.output_copy.is_empty() {
            let output = self.output(store);
            let copy = self.view(store).and_then(|view| view.copy_range_to_vec(output).ok());
            self.output_copy = copy.unwrap_or_default();
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
    pub(super) fn free(&mut self, store: &mut impl AsStoreMut, offset: u64) {
        if self.is_output(store, offset) {
            return;
        }
        if offset == self.input.start {
            self.place_input(store, 0..0);
        }
        self.blocks.free(offset);
    }

    /// Takes over a handle that the plugin has passed on, as Extism does since 1.7.
    pub(super) fn release(&mut self, store: &mut impl AsStoreMut, offset: u64) {
        if offset != self.input.start && !self.is_output(store, offset) {
            self.blocks.release(offset);
        }
    }

    /// True if the output lies in the block at `offset`.
    fn is_output(&self, store: &mut impl AsStoreMut, offset: u64) -> bool {
        let output = self.output(store);
        let end = offset.saturating_add(self.blocks.length(offset).unwrap_or(0));
        offset < output.end && output.start < end
    }

    /// The length of the block that begins at `offset`.
    pub(super) fn length(&self, offset: u64) -> Option<u64> {
        self.blocks.length(offset)
    }

    /// The bytes of the block that begins at `offset`.
    pub(super) fn block(&self, store: &impl AsStoreRef, offset: u64) -> Option<Vec<u8>> {
        let end = offset + self.blocks.length(offset)?;
        self.view(store)?.copy_range_to_vec(offset..end).ok()
    }

    /// Up to `most` bytes of the block that begins at `offset`, and how many it has besides.
    pub(super) fn block_start(&self, store: &impl AsStoreRef, offset: u64, most: u64) -> Option<(Vec<u8>, u64)> {
        let length = self.blocks.length(offset)?;
        let taken = length.min(most);
        let bytes = self.view(store)?.copy_range_to_vec(offset..offset + taken).ok()?;
        Some((bytes, length - taken))
    }

    /// `N` bytes at `offset`, anywhere in the memory.
    pub(super) fn load<const N: usize>(&self, store: &impl AsStoreRef, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.view(store)?.read(offset, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Stores `bytes` at `offset`, anywhere in the memory.
    pub(super) fn write(&mut self, store: &impl AsStoreRef, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        let view = self.view(store).ok_or(Fault::OutOfBounds)?;
        view.write(offset, bytes).map_err(|_| Fault::OutOfBounds)?;
        self.dirty_end = self.dirty_end.max(offset + bytes.len() as u64);
        Ok(())
    }

    /// The memory's size in bytes.
    pub(super) fn size(&self, store: &impl AsStoreRef) -> u64 {
        self.view(store).map_or(0, |view| view.data_size())
    }

    fn checked_range(&self, store: &impl AsStoreRef, offset: u64, length: u64) -> Option<Range<u64>> {
        let end = offset.checked_add(length)?;
        (end <= self.size(store)).then_some(offset..end)
    }

    /// Allocates below `limit`, growing the memory if it must. The memory's last word is never part of a block: there is
    /// always a readable byte after the output, and inlined code moves a word that begins in the last block.
    fn alloc_below(&mut self, store: &mut impl AsStoreMut, length: u64, limit: u64) -> Option<u64> {
        let end = limit.min(self.size(store).saturating_sub(WORD));
        let offset = self.blocks.alloc(length, end).or_else(|| {
            let needed = self.blocks.end_needed(length)?;
            if needed > limit || self.blocks.is_full() {
                return None;
            }
            self.grow(store, needed.checked_add(WORD)?)?;
            self.blocks.alloc(length, needed)
        })?;
        self.set_bound(store, self.bound.max(self.blocks.top()));
        Some(offset)
    }

    /// Grows to at least `needed` bytes, to twice the size where that is allowed: a block at a time would be slow.
    fn grow(&self, store: &mut impl AsStoreMut, needed: u64) -> Option<()> {
        let size = self.size(store);
        let missing = |target: u64| u32::try_from(target.saturating_sub(size).div_ceil(PAGE)).ok();
        let least = missing(needed)?;
        let ample = missing(size * 2)?.max(least);
        let memory = self.memory.as_ref()?;
        memory.grow(store, Pages(ample)).or_else(|_| memory.grow(store, Pages(least))).ok()?;
        Some(())
    }
}
