//! The I/O memory: a WebAssembly memory, separate from the plugin's own, that holds the input and the blocks.
//!
//! A plugin may load and store anywhere in it and nowhere else, and reads zeros wherever the current call has not
//! written. The module owns it if calls are inlined in that module (`rewrite/inline.rs`); otherwise the host makes it.

use std::ops::Range;

use wasmer::{AsStoreMut, Instance, Memory, MemoryError, MemoryType, Pages};

use super::blocks::Blocks;
use super::capacity::Capacity;
use super::direct::{DirectMemory, PAGE};
use super::fault::Fault;
use super::registers::{Registers, WORD};
use super::slices;
use super::usage::Usage;
use crate::module::reserved::{IO_MEMORY_EXPORT, IO_MEMORY_MAX_PAGES};
use crate::stop::Watch;

/// The I/O memory, and which ranges of it are input, output and blocks.
#[derive(Debug)]
pub(crate) struct IoMemory {
    /// `None` until the module that owns the memory is instantiated.
    pub(super) memory: Option<DirectMemory>,
    /// The globals that inlined code reads, of each instance with such code.
    registers: Vec<Registers>,
    /// True if one instance owns the memory. Its registers then hold the output's range.
    is_owned: bool,
    capacity: Capacity,
    pub(super) blocks: Blocks,
    /// The input as the plugin sees it. The plugin may set another.
    input: Range<u64>,
    /// The range where the host put the input; empty once that block is freed. Its end raises the limit of the blocks.
    given: Range<u64>,
    /// The output, unless registers hold it.
    output: Range<u64>,
    /// See `copy_output`; usually empty.
    pub(super) output_copy: Vec<u8>,
    /// Inlined code may access what begins below this offset, so it may write up to a word beyond.
    bound: u64,
    /// Bytes from this offset on are zero, except those that inlined code has written.
    pub(super) dirty_end: u64,
    usage: Usage,
}

