//! A memory that takes little more address space than it has, and moves when that is not enough.
//!
//! Wasmer's own maps no more than it needs and copies all of it for every page that it grows by: a plugin that takes 64 MiB
//! page by page copies 32 GiB. This one reserves twice what it has, as far as the system and its maximum let it, and moves
//! pages instead of bytes.
#![expect(unsafe_code, reason = "memory is mapped, and Wasmer's LinearMemory trait has unsafe methods")]

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem;
use std::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use wasmer::sys::vm::{LinearMemory, MemoryStyle, VMMemoryDefinition};
use wasmer::{MemoryError, MemoryType, Pages};

/// Bytes behind a memory that moves, so that an access with a small offset needs one check only.
pub(super) const DYNAMIC_GUARD: u64 = 1 << 16;

/// What a memory reserves at least, in bytes, if it may grow to that.
const LEAST: usize = 256 << 10;

/// The most pages that a memory has: code of LLVM takes the length of a memory that moves for 32 bits, and 65,536 pages for none.
const MOST_PAGES: u32 = (1 << 16) - 1;

/// A mapping of its own, unmapped with it: `capacity` bytes and the guard, of which the first so many can be used.
#[derive(Debug)]
struct Mapping {
    start: *mut c_void,
    /// In bytes, without the guard; a multiple of 64 KiB, as all sizes here.
    capacity: usize,
}

