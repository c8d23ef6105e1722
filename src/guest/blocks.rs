//! The allocator of the I/O memory: which ranges of it are blocks. The table stands outside the plugin's reach; no
//! byte of the memory is touched here.
//!
//! Blocks lie side by side from [`START`] up to a top. New ones come from above the top while the memory has room
//! there, then from freed ranges, then the memory must grow. That order matters: a plugin of Extism 1.x before 1.7
//! frees handles that the host has freed already, and must not hit a block that took the place in between.

/// Where the first block begins; offset 0 means "none" in both guest ABIs.
pub(super) const START: u64 = 64;

/// Every block begins at a multiple of this.
const ALIGN: u64 = 8;

/// How many blocks there may be at once; bounds what the table costs the host.
const MAX_BLOCKS: usize = 1 << 20;

/// A block or the gap that one left.
#[derive(Debug, Clone, Copy)]
struct Block {
    offset: u64,
    /// What it takes up, a multiple of [`ALIGN`].
    size: u64,
    /// What was asked for.
    length: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    /// The host has freed it for the plugin, which may do so once more.
    Released,
    Free,
}

/// All blocks of one call.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Sorted by offset and without holes: each block ends where the next begins.
    table: Vec<Block>,
    /// No free range is larger; an upper bound that saves searches. Holds only when `merged`.
    largest_free: u64,
    /// No two free ranges are neighbours. Freeing leaves that to the next search: it is the rarer one, and moving the
    /// table at each would be slow.
    merged: bool,
    released: usize,
}

impl Blocks {
    /// Forgets all blocks.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.largest_free = 0;
        self.merged = true;
        self.released = 0;
    }

    /// The end of the last block.
    pub(super) fn top(&self) -> u64 {
        self.table.last().map_or(START, |block| block.offset + block.size)
    }

    /// Allocates `length` bytes below `end`, or says `None` if that needs a larger memory. A block of length 0 has
    /// an offset of its own.
    pub(super) fn alloc(&mut self, length: u64, end: u64) -> Option<u64> {
        let size = length.max(1).checked_next_multiple_of(ALIGN)?;
        self.alloc_at_top(length, size, end)
            .or_else(|| self.alloc_in_gap(length, size))
            .or_else(|| self.collect_released().then(|| self.alloc_in_gap(length, size)).flatten())
            // Merging may have made the table shorter, or the top lower.
            .or_else(|| self.alloc_at_top(length, size, end))
    }

    /// Where the memory must at least end for a block of `length` bytes to fit at the top.
    pub(super) fn end_needed(&self, length: u64) -> Option<u64> {
        length.max(1).checked_next_multiple_of(ALIGN)?.checked_add(self.top())
    }

    /// True if no further block may be made.
    pub(super) fn is_full(&self) -> bool {
        self.table.len() >= MAX_BLOCKS
    }

    /// The length of the block that begins at `offset`.
    pub(super) fn length(&self, offset: u64) -> Option<u64> {
        let block = &self.table[self.find(offset)?];
        (block.state == State::Live).then_some(block.length)
    }

    /// Frees the block that begins at `offset`; anything else is ignored.
    pub(super) fn free(&mut self, offset: u64) {
        let Some(index) = self.find(offset) else { return };
        match self.table[index].state {
            State::Free => return,
            State::Released => self.released -= 1,
            State::Live => {}
        }
        self.make_free(index);
    }

    /// Takes the block that begins at `offset` from the plugin. Its place stays empty until the plugin frees it
    /// too, or memory runs short.
    pub(super) fn release(&mut self, offset: u64) {
        if let Some(index) = self.find(offset)
            && self.table[index].state == State::Live
        {
            self.table[index].state = State::Released;
            self.released += 1;
        }
    }

    /// Whether the host has room for another entry of the table.
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

    /// Puts a block at the start of the gap at `index`; the rest of the gap stays one, unless the table is full or has no room.
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

    /// Frees what the host has taken over; says whether there was any.
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

    /// Frees the block at `index`. A gap at the top is no gap: the top comes down.
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

    /// Makes one range of free neighbours, everywhere at once.
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