impl IoMemory {
    /// An I/O memory without its WebAssembly memory: useless until `make` or `attach` has supplied that.
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self {
            memory: None,
            registers: Vec::new(),
            is_owned: false,
            capacity,
            blocks: Blocks::default(),
            input: 0..0,
            given: 0..0,
            output: 0..0,
            output_copy: Vec::new(),
            bound: 0,
            dirty_end: 0,
            usage: Usage::default(),
        }
    }

    /// Makes the memory, for a module that does not own it, or for several modules.
    pub(crate) fn make(&mut self, store: &mut impl AsStoreMut) -> Result<(), MemoryError> {
        // A module that imports the memory may expect it without a maximum.
        let maximum = (!self.capacity.imported).then_some(Pages(IO_MEMORY_MAX_PAGES));
        let ty = MemoryType::new(Pages(self.capacity.initial_pages.max(1)), maximum, false);
        let memory = Memory::new(store, ty)?;
        self.memory = DirectMemory::of(store, memory);
        Ok(())
    }

    /// Takes the registers of `instance`, if it has them, and its memory, if there is none yet.
    pub(crate) fn attach(&mut self, store: &mut impl AsStoreMut, instance: &Instance) {
        if let Ok(memory) = instance.exports.get_memory(IO_MEMORY_EXPORT) {
            // Growing by 0 pages registers the instance with a memory that several instances have
            // (`sandbox/common_memory.rs`).
            let _ = memory.grow(store, Pages(0));
            if self.memory.is_none() {
                self.memory = DirectMemory::of(store, memory.clone());
                self.is_owned = true;
            }
        }
        if let Some(mut registers) = Registers::of(store, instance) {
            registers.set_input(&self.input);
            registers.set_bound(self.bound);
            self.registers.push(registers);
        }
    }

    /// The WebAssembly memory, for a module that imports it.
    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref().map(DirectMemory::memory)
    }

    /// Copies `input` in as the first block, and clears everything else that the previous call left. An empty input has
    /// no block; its offset is 0.
    ///
    /// # Errors
    /// The input does not fit, or the plugin shall stop. In the latter case, bytes of the previous call may be left.
    pub(crate) fn begin(&mut self, input: &[u8], watch: Watch) -> Result<(), Fault> {
        // `input` may be the previous call's output and so lie in this memory.
        let inside = self.place_of(input);
        let copy = std::mem::take(&mut self.output_copy);
        let written = self.forget();
        let placed = self.place(input, inside, watch);
        drop(copy);
        let kept = placed.as_ref().map_or(0..0, Clone::clone);
        let cleared = self.clear(written, &kept, watch);
        self.given = kept.clone();
        self.place_input(kept);
        placed.and(cleared)
    }

    /// Makes `input` the first block. `inside` is its range if it lies in this memory.
    fn place(&mut self, input: &[u8], inside: Option<Range<u64>>, watch: Watch) -> Result<Range<u64>, Fault> {
        if input.is_empty() {
            return Ok(0..0);
        }
        let length = input.len() as u64;
        let offset = self.alloc_below(length, u64::MAX).ok_or(Fault::OutOfMemory(length))?;
        match (inside, &mut self.memory) {
            (Some(from), Some(memory)) => slices::move_within(memory, from, offset, watch)?,
            _ => self.write_long(offset, input, watch)?,
        }
        Ok(offset..offset + length)
    }

    /// The range of `bytes` in this memory; `None` if they do not begin in it.
    fn place_of(&self, bytes: &[u8]) -> Option<Range<u64>> {
        let memory = self.memory.as_ref()?;
        let offset = bytes.as_ptr().addr().wrapping_sub(memory.base().addr()) as u64;
        (offset < memory.size()).then(|| offset..offset.saturating_add(bytes.len() as u64))
    }

    /// Forgets input, output and blocks, and clears every byte that was written.
    ///
    /// # Errors
    /// The plugin shall stop; some bytes are not cleared.
    pub(crate) fn reset(&mut self, watch: Watch) -> Result<(), Fault> {
        let written = self.forget();
        self.clear(written, &(0..0), watch)
    }

    /// Forgets input, output and blocks. Returns the offset from which on all bytes are zero.
    fn forget(&mut self) -> u64 {
        self.place_input(0..0);
        self.given = 0..0;
        self.forget_output();
        self.blocks.clear();
        let written = self.written_end();
        self.dirty_end = 0;
        self.set_bound(0);
        written
    }

    /// The offset from which on all bytes are zero.
    pub(super) fn written_end(&self) -> u64 {
        let inlined = if self.bound == 0 || self.registers.is_empty() { 0 } else { self.bound + WORD };
        if self.capacity.imported { self.size() } else { self.dirty_end.max(inlined) }
    }

    /// Clears the bytes below `written`, except the range `kept`.
    fn clear(&mut self, written: u64, kept: &Range<u64>, watch: Watch) -> Result<(), Fault> {
        self.dirty_end = kept.end;
        let Some(memory) = &mut self.memory else { return Ok(()) };
        slices::clear(memory, 0..kept.start.min(written), watch)?;
        match self.usage.note(written) {
            None => slices::clear(memory, kept.end..written, watch),
            Some(resident) => slices::discard(memory, kept.end..resident.min(memory.size()), watch),
        }
    }

    fn set_bound(&mut self, bound: u64) {
        if self.bound != bound {
            self.registers.iter_mut().for_each(|registers| registers.set_bound(bound));
            self.bound = bound;
        }
    }

    /// The input's range; `0..0` if it is empty.
    pub(crate) fn input(&self) -> Range<u64> {
        self.input.clone()
    }

    pub(crate) fn set_input(&mut self, offset: u64, length: u64) -> Option<()> {
        let input = self.checked_range(offset, length)?;
        self.place_input(input);
        Some(())
    }

    fn place_input(&mut self, input: Range<u64>) {
        if self.input != input {
            self.registers.iter_mut().for_each(|registers| registers.set_input(&input));
            self.input = input;
        }
    }

    /// The output's range; `0..0` if there is none.
    pub(crate) fn output(&self) -> Range<u64> {
        let Some(registers) = self.owner() else { return self.output.clone() };
        let (offset, length) = registers.output();
        // The module can write its registers, so they are checked like any argument of a plugin.
        self.checked_range(offset, length).unwrap_or(0..0)
    }

    /// Sets the output to `length` bytes at `offset`; `None` if they are not all in the memory.
    pub(crate) fn set_output(&mut self, offset: u64, length: u64) -> Option<()> {
        let output = self.checked_range(offset, length)?;
        self.place_output(output);
        Some(())
    }

    fn place_output(&mut self, output: Range<u64>) {
        match self.registers.first_mut().filter(|_| self.is_owned) {
            Some(registers) => registers.set_output(&output),
            None => self.output = output,
        }
    }

    /// The registers that hold the output's range, if one instance owns the memory.
    fn owner(&self) -> Option<&Registers> {
        self.registers.first().filter(|_| self.is_owned)
    }

    /// Makes the output empty.
    pub(crate) fn forget_output(&mut self) {
        self.place_output(0..0);
        self.output_copy = Vec::new();
    }

    /// Allocates a block of `length` bytes; `None` if it does not fit.
    pub(crate) fn alloc(&mut self, length: u64) -> Option<u64> {
        let limit = self.capacity.end_of_blocks(self.given.end);
        self.alloc_below(length, limit)
    }

    /// Allocates a block that holds `bytes`.
    ///
    /// # Errors
    /// The block does not fit, or the plugin shall stop.
    pub(crate) fn alloc_with(&mut self, bytes: &[u8], watch: Watch) -> Result<u64, Fault> {
        let length = bytes.len() as u64;
        let offset = self.alloc(length).ok_or(Fault::OutOfMemory(length))?;
        self.write_long(offset, bytes, watch)?;
        Ok(offset)
    }

    /// Frees the block at `offset`. Freeing the input's block empties the input; the output's block is not freed.
    pub(crate) fn free(&mut self, offset: u64) {
        if self.is_output(offset) {
            return;
        }
        if offset == self.input.start {
            self.place_input(0..0);
        }
        if offset == self.given.start {
            self.given = 0..0;
        }
        self.blocks.free(offset);
    }

    /// Takes over the block at `offset`, whose handle the plugin has passed to the host, as Extism does since 1.7.
    pub(crate) fn release(&mut self, offset: u64) {
        if offset != self.input.start && !self.is_output(offset) {
            self.blocks.release(offset);
        }
    }

    /// True if the output overlaps the block at `offset`.
    fn is_output(&self, offset: u64) -> bool {
        let output = self.output();
        let end = offset.saturating_add(self.blocks.length(offset).unwrap_or(0));
        offset < output.end && output.start < end
    }

    /// The length of the block that begins at `offset`.
    pub(crate) fn length(&self, offset: u64) -> Option<u64> {
        self.blocks.length(offset)
    }

    /// The bytes of the block that begins at `offset`.
    pub(crate) fn block(&self, offset: u64) -> Option<&[u8]> {
        let end = offset + self.blocks.length(offset)?;
        self.get(offset..end)
    }

    /// The first bytes of the block that begins at `offset`, at most `most`, and the number of its remaining bytes.
    pub(crate) fn block_start(&self, offset: u64, most: u64) -> Option<(&[u8], u64)> {
        let length = self.blocks.length(offset)?;
        let taken = length.min(most);
        Some((self.get(offset..offset + taken)?, length - taken))
    }

    /// `N` bytes at `offset`, anywhere in the memory.
    pub(crate) fn load<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N as u64)?)?.try_into().ok()
    }

    /// Stores `bytes`, which are few, at `offset`, anywhere in the memory.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.written(offset, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// The same for any number of bytes; asks in between whether the plugin shall stop.
    fn write_long(&mut self, offset: u64, bytes: &[u8], watch: Watch) -> Result<(), Fault> {
        slices::copy_to(self.written(offset, bytes.len())?, bytes, watch)
    }

    /// The `length` bytes at `offset`, to be written: they count as dirty from this call on.
    fn written(&mut self, offset: u64, length: usize) -> Result<&mut [u8], Fault> {
        let end = offset.checked_add(length as u64).ok_or(Fault::OutOfBounds)?;
        let memory = self.memory.as_mut().ok_or(Fault::OutOfBounds)?;
        let place = memory.get_mut(offset..end).ok_or(Fault::OutOfBounds)?;
        self.dirty_end = self.dirty_end.max(end);
        Ok(place)
    }

    pub(super) fn get(&self, range: Range<u64>) -> Option<&[u8]> {
        self.memory.as_ref()?.get(range)
    }

    /// The memory's size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.memory.as_ref().map_or(0, DirectMemory::size)
    }

    fn checked_range(&self, offset: u64, length: u64) -> Option<Range<u64>> {
        let end = offset.checked_add(length)?;
        (end <= self.size()).then_some(offset..end)
    }

    /// Allocates below `limit` and grows the memory if necessary. No block includes the memory's last word: there is
    /// always a readable byte after the output, and inlined code may move a word that begins in the last block.
    fn alloc_below(&mut self, length: u64, limit: u64) -> Option<u64> {
        let end = limit.min(self.size().saturating_sub(WORD));
        let offset = self.blocks.alloc(length, end).or_else(|| {
            let needed = self.blocks.end_needed(length)?;
            if needed > limit || self.blocks.is_full() {
                return None;
            }
            self.grow(needed.checked_add(WORD)?, limit)?;
            self.blocks.alloc(length, needed)
        })?;
        self.set_bound(self.bound.max(self.blocks.top()));
        Some(offset)
    }

    /// Grows to at least `needed` bytes: to the size that the capacity proposes, or to `needed` if that is refused.
    fn grow(&mut self, needed: u64, limit: u64) -> Option<()> {
        let size = self.size();
        let missing = |target: u64| u32::try_from(target.saturating_sub(size).div_ceil(PAGE)).ok();
        let least = missing(needed)?;
        let ample = missing(self.capacity.grown(size, needed, limit))?.max(least);
        let memory = self.memory.as_mut()?;
        memory.grow(ample).or_else(|| memory.grow(least))
    }
}