// SAFETY: the address has no ties to a thread.
unsafe impl Send for Mapping {}
// SAFETY: what changes the mapping needs it exclusively.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves `wanted` bytes, or at least `needed`, none of which can be used yet.
    fn reserve(needed: usize, wanted: usize) -> Result<Self, Errno> {
        Self::exactly(wanted.max(needed)).or_else(|_| Self::exactly(needed))
    }

    fn exactly(capacity: usize) -> Result<Self, Errno> {
        let length = capacity.checked_add(DYNAMIC_GUARD as usize).ok_or(Errno::NOMEM)?;
        // SAFETY: a new mapping, which nobody else has.
        let start =
            unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), length, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        Ok(Self { start, capacity })
    }

    /// Makes bytes usable that were not.
    fn open(&mut self, from: usize, to: usize) -> Result<(), Errno> {
        if from == to {
            return Ok(());
        }
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: it is a part of this mapping, `to` being no more than its capacity, and becomes more accessible only.
        unsafe { rustix::mm::mprotect(self.start.wrapping_byte_add(from), to - from, access) }
    }

    /// Moves to where there is room for `needed` bytes, or even `wanted`, with all that is in the first `used` bytes. No others can
    /// be used then.
    fn move_for(&mut self, used: usize, needed: usize, wanted: usize) -> Result<(), Errno> {
        if used > 0 {
            let moved = self.move_pages(used, wanted.max(needed)).or_else(|_| self.move_pages(used, needed));
            if moved.is_ok() {
                return self.close(used);
            }
            // Pages of a file in memory (`image.rs`) are a mapping of their own, and the system moves one at a time.
        }
        let mut other = Self::reserve(needed, wanted)?;
        other.open(0, used)?;
        // SAFETY: both can be used that far, they are different mappings, and nothing in Rust refers to their bytes.
        unsafe { ptr::copy_nonoverlapping(self.start.cast::<u8>(), other.start.cast::<u8>(), used) };
        *self = other;
        Ok(())
    }

    /// Moves the pages of the first `used` bytes to a mapping with room for `capacity` bytes, all of which can be used, the guard
    /// included. Nothing has changed if that fails.
    #[cfg(target_os = "linux")]
    fn move_pages(&mut self, used: usize, capacity: usize) -> Result<(), Errno> {
        use rustix::mm::MremapFlags;
        let length = capacity.checked_add(DYNAMIC_GUARD as usize).ok_or(Errno::NOMEM)?;
        // SAFETY: they are this mapping's, nothing in Rust refers to them, and whoever has their address is told the new one.
        let start = unsafe { rustix::mm::mremap(self.start, used, length, MremapFlags::MAYMOVE) }?;
        // The old place may be another's already, but for what was behind those pages.
        let rest = Self { start: self.start.wrapping_byte_add(used), capacity: self.capacity - used };
        mem::forget(mem::replace(self, Self { start, capacity }));
        drop(rest);
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn move_pages(&mut self, _: usize, _: usize) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    /// Makes all behind the first `used` bytes unusable.
    ///
    /// # Errors
    /// It can still be used: accesses out of bounds, which this mapping serves, do not trap there.
    fn close(&mut self, used: usize) -> Result<(), Errno> {
        let length = self.capacity + DYNAMIC_GUARD as usize - used;
        // SAFETY: it is a part of this mapping that nobody uses yet.
        unsafe { rustix::mm::mprotect(self.start.wrapping_byte_add(used), length, MprotectFlags::empty()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's alone, and nobody has its address any more.
        let _ = unsafe { rustix::mm::munmap(self.start, self.capacity + DYNAMIC_GUARD as usize) };
    }
}

/// Where code finds the memory's address and length.
#[derive(Debug)]
enum Place {
    /// In the instance that the memory belongs to.
    Instance(NonNull<VMMemoryDefinition>),
    /// The host has made the memory.
    Own(Box<UnsafeCell<VMMemoryDefinition>>),
}

/// The memory.
#[derive(Debug)]
pub(super) struct MovingMemory {
    mapping: Mapping,
    size: Pages,
    ty: MemoryType,
    place: Place,
}

// SAFETY: the place has no ties to a thread, and is only used by the thread that has the store.
unsafe impl Send for MovingMemory {}
// SAFETY: as above; what changes it needs it exclusively.
unsafe impl Sync for MovingMemory {}

impl MovingMemory {
    /// A memory of this type, for the host.
    pub(super) fn for_host(ty: &MemoryType) -> Result<Self, MemoryError> {
        let definition = VMMemoryDefinition { base: ptr::null_mut(), current_length: 0 };
        Self::new(ty, Place::Own(Box::new(UnsafeCell::new(definition))))
    }

    /// A memory of this type, for an instance.
    ///
    /// # Safety
    /// `definition` must be a place in the instance for it, and live as long as the memory is asked for anything.
    pub(super) unsafe fn for_instance(
        ty: &MemoryType,
        definition: NonNull<VMMemoryDefinition>,
    ) -> Result<Self, MemoryError> {
        Self::new(ty, Place::Instance(definition))
    }

    fn new(ty: &MemoryType, place: Place) -> Result<Self, MemoryError> {
        let most = most(ty);
        if ty.minimum > most {
            return Err(MemoryError::MinimumMemoryTooLarge { min_requested: ty.minimum, max_allowed: most });
        }
        let size = ty.minimum.bytes().0;
        let mut mapping = Mapping::reserve(size, wanted(size, most)).map_err(refused)?;
        mapping.open(0, size).map_err(refused)?;
        let mut memory = Self { mapping, size: ty.minimum, ty: *ty, place };
        memory.tell();
        Ok(memory)
    }

    /// Says where the memory is, and how long.
    fn tell(&mut self) {
        let definition = VMMemoryDefinition { base: self.mapping.start.cast(), current_length: self.size.bytes().0 };
        match &mut self.place {
            Place::Own(place) => *place.get_mut() = definition,
            // SAFETY: whoever made the memory promises that it is a place for it, which only this thread uses now.
            Place::Instance(place) => unsafe { place.write(definition) },
        }
    }
}

/// The most pages that a memory of this type can have.
fn most(ty: &MemoryType) -> Pages {
    ty.maximum.unwrap_or(Pages(MOST_PAGES)).min(Pages(MOST_PAGES))
}

/// What to reserve for a memory of `size` bytes that may come to have `most` pages.
fn wanted(size: usize, most: Pages) -> usize {
    size.saturating_mul(2).max(LEAST).min(most.bytes().0)
}

fn refused(error: Errno) -> MemoryError {
    MemoryError::Region(std::io::Error::from(error).to_string())
}

impl LinearMemory for MovingMemory {
    fn ty(&self) -> MemoryType {
        MemoryType { minimum: self.size, ..self.ty }
    }

    fn size(&self) -> Pages {
        self.size
    }

    fn style(&self) -> MemoryStyle {
        MemoryStyle::Dynamic { offset_guard_size: DYNAMIC_GUARD }
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let before = self.size;
        let most = most(&self.ty);
        let after = before.checked_add(delta).filter(|after| *after <= most);
        let after = after.ok_or(MemoryError::CouldNotGrow { current: before, attempted_delta: delta })?;
        let (old, new) = (before.bytes().0, after.bytes().0);
        if new > self.mapping.capacity {
            let moved = self.mapping.move_for(old, new, wanted(new, most));
            // Whatever has become of it, it may be elsewhere.
            self.tell();
            moved.map_err(refused)?;
        }
        self.mapping.open(old, new).map_err(refused)?;
        self.size = after;
        self.tell();
        Ok(before)
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        match &self.place {
            Place::Instance(place) => *place,
            // SAFETY: the address of what is in a box.
            Place::Own(place) => unsafe { NonNull::new_unchecked(place.get()) },
        }
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::UnsupportedOperation { message: "a plugin's memory is not copied".to_owned() })
    }
}
