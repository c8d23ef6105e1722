//! The mapped ranges of reserves, and blocks in them. Blocks are taken and given back without a lock, as the allocator
//! must not wait, and a fork must not find a lock held.
#![expect(unsafe_code, reason = "reserves are mapped and unmapped")]

use std::alloc::Layout;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// All reserves of the process.
pub(super) static SLOTS: [Slot; 32] = [const { Slot::new() }; 32];

/// The number of blocks that are in use, in all slots together.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// The number of blocks ever taken, which is that of the system's refusals during work with a reserve.
static REFUSALS: AtomicU64 = AtomicU64::new(0);

/// Set when a block is taken, until a slot is closed.
static IS_SHORT: AtomicBool = AtomicBool::new(false);

/// The value of [`Slot::next`] while no blocks may be taken.
const CLOSED: usize = usize::MAX;

/// In bytes: a multiple of every system's page size. Ranges begin and end at multiples of the page size.
const UNIT: usize = 64 << 10;

/// [`Slot::range`] counts in these. No system has smaller pages.
const PAGE: u32 = 12;

/// The number of bits of [`Slot::range`] for the length; the others are the start.
const LENGTH: u32 = 28;

/// In bytes: the part of each reserve that the system gets back when the first block is taken. It is for the C library,
/// which ends the process if it cannot note a thread's destructors, and for the stacks of threads.
pub(super) const FOR_OTHERS: usize = 4 << 20;

/// One mapped range, from whose start blocks are taken. Blocks are not taken again, except the last: a range is used
/// only between a refusal and the end of the work.
#[derive(Debug)]
pub(super) struct Slot {
    /// Start and length in pages, in one number so that both always belong together; 0 if nothing is mapped.
    range: AtomicU64,
    /// The address of the first free byte, or [`CLOSED`].
    next: AtomicUsize,
    /// The number of blocks that are in use, or about to be taken. The range stays mapped as long as it is not 0.
    blocks: AtomicUsize,
    /// The address of the [`FOR_OTHERS`] bytes, which follow the range; 0 if the system has them.
    others: AtomicUsize,
}

impl Slot {
    const fn new() -> Self {
        let [blocks, others] = [const { AtomicUsize::new(0) }; 2];
        Self { range: AtomicU64::new(0), next: AtomicUsize::new(CLOSED), blocks, others }
    }

    /// The addresses of the range.
    pub(super) fn bounds(&self) -> Range<usize> {
        let range = self.range.load(Ordering::SeqCst);
        let start = (range >> LENGTH << PAGE) as usize;
        let length = ((range & ((1 << LENGTH) - 1)) << PAGE) as usize;
        start..start + length
    }

    fn set_bounds(&self, bounds: &Range<usize>) {
        let range = (bounds.start as u64 >> PAGE << LENGTH) | (bounds.len() as u64 >> PAGE);
        self.range.store(range, Ordering::SeqCst);
    }

    /// Maps `bytes` bytes in a slot that is closed and has no range. Returns the address, or `None` if the system
    /// refuses.
    pub(super) fn map(&self, bytes: usize) -> Option<usize> {
        let length = bytes.checked_next_multiple_of(UNIT)?.checked_add(FOR_OTHERS)?;
        if length >> PAGE >> LENGTH != 0 {
            return None;
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the mapping is new, so nothing else refers to it.
        let mapped =
            unsafe { mmap_anonymous(ptr::null_mut(), length, access, MapFlags::PRIVATE | MapFlags::NORESERVE) };
        let start = mapped.ok()?.expose_provenance();
        let bounds = start..start + length;
        if bounds.start as u64 >> PAGE >> (u64::BITS - LENGTH) != 0 {
            unmap(bounds);
            return None;
        }
        let end = bounds.end - FOR_OTHERS;
        self.set_bounds(&(start..end));
        self.others.store(end, Ordering::SeqCst);
        Some(start)
    }

    /// Unmaps the range of a slot that is closed and unused.
    pub(super) fn unmap(&self) {
        let bounds = self.bounds();
        self.range.store(0, Ordering::SeqCst);
        unmap(bounds);
        self.leave_to_others();
    }

    fn leave_to_others(&self) {
        let start = self.others.swap(0, Ordering::SeqCst);
        if start != 0 {
            unmap(start..start + FOR_OTHERS);
        }
    }

    /// Unmaps the part of a closed slot behind `free`.
    pub(super) fn shrink(&self, free: usize) {
        let bounds = self.bounds();
        let end = free.next_multiple_of(UNIT).min(bounds.end);
        self.set_bounds(&(bounds.start..end));
        unmap(end..bounds.end);
        self.leave_to_others();
    }

    /// Lets blocks be taken from the address `free` on.
    pub(super) fn open(&self, free: usize) {
        self.next.store(free, Ordering::SeqCst);
    }

    /// Lets no more blocks be taken. Returns the address of the first free byte.
    pub(super) fn close(&self) -> usize {
        IS_SHORT.store(false, Ordering::SeqCst);
        self.next.swap(CLOSED, Ordering::SeqCst)
    }

    /// Whether a closed slot has no blocks in use. None appear before it is opened: a thread that takes a block counts
    /// it in `blocks` first, and reads `next` then.
    pub(super) fn is_unused(&self) -> bool {
        self.blocks.load(Ordering::SeqCst) == 0
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        self.blocks.fetch_add(1, Ordering::SeqCst);
        let begin = |next: usize| next.checked_next_multiple_of(layout.align());
        let taken = self.next.try_update(Ordering::SeqCst, Ordering::SeqCst, |next| {
            let end = begin(next).filter(|_| next != CLOSED)?.checked_add(layout.size())?;
            (end <= self.bounds().end).then_some(end)
        });
        let block = taken.ok().and_then(begin);
        if block.is_some() {
            self.leave_to_others();
        } else {
            self.blocks.fetch_sub(1, Ordering::SeqCst);
        }
        block.map(ptr::with_exposed_provenance_mut)
    }

    /// Changes the size of a block in place, if it is the last one and there is room.
    pub(super) fn resize(&self, block: *mut u8, from: usize, to: usize) -> bool {
        let (before, after) = (block.addr() + from, block.addr().checked_add(to));
        after.is_some_and(|after| {
            after <= self.bounds().end
                && self.next.compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        })
    }

    /// Takes back a block of `size` bytes.
    fn give_back(&self, block: *mut u8, size: usize) {
        self.resize(block, size, 0);
        self.blocks.fetch_sub(1, Ordering::SeqCst);
    }
}

fn unmap(range: Range<usize>) {
    if !range.is_empty() {
        // SAFETY: the range was mapped by `Slot::map`, and no block is in it.
        let _ = unsafe { munmap(ptr::with_exposed_provenance_mut(range.start), range.len()) };
    }
}

/// The number of times that the system has refused memory during work with a reserve.
pub(super) fn refusals() -> u64 {
    REFUSALS.load(Ordering::SeqCst)
}

/// Whether blocks of reserves are in use. True on every thread that has one.
#[inline]
pub(super) fn has_blocks() -> bool {
    BLOCKS.load(Ordering::Relaxed) != 0
}

/// Whether the system has just refused memory to a work that is not over: its other blocks come from reserves too.
#[inline]
pub(super) fn is_short() -> bool {
    IS_SHORT.load(Ordering::Relaxed)
}

/// Takes a block from the first reserve with room for it. Null if none has.
pub(super) fn take(layout: Layout) -> *mut u8 {
    let Some(block) = SLOTS.iter().find_map(|slot| slot.take(layout)) else { return ptr::null_mut() };
    BLOCKS.fetch_add(1, Ordering::SeqCst);
    IS_SHORT.store(true, Ordering::SeqCst);
    REFUSALS.fetch_add(1, Ordering::SeqCst);
    block
}

/// The slot that `block` is in, if it is in a reserve. The block is in use.
pub(super) fn slot_of(block: *mut u8) -> Option<&'static Slot> {
    SLOTS.iter().find(|slot| slot.bounds().contains(&block.addr()))
}

