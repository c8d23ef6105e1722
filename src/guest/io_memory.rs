//! The I/O memory: a WebAssembly memory that the plugin does not name, with the input and the blocks in it.
//!
//! A plugin may load and store anywhere in it and nowhere else, and finds zeros wherever this call has not written. It is
//! the module's own, where calls are inlined in that (`rewrite/inline.rs`), else one that the host has made.

use std::ops::Range;

use wasmer::{AsStoreMut, Instance, Memory, MemoryError, MemoryType, Pages};

use super::Fault;
use super::blocks::Blocks;
use super::capacity::Capacity;
use super::direct::{DirectMemory, PAGE};
use super::registers::{Registers, WORD};
use super::reserved::{IO_MEMORY_EXPORT, IO_MEMORY_MAX_PAGES};
use super::slices;
use super::usage::Usage;
use crate::interrupt::Watch;

/// The memory and who has which part of it.
#[derive(Debug)]
pub(crate) struct IoMemory {
    /// None before the module is there that owns it.
    memory: Option<DirectMemory>,
    /// What inlined code goes by, of each instance with such code.
    registers: Vec<Registers>,
    /// The memory is that of one instance, whose registers say where the output is.
    is_owned: bool,
    capacity: Capacity,
    blocks: Blocks,
    /// What the plugin takes for its input; it may choose another.
    input: Range<u64>,
    /// Where the host has put the input, until that block is freed. Blocks may be so much further up.
    given: Range<u64>,
    /// Where no registers say it.
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

    /// Makes a memory for a module that has none of its own for it, or for several modules.
    pub(super) fn make(&mut self, store: &mut impl AsStoreMut) -> Result<(), MemoryError> {
        // Who imports it may expect that it has no maximum.
        let maximum = (!self.capacity.imported).then_some(Pages(IO_MEMORY_MAX_PAGES));
        let ty = MemoryType::new(Pages(self.capacity.initial_pages.max(1)), maximum, false);
        let memory = Memory::new(store, ty)?;
        self.memory = DirectMemory::of(store, memory);
        Ok(())
    }

