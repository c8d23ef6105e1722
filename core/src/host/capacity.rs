//! The initial size of an I/O memory, and how far it may grow.

use super::blocks::START;
use super::direct::PAGE;
use crate::module::reserved::IO_MEMORY_MAX_PAGES;

/// The sizes of one I/O memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Initial size in pages; at least one is made.
    pub(crate) initial_pages: u32,
    /// Limit of the blocks in pages, without the input. Below 4 it counts as 4, as in Extism 0.1.0, which began with 4.
    pub(crate) max_block_pages: Option<u32>,
    /// True if a limit applies to all memories of the plugin together: growing this one ahead of need would use it up.
    pub(crate) is_limited: bool,
    /// True if a module imports the memory, and so may write to it without the host's knowledge.
    pub(crate) imported: bool,
}

impl Capacity {
    /// The highest offset where a block may end, if the input that the host has put in ends at `input_end`.
    pub(crate) fn end_of_blocks(&self, input_end: u64) -> u64 {
        match self.max_block_pages {
            Some(pages) => input_end.max(START) + u64::from(pages.max(4)) * PAGE,
            None => u64::MAX,
        }
    }

    /// The size to grow to, for a memory of `size` bytes that needs `needed` and whose blocks end below `limit`: twice
    /// `size`, as growing block by block is slow. A large memory without limits gets its maximum: growing copies it to
    /// another place, and nothing stops a plugin during the copy. Unused pages cost address space only.
    pub(crate) fn grown(&self, size: u64, needed: u64, limit: u64) -> u64 {
        /// Above this need, in bytes, copying takes too long.
        const MOVES: u64 = 64 << 20;
        let is_free = !self.is_limited && self.max_block_pages.is_none() && !self.imported;
        let ample = if needed > MOVES && is_free { u64::from(IO_MEMORY_MAX_PAGES) * PAGE } else { size * 2 };
        ample.min(limit.saturating_add(PAGE))
    }
}