/// Takes back a block, if it is in a reserve.
#[cold]
#[inline(never)]
pub(super) fn give_back(block: *mut u8, layout: Layout) -> bool {
    let slot = slot_of(block);
    if let Some(slot) = slot {
        slot.give_back(block, layout.size());
        BLOCKS.fetch_sub(1, Ordering::SeqCst);
    }
    slot.is_some()
}

#[cfg(test)]
mod tests {
    use super::{FOR_OTHERS, Slot, UNIT};
    use std::alloc::Layout;
    use std::thread;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn blocks_are_taken_only_from_an_open_slot() {
        let slot = Slot::new();
        assert!(slot.take(layout(1, 1)).is_none(), "nothing is mapped");
        let start = slot.map(UNIT).expect("the system has so much");
        assert!(slot.take(layout(1, 1)).is_none() && slot.is_unused());
        slot.open(start);
        let byte = slot.take(layout(1, 1)).expect("room");
        let page = slot.take(layout(4096, 4096)).expect("room");
        assert_eq!((byte.addr(), page.addr()), (start, start + 4096));
        assert!(slot.take(layout(UNIT, 1)).is_none(), "too large");
        assert_eq!(slot.close(), start + 8192);
        assert!(slot.take(layout(1, 1)).is_none() && !slot.is_unused());
        slot.shrink(start + 8192);
        let left = slot.bounds();
        assert!(left.start == start && (start + 8192..=start + UNIT).contains(&left.end), "{left:?}");
        slot.give_back(byte, 1);
        slot.give_back(page, 4096);
        assert!(slot.is_unused());
        slot.unmap();
        assert!(slot.bounds().is_empty());
    }

    #[test]
    fn the_last_block_is_taken_again_and_grows_in_place() {
        let slot = Slot::new();
        slot.open(slot.map(UNIT).expect("the system has so much"));
        let first = slot.take(layout(16, 8)).expect("room");
        let last = slot.take(layout(16, 8)).expect("room");
        assert!(!slot.resize(first, 16, 32) && slot.resize(last, 16, 4096) && !slot.resize(last, 4096, UNIT));
        slot.give_back(last, 4096);
        assert_eq!(slot.take(layout(100, 8)), Some(last));
        slot.close();
        slot.unmap();
    }

    #[test]
    fn the_first_block_leaves_room_to_others() {
        let slot = Slot::new();
        let start = slot.map(UNIT).expect("the system has so much");
        let others = || slot.others.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(others(), start + UNIT);
        slot.open(start);
        assert!(slot.take(layout(FOR_OTHERS, 1)).is_none() && others() != 0, "it is not for blocks");
        assert!(slot.take(layout(1, 1)).is_some() && others() == 0);
        slot.close();
        slot.unmap();
    }

    #[test]
    fn no_block_is_taken_twice() {
        let slot = Slot::new();
        slot.open(slot.map(1 << 20).expect("the system has so much"));
        let take = || (0..1000).filter_map(|_| slot.take(layout(24, 8))).map(|block| block.addr()).collect::<Vec<_>>();
        let mut all = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        all.sort_unstable();
        assert_eq!(all.len(), 4000);
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= 24));
        slot.close();
        slot.unmap();
    }

    #[test]
    fn what_the_system_does_not_have_is_refused() {
        assert!([usize::MAX, 1 << 46, 1 << 62].iter().all(|bytes| Slot::new().map(*bytes).is_none()));
    }
}
