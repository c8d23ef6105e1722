//! The allocator of the I/O memory: decides which ranges of it are blocks. Its table lies outside the plugin's reach,
//! and it touches no byte of the memory.
//!
//! Blocks lie side by side from [`START`] up to a top. A new block goes above the top while the memory has space there,
//! then into a freed range; then the memory has to grow. The order matters: plugins of Extism 1.x before 1.7 free
//! handles that the host has already freed, and must not hit a block that has taken the place meanwhile.

/// The offset of the first block. Offset 0 means "none" in both guest ABIs.
pub(crate) const START: u64 = 64;

/// Every block's offset and size are multiples of this, in bytes.
const ALIGN: u64 = 8;

/// The most blocks and gaps at once: bounds the host's memory for the table.
const MAX_BLOCKS: usize = 1 << 20;

/// A block, or the gap that a freed block has left.
#[derive(Debug, Clone, Copy)]
struct Block {
    offset: u64,
    /// The bytes that it occupies, a multiple of [`ALIGN`].
    size: u64,
    /// The bytes that the plugin asked for.
    length: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    /// The host has taken the block over and freed it; the plugin may free it once more.
    Released,
    Free,
}

/// All blocks of one call.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// Sorted by offset, without holes: each entry ends where the next begins.
    table: Vec<Block>,
    /// An upper bound of the free ranges' sizes, which saves searches. Valid only if `merged`.
    largest_free: u64,
    /// True if no two free ranges are neighbours. Freeing does not merge them, as that moves the table; the next search
    /// does, and searches are rarer than frees.
    merged: bool,
    released: usize,
}

impl Blocks {
    /// Forgets all blocks.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.largest_free = 0;
        self.merged = true;
        self.released = 0;
    }

    /// The offset where the last block ends.
    pub(crate) fn top(&self) -> u64 {
        self.table.last().map_or(START, |block| block.offset + block.size)
    }

    /// Allocates `length` bytes that end at or below `end`; `None` if the memory would have to grow. A block of length
    /// 0 has an offset of its own, too.
    pub(crate) fn alloc(&mut self, length: u64, end: u64) -> Option<u64> {
        let size = length.max(1).checked_next_multiple_of(ALIGN)?;
        self.alloc_at_top(length, size, end)
            .or_else(|| self.alloc_in_gap(length, size))
            .or_else(|| self.collect_released().then(|| self.alloc_in_gap(length, size)).flatten())
            // Merging may have shortened the table or lowered the top.
            .or_else(|| self.alloc_at_top(length, size, end))
    }

    /// The least size of the memory at which a block of `length` bytes fits above the top.
    pub(crate) fn end_needed(&self, length: u64) -> Option<u64> {
        length.max(1).checked_next_multiple_of(ALIGN)?.checked_add(self.top())
    }

    /// True if there can be no further block.
    pub(crate) fn is_full(&self) -> bool {
        self.table.len() >= MAX_BLOCKS
    }

    /// The length of the live block that begins at `offset`.
    pub(crate) fn length(&self, offset: u64) -> Option<u64> {
        let block = &self.table[self.find(offset)?];
        (block.state == State::Live).then_some(block.length)
    }

    /// Frees the block that begins at `offset`. An offset where none begins is ignored.
    pub(crate) fn free(&mut self, offset: u64) {
        let Some(index) = self.find(offset) else { return };
        match self.table[index].state {
            State::Free => return,
            State::Released => self.released -= 1,
            State::Live => {}
        }
        self.make_free(index);
    }

    /// Takes over the block that begins at `offset`: it is no longer live. Its place stays unused until the plugin
    /// frees it too, or space runs short.
    pub(crate) fn release(&mut self, offset: u64) {
        if let Some(index) = self.find(offset)
            && self.table[index].state == State::Live
        {
            self.table[index].state = State::Released;
            self.released += 1;
        }
    }

    /// True if the table has, or the host can allocate, space for another entry.
    fn has_room(&mut self) -> bool {
        self.table.try_reserve(1).is_ok()
    }

    fn find(&self, offset: u64) -> Option<usize> {
        self.table.binary_search_by_key(&offset, |block| block.offset).ok()
    }

    fn alloc_at_top(&mut self, length: u64, size: u64, end: u64) -> Option<u64> {
        let offset = self.top();
        if offset.checked_add(size)? > end || self.is_full() || !self.has_room() {
            return None;
        }
        self.table.push(Block { offset, size, length, state: State::Live });
        Some(offset)
    }

    fn alloc_in_gap(&mut self, length: u64, size: u64) -> Option<u64> {
        self.merge();
        if size > self.largest_free {
            return None;
        }
        let mut largest = 0;
        for index in 0..self.table.len() {
            let block = self.table[index];
            if block.state != State::Free {
                continue;
            }
            if block.size >= size {
                self.fill(index, length, size);
                return Some(block.offset);
            }
            largest = largest.max(block.size);
        }
        self.largest_free = largest;
        None
    }

    /// Makes a block at the start of the gap at `index`. The block takes all of the gap if the table cannot grow.
    fn fill(&mut self, index: usize, length: u64, size: u64) {
        let gap = self.table[index];
        let split = gap.size > size && !self.is_full() && self.has_room();
        let size = if split { size } else { gap.size };
        self.table[index] = Block { offset: gap.offset, size, length, state: State::Live };
        if split {
            let (offset, size) = (gap.offset + size, gap.size - size);
            self.table.insert(index + 1, Block { offset, size, length: size, state: State::Free });
        }
    }

    /// Frees all blocks that the host has taken over; false if there were none.
    fn collect_released(&mut self) -> bool {
        if self.released == 0 {
            return false;
        }
        for block in self.table.iter_mut().filter(|block| block.state == State::Released) {
            block.state = State::Free;
        }
        self.released = 0;
        self.merged = false;
        true
    }

    /// Frees the block at `index`. A free range at the top is removed, which lowers the top.
    fn make_free(&mut self, index: usize) {
        self.table[index].state = State::Free;
        self.merged = false;
        self.lower_top();
    }

    fn lower_top(&mut self) {
        while self.table.last().is_some_and(|block| block.state == State::Free) {
            self.table.pop();
        }
    }

    /// Merges all neighbouring free ranges.
    fn merge(&mut self) {
        if self.merged {
            return;
        }
        self.table.dedup_by(|next, block| {
            let both_free = block.state == State::Free && next.state == State::Free;
            if both_free {
                block.size += next.size;
                block.length = block.size;
            }
            both_free
        });
        self.lower_top();
        let gaps = self.table.iter().filter(|block| block.state == State::Free);
        self.largest_free = gaps.map(|gap| gap.size).max().unwrap_or(0);
        self.merged = true;
    }
}

#[cfg(test)]
mod tests;
