//! The allocator of the library, and of a Rust program that it is linked to: the system's, and a reserve if the system
//! refuses. As long as the system does not refuse, it costs a comparison.
#![expect(unsafe_code, reason = "allocators are unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

use super::slot::{Slot, give_back, has_blocks, is_short, slot_of, take};

struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: blocks are those of `System`, or of a reserve, which hands each out once, aligned and as large as asked for.
// Each is given back to where it came from. Nothing here panics, or allocates in turn.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the contract of this method is the same, and the caller promises to keep it.
        let block = if is_short() { ptr::null_mut() } else { unsafe { System.alloc(layout) } };
        // SAFETY: as above.
        if block.is_null() { unsafe { refused(layout) } } else { block }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = if is_short() { ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } };
        // SAFETY: as above.
        if block.is_null() { unsafe { refused_zeroed(layout) } } else { block }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if has_blocks() && give_back(block, layout) {
            return;
        }
        // SAFETY: as above; the block is not of a reserve.
        unsafe { System.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let is_special = is_short() || has_blocks() && slot_of(block).is_some();
        // SAFETY: as above; the block is not of a reserve.
        let moved = if is_special { ptr::null_mut() } else { unsafe { System.realloc(block, layout, size) } };
        if !moved.is_null() {
            return moved;
        }
        // SAFETY: as above.
        unsafe { moved_elsewhere(block, layout, size) }
    }
}

/// A block from a reserve, after the system has refused this block or, during the same work, another one: the memory
/// that the system has left is for allocations that do not come here, such as those of the C library.
///
/// # Safety
/// As for [`GlobalAlloc::alloc`].
#[cold]
#[inline(never)]
unsafe fn refused(layout: Layout) -> *mut u8 {
    let block = take(layout);
    if !block.is_null() {
        return block;
    }
    // The reserves are full, or the last has just been closed.
    // SAFETY: the contract of this function is the same, and the caller promises to keep it.
    unsafe { System.alloc(layout) }
}

/// [`refused`], filled with zeros.
///
/// # Safety
/// As for [`GlobalAlloc::alloc_zeroed`].
#[cold]
#[inline(never)]
unsafe fn refused_zeroed(layout: Layout) -> *mut u8 {
    // SAFETY: the contract of this function is the same, and the caller promises to keep it.
    let block = unsafe { refused(layout) };
    if !block.is_null() {
        // SAFETY: the block is new, and as large as the layout.
        unsafe { block.write_bytes(0, layout.size()) };
    }
    block
}

/// Moves a block of a reserve, or one for which the system has no larger one.
///
/// # Safety
/// As for [`GlobalAlloc::realloc`].
#[cold]
#[inline(never)]
unsafe fn moved_elsewhere(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    let slot = slot_of(block);
    let in_place = |slot: &Slot| slot.resize(block, layout.size(), size) || size <= layout.size();
    if slot.is_some_and(in_place) {
        return block;
    }
    let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
    // SAFETY: the caller promises that the size is not 0.
    let moved = unsafe { ALLOCATOR.alloc(wanted) };
    if moved.is_null() {
        return moved;
    }
    // SAFETY: the old block is in use, the new one is another, and each has at least so many bytes.
    unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
    // SAFETY: the caller promises that the block is in use and has this layout.
    unsafe { ALLOCATOR.dealloc(block, layout) };
    moved
}
