//! How large an I/O memory is made, and how large it may become.

use super::blocks::START;
use super::direct::PAGE;
use super::reserved::IO_MEMORY_MAX_PAGES;

/// The sizes that an I/O memory is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Pages it has from the start; at least one.
    pub(crate) initial_pages: u32,
    /// Cap on the blocks in pages, without the input. Extism 0.1.0 began with 4 and a lower value only forbade growth.
    pub(crate) max_block_pages: Option<u32>,
    /// Whether all memories of the plugin together have a limit, which this one must not use up for nothing.
    pub(crate) is_limited: bool,
    /// Whether a module imports the memory itself and may write to it unseen.
    pub(crate) imported: bool,
}

impl Capacity {
    /// Where the last block has to end, if the input that the host has put in ends at `input_end`.
    pub(super) fn end_of_blocks(&self, input_end: u64) -> u64 {
        match self.max_block_pages {
            Some(pages) => input_end.max(START) + u64::from(pages.max(4)) * PAGE,
            None => u64::MAX,
        }
    }

    /// What a memory of `size` bytes shall have when it needs at least `needed` for blocks that end below `limit`, if it may: twice
    /// the size, as a block at a time would be slow. A large one that nothing limits gets all that there is: it moves when it grows,
    /// and nothing stops a plugin while the engine copies. What is not used costs addresses only.
    pub(super) fn grown(&self, size: u64, needed: u64, limit: u64) -> u64 {
        /// The most that is copied then, in bytes.
        const MOVES: u64 = 64 << 20;
        let is_free = !self.is_limited && self.max_block_pages.is_none() && !self.imported;
        let ample = if needed > MOVES && is_free { u64::from(IO_MEMORY_MAX_PAGES) * PAGE } else { size * 2 };
        ample.min(limit.saturating_add(PAGE))
    }
}
