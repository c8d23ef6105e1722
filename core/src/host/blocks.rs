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
    state: BlockState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockState {
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
        (block.state == BlockState::Live).then_some(block.length)
    }

    /// Frees the block that begins at `offset`. An offset where none begins is ignored.
    pub(crate) fn free(&mut self, offset: u64) {
        let Some(index) = self.find(offset) else { return };
        match self.table[index].state {
            BlockState::Free => return,
            BlockState::Released => self.released -= 1,
            BlockState::Live => {}
        }
        self.make_free(index);
    }

    /// Takes over the block that begins at `offset`: it is no longer live. Its place stays unused until the plugin
    /// frees it too, or space runs short.
    pub(crate) fn release(&mut self, offset: u64) {
        if let Some(index) = self.find(offset)
            && self.table[index].state == BlockState::Live
        {
            self.table[index].state = BlockState::Released;
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
        self.table.push(Block { offset, size, length, state: BlockState::Live });
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
            if block.state != BlockState::Free {
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
        self.table[index] = Block { offset: gap.offset, size, length, state: BlockState::Live };
        if split {
            let (offset, size) = (gap.offset + size, gap.size - size);
            self.table.insert(index + 1, Block { offset, size, length: size, state: BlockState::Free });
        }
    }

    /// Frees all blocks that the host has taken over; false if there were none.
    fn collect_released(&mut self) -> bool {
        if self.released == 0 {
            return false;
        }
        for block in self.table.iter_mut().filter(|block| block.state == BlockState::Released) {
            block.state = BlockState::Free;
        }
        self.released = 0;
        self.merged = false;
        true
    }

    /// Frees the block at `index`. A free range at the top is removed, which lowers the top.
    fn make_free(&mut self, index: usize) {
        self.table[index].state = BlockState::Free;
        self.merged = false;
        self.lower_top();
    }

    fn lower_top(&mut self) {
        while self.table.last().is_some_and(|block| block.state == BlockState::Free) {
            self.table.pop();
        }
    }

    /// Merges all neighbouring free ranges.
    fn merge(&mut self) {
        if self.merged {
            return;
        }
        self.table.dedup_by(|next, block| {
            let both_free = block.state == BlockState::Free && next.state == BlockState::Free;
            if both_free {
                block.size += next.size;
                block.length = block.size;
            }
            both_free
        });
        self.lower_top();
        let gaps = self.table.iter().filter(|block| block.state == BlockState::Free);
        self.largest_free = gaps.map(|gap| gap.size).max().unwrap_or(0);
        self.merged = true;
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, Block, BlockState, Blocks, MAX_BLOCKS, START};

    const END: u64 = 1 << 16;

    #[test]
    fn blocks_are_aligned_distinct_and_never_at_zero() {
        let mut blocks = Blocks::default();
        let offsets: Vec<u64> =
            [0, 1, 7, 8, 9, 0].iter().map(|length| blocks.alloc(*length, END).expect("room")).collect();
        assert_eq!(offsets, [64, 72, 80, 88, 96, 112]);
        assert_eq!(blocks.top(), 120);
        assert_eq!(
            offsets.iter().map(|offset| blocks.length(*offset)).collect::<Vec<_>>(),
            [0, 1, 7, 8, 9, 0].map(Some)
        );
    }

    #[test]
    fn only_the_exact_start_of_a_live_block_has_a_length() {
        let mut blocks = Blocks::default();
        let block = blocks.alloc(100, END).expect("room");
        for offset in [0, START - 1, block + 1, block + 8, block + 104, u64::MAX] {
            assert_eq!(blocks.length(offset), None, "{offset}");
        }
        blocks.free(block);
        assert_eq!(blocks.length(block), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_without_overflow() {
        let mut blocks = Blocks::default();
        for length in [END, END - START + 1, u64::MAX, u64::MAX - 7, i64::MAX as u64] {
            assert_eq!(blocks.alloc(length, END), None, "{length}");
        }
        assert!(blocks.alloc(END - START, END).is_some());
        assert_eq!(blocks.end_needed(u64::MAX), None);
    }

    /// After this sequence, the allocator of Extism 0.1.0 handed out overlapping blocks.
    #[test]
    fn neighbours_that_were_freed_become_one_gap() {
        let mut blocks = Blocks::default();
        let [a, b, c] = [600, 600, 8].map(|length| blocks.alloc(length, END).expect("room"));
        blocks.free(a);
        blocks.free(b);
        let end = blocks.top();
        let small = blocks.alloc(600, end).expect("the gap has room");
        let large = blocks.alloc(600, end).expect("and for the other one");
        assert_eq!((small, large), (a, b));
        assert_eq!(blocks.length(c), Some(8));
    }

    #[test]
    fn a_gap_is_used_only_when_the_top_has_no_room() {
        let mut blocks = Blocks::default();
        let [a, _] = [16, 16].map(|length| blocks.alloc(length, END).expect("room"));
        blocks.free(a);
        assert_eq!(blocks.alloc(16, END), Some(START + 32));
        assert_eq!(blocks.alloc(16, blocks.top()), Some(a));
    }

    #[test]
    fn the_top_comes_down_when_the_last_block_goes() {
        let mut blocks = Blocks::default();
        let [a, b] = [16, 16].map(|length| blocks.alloc(length, END).expect("room"));
        blocks.free(a);
        blocks.free(b);
        assert_eq!(blocks.top(), START);
    }

    #[test]
    fn a_released_block_is_gone_but_its_place_is_kept() {
        let mut blocks = Blocks::default();
        let [a, b, _last] = [16, 16, 16].map(|length| blocks.alloc(length, END).expect("room"));
        blocks.release(a);
        assert_eq!(blocks.length(a), None);
        // The plugin's own free of a block that the host has taken over makes its place available at once.
        blocks.release(b);
        blocks.free(b);
        assert_eq!(blocks.alloc(16, blocks.top()), Some(b));
        // Without such a free, a search takes the place only when nothing else is left.
        assert_eq!(blocks.alloc(16, blocks.top()), Some(a));
        blocks.free(a);
        blocks.free(a);
        assert_eq!(blocks.alloc(16, blocks.top()), Some(a));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut blocks = Blocks::default();
        for _ in 0..MAX_BLOCKS {
            assert!(blocks.alloc(1, u64::MAX).is_some());
        }
        assert!(blocks.is_full());
        assert_eq!(blocks.alloc(1, u64::MAX), None);
        blocks.free(START);
        assert_eq!(blocks.alloc(1, u64::MAX), Some(START));
    }

    /// Random sequences of calls, compared with a list of live blocks: no two of them overlap, each keeps its length,
    /// and the table has neither holes nor, once merged, two free neighbours.
    #[test]
    fn random_histories_keep_the_table_sound() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for _ in 0..20 {
            let mut blocks = Blocks::default();
            let mut live: Vec<(u64, u64)> = Vec::new();
            for _ in 0..2_000 {
                match next(4) {
                    0 | 1 => {
                        let length = next(300);
                        if let Some(offset) = blocks.alloc(length, 20_000) {
                            live.push((offset, length));
                        }
                    }
                    kind if !live.is_empty() => {
                        let (offset, _) = live.swap_remove(usize::try_from(next(live.len() as u64)).expect("small"));
                        if kind == 2 { blocks.free(offset) } else { blocks.release(offset) }
                    }
                    _ => {}
                }
                check(&blocks, &live);
            }
        }
    }

    fn check(blocks: &Blocks, live: &[(u64, u64)]) {
        let mut expected = START;
        for block in &blocks.table {
            assert_eq!(block.offset, expected);
            assert!(block.size >= block.length && block.size % ALIGN == 0 && block.size > 0);
            assert!(!blocks.merged || block.state != BlockState::Free || block.size <= blocks.largest_free);
            expected += block.size;
        }
        assert!(blocks.table.last().is_none_or(|block| block.state != BlockState::Free), "the top is not free");
        let free = |block: &Block| block.state == BlockState::Free;
        assert!(!blocks.merged || !blocks.table.windows(2).any(|pair| pair.iter().all(free)), "two free neighbours");
        assert_eq!(live.len(), blocks.table.iter().filter(|block| block.state == BlockState::Live).count());
        for (offset, length) in live {
            assert_eq!(blocks.length(*offset), Some(*length));
        }
        assert_eq!(blocks.released, blocks.table.iter().filter(|block| block.state == BlockState::Released).count());
    }
}