    /// Takes the registers of `instance`, if it has some, and its memory, if there is none yet.
    pub(super) fn attach(&mut self, store: &mut impl AsStoreMut, instance: &Instance) {
        if let Ok(memory) = instance.exports.get_memory(IO_MEMORY_EXPORT) {
            // To grow by nothing makes it known to a memory that instances have in common (`engine/common.rs`).
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

    /// The memory itself, for a module that imports it.
    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref().map(DirectMemory::memory)
    }

    /// Copies `input` in as the first block, and clears everything else that the previous call left. No block for an empty
    /// input: its offset is 0.
    ///
    /// # Errors
    /// There is no room for the input; or the plugin shall stop, and bytes of the previous call may be left.
    pub(super) fn begin(&mut self, store: &mut impl AsStoreMut, input: &[u8], watch: Watch) -> Result<(), Fault> {
        // What the previous call has put out may be the input of this one.
        let inside = self.place_of(input);
        let copy = std::mem::take(&mut self.output_copy);
        let written = self.forget();
        let placed = self.place(store, input, inside, watch);
        drop(copy);
        let kept = placed.as_ref().map_or(0..0, Clone::clone);
        let cleared = self.clear(written, &kept, watch);
        self.given = kept.clone();
        self.place_input(kept);
        placed.and(cleared)
    }

    /// Makes the first block of `input`, which lies `inside` the memory or outside of it.
    fn place(
        &mut self,
        store: &mut impl AsStoreMut,
        input: &[u8],
        inside: Option<Range<u64>>,
        watch: Watch,
    ) -> Result<Range<u64>, Fault> {
        if input.is_empty() {
            return Ok(0..0);
        }
        let length = input.len() as u64;
        let offset = self.alloc_below(store, length, u64::MAX).ok_or(Fault::OutOfMemory(length))?;
        match (inside, &mut self.memory) {
            (Some(from), Some(memory)) => slices::move_within(memory, from, offset, watch)?,
            _ => self.write_long(offset, input, watch)?,
        }
        Ok(offset..offset + length)
    }

    /// Where in this memory `bytes` are; `None` if they do not begin in it.
    fn place_of(&self, bytes: &[u8]) -> Option<Range<u64>> {
        let memory = self.memory.as_ref()?;
        let offset = bytes.as_ptr().addr().wrapping_sub(memory.base().addr()) as u64;
        (offset < memory.size()).then(|| offset..offset.saturating_add(bytes.len() as u64))
    }

    /// Forgets input, output and blocks, and clears every byte that was written.
    ///
    /// # Errors
    /// The plugin shall stop; some bytes are left.
    pub(super) fn reset(&mut self, watch: Watch) -> Result<(), Fault> {
        let written = self.forget();
        self.clear(written, &(0..0), watch)
    }

    /// Forgets input, output and blocks. Returns from where on the bytes are zero.
    fn forget(&mut self) -> u64 {
        self.place_input(0..0);
        self.given = 0..0;
        self.forget_output();
        self.blocks.clear();
        let inlined = if self.bound == 0 || self.registers.is_empty() { 0 } else { self.bound + WORD };
        let written = if self.capacity.imported { self.size() } else { self.dirty_end.max(inlined) };
        self.dirty_end = 0;
        self.set_bound(0);
        written
    }

    /// Clears the bytes before `written` that are not `kept`.
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

    /// The input's place; `0..0` if it is empty.
    pub(super) fn input(&self) -> Range<u64> {
        self.input.clone()
    }

    pub(super) fn set_input(&mut self, offset: u64, length: u64) -> Option<()> {
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

    /// The output's place; `0..0` if there is none.
    pub(super) fn output(&self) -> Range<u64> {
        let Some(registers) = self.owner() else { return self.output.clone() };
        let (offset, length) = registers.output();
        // They are the module's: what they say is checked like what any plugin says.
        self.checked_range(offset, length).unwrap_or(0..0)
    }

    /// Makes `length` bytes from `offset` on the output, if they are in the memory.
    pub(super) fn set_output(&mut self, offset: u64, length: u64) -> Option<()> {
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

    /// The registers that say where the output is.
    fn owner(&self) -> Option<&Registers> {
        self.registers.first().filter(|_| self.is_owned)
    }

    /// Empties the output.
    pub(crate) fn forget_output(&mut self) {
        self.place_output(0..0);
        self.output_copy = Vec::new();
    }

    /// The address of the output, which the C caller reads in place, and its length. The byte after it is readable.
    ///
    /// # Errors
    /// The output ends where the memory does, and there is no room for a copy with another byte.
    pub(crate) fn output_address(&mut self) -> Result<(*const u8, u64), Fault> {
        let output = self.output();
        let length = output.end - output.start;
        match &self.memory {
            Some(memory) if output.end < memory.size() => {
                let offset = usize::try_from(output.start).unwrap_or(0);
                Ok((memory.base().wrapping_add(offset), length))
            }
            _ => Ok((self.copy_output()?, length)),
        }
    }

    /// A copy of the output.
    #[cfg(feature = "compiler")]
    pub(crate) fn output_bytes(&self) -> Vec<u8> {
        self.get(self.output()).unwrap_or_default().to_vec()
    }

    /// The output with a byte after it, outside the memory: for output that ends where the memory does, which no block
    /// does.
    fn copy_output(&mut self) -> Result<*const u8, Fault> {
        if self.output_copy.is_empty() {
            let output = self.get(self.output()).unwrap_or_default();
            let mut copy = Vec::new();
            copy.try_reserve_exact(output.len() + 1).map_err(|_| Fault::NoRoom(output.len() + 1))?;
            copy.extend_from_slice(output);
            copy.push(0);
            self.output_copy = copy;
        }
        Ok(self.output_copy.as_ptr())
    }

    /// A new block of `length` bytes; `None` if there is no room for it.
    pub(super) fn alloc(&mut self, store: &mut impl AsStoreMut, length: u64) -> Option<u64> {
        let limit = self.capacity.end_of_blocks(self.given.end);
        self.alloc_below(store, length, limit)
    }

    /// A new block that holds `bytes`.
    ///
    /// # Errors
    /// There is no room for it, or the plugin shall stop.
    pub(super) fn alloc_with(&mut self, store: &mut impl AsStoreMut, bytes: &[u8], watch: Watch) -> Result<u64, Fault> {
        let length = bytes.len() as u64;
        let offset = self.alloc(store, length).ok_or(Fault::OutOfMemory(length))?;
        self.write_long(offset, bytes, watch)?;
        Ok(offset)
    }

    /// Frees the block at `offset`. The input is gone with its block; the output's block stays.
    pub(super) fn free(&mut self, offset: u64) {
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

    /// Takes over a handle that the plugin has passed on, as Extism does since 1.7.
    pub(super) fn release(&mut self, offset: u64) {
        if offset != self.input.start && !self.is_output(offset) {
            self.blocks.release(offset);
        }
    }

    /// True if the output lies in the block at `offset`.
    fn is_output(&self, offset: u64) -> bool {
        let output = self.output();
        let end = offset.saturating_add(self.blocks.length(offset).unwrap_or(0));
        offset < output.end && output.start < end
    }

    /// The length of the block that begins at `offset`.
    pub(super) fn length(&self, offset: u64) -> Option<u64> {
        self.blocks.length(offset)
    }

    /// The bytes of the block that begins at `offset`.
    pub(super) fn block(&self, offset: u64) -> Option<&[u8]> {
        let end = offset + self.blocks.length(offset)?;
        self.get(offset..end)
    }

    /// Up to `most` bytes of the block that begins at `offset`, and how many it has besides.
    pub(super) fn block_start(&self, offset: u64, most: u64) -> Option<(&[u8], u64)> {
        let length = self.blocks.length(offset)?;
        let taken = length.min(most);
        Some((self.get(offset..offset + taken)?, length - taken))
    }

    /// `N` bytes at `offset`, anywhere in the memory.
    pub(super) fn load<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N as u64)?)?.try_into().ok()
    }

    /// Stores a few `bytes` at `offset`, anywhere in the memory.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.written(offset, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// The same with any number of bytes.
    fn write_long(&mut self, offset: u64, bytes: &[u8], watch: Watch) -> Result<(), Fault> {
        slices::copy_to(self.written(offset, bytes.len())?, bytes, watch)
    }

    /// So many bytes from `offset` on, which are written from now on.
    fn written(&mut self, offset: u64, length: usize) -> Result<&mut [u8], Fault> {
        let end = offset.checked_add(length as u64).ok_or(Fault::OutOfBounds)?;
        let memory = self.memory.as_mut().ok_or(Fault::OutOfBounds)?;
        let place = memory.get_mut(offset..end).ok_or(Fault::OutOfBounds)?;
        self.dirty_end = self.dirty_end.max(end);
        Ok(place)
    }

    fn get(&self, range: Range<u64>) -> Option<&[u8]> {
        self.memory.as_ref()?.get(range)
    }

    /// The memory's size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.memory.as_ref().map_or(0, DirectMemory::size)
    }

    fn checked_range(&self, offset: u64, length: u64) -> Option<Range<u64>> {
        let end = offset.checked_add(length)?;
        (end <= self.size()).then_some(offset..end)
    }

    /// Allocates below `limit`, growing the memory if it must. The memory's last word is never part of a block: there is
    /// always a readable byte after the output, and inlined code moves a word that begins in the last block.
    fn alloc_below(&mut self, store: &mut impl AsStoreMut, length: u64, limit: u64) -> Option<u64> {
        let end = limit.min(self.size().saturating_sub(WORD));
        let offset = self.blocks.alloc(length, end).or_else(|| {
            let needed = self.blocks.end_needed(length)?;
            if needed > limit || self.blocks.is_full() {
                return None;
            }
            self.grow(store, needed.checked_add(WORD)?, limit)?;
            self.blocks.alloc(length, needed)
        })?;
        self.set_bound(self.bound.max(self.blocks.top()));
        Some(offset)
    }

    /// Grows to at least `needed` bytes, to the size that the capacity says where that is allowed.
    fn grow(&mut self, store: &mut impl AsStoreMut, needed: u64, limit: u64) -> Option<()> {
        let size = self.size();
        let missing = |target: u64| u32::try_from(target.saturating_sub(size).div_ceil(PAGE)).ok();
        let least = missing(needed)?;
        let ample = missing(self.capacity.grown(size, needed, limit))?.max(least);
        let memory = self.memory.as_mut()?;
        memory.grow(store, ample).or_else(|| memory.grow(store, least))
    }
}
