//! A linear memory that reserves little more address space than it uses, and moves when it outgrows the reservation.
//!
//! Wasmer's own memory of this kind reserves no more than it needs, and copies all its bytes each time it grows by a
//! page: growing to 64 MiB page by page copies 32 GiB. `MovingMemory` reserves twice its size, or what the system and
//! its maximum allow, and moves pages in the page table instead of bytes.
//!
//! A memory of which the host program keeps addresses is made with room to stay ([`Room::Stays`]): it reserves the room
//! that it may ever take, grows there, and does not move.
#![expect(unsafe_code, reason = "memory is mapped, and Wasmer's LinearMemory trait has unsafe methods")]

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem;
use std::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use wasmer::sys::vm::{LinearMemory, MemoryStyle, VMMemoryDefinition};
use wasmer::{MemoryError, MemoryType, Pages};

use super::plugin_memory::MAX_PAGES;

/// In bytes: inaccessible guard after the memory, so that accesses with a small constant offset need only one check.
pub(crate) const DYNAMIC_GUARD: u64 = 1 << 16;

/// A page of a memory, in bytes.
const PAGE: usize = 1 << 16;

/// The least that a memory reserves, in bytes, unless its maximum is lower.
const LEAST: usize = 256 << 10;

/// An anonymous mapping of `capacity` bytes and the guard. Only its first bytes, the memory's size, are accessible.
#[derive(Debug)]
struct Mapping {
    start: *mut c_void,
    /// In bytes, without the guard. A multiple of 64 KiB, as are all sizes here.
    capacity: usize,
}

// SAFETY: the pointer is an address that is valid in all threads.
unsafe impl Send for Mapping {}
// SAFETY: all methods that change the mapping take it by `&mut`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves `wanted` bytes or, if the system refuses, `needed`. None of them is accessible yet.
    fn reserve(needed: usize, wanted: usize) -> Result<Self, Errno> {
        Self::exactly(wanted.max(needed)).or_else(|_| Self::exactly(needed))
    }

    /// Reserves `wanted` bytes, or half of them as often as the system refuses, but at least `needed`.
    fn as_much_as_possible(needed: usize, mut wanted: usize) -> Result<Self, Errno> {
        loop {
            wanted = wanted.max(needed);
            match Self::exactly(wanted) {
                Err(_) if wanted > needed => wanted = (wanted / 2).next_multiple_of(PAGE),
                result => return result,
            }
        }
    }

    fn exactly(capacity: usize) -> Result<Self, Errno> {
        let length = capacity.checked_add(DYNAMIC_GUARD as usize).ok_or(Errno::NOMEM)?;
        // SAFETY: the mapping is new, so nothing else refers to it.
        let start =
            unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), length, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        Ok(Self { start, capacity })
    }

    /// Makes the inaccessible bytes from `from` to `to` accessible.
    fn open(&mut self, from: usize, to: usize) -> Result<(), Errno> {
        if from == to {
            return Ok(());
        }
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the range is part of this mapping, as `to` is at most its capacity, and only becomes more accessible.
        unsafe { rustix::mm::mprotect(self.start.wrapping_byte_add(from), to - from, access) }
    }

    /// Moves to a mapping with room for `wanted` bytes or, if the system refuses, `needed`, with the contents of the
    /// first `used` bytes. Only those are accessible afterwards.
    fn move_for(&mut self, used: usize, needed: usize, wanted: usize) -> Result<(), Errno> {
        if used > 0 {
            let moved = self.move_pages(used, wanted.max(needed)).or_else(|_| self.move_pages(used, needed));
            if moved.is_ok() {
                return self.close(used);
            }
            // `move_pages` fails if an image (`image.rs`) is mapped, a mapping of its own: the system moves only one.
        }
        let mut other = Self::reserve(needed, wanted)?;
        other.open(0, used)?;
        // SAFETY: both mappings are accessible that far and distinct, and nothing in Rust refers to their bytes.
        unsafe { ptr::copy_nonoverlapping(self.start.cast::<u8>(), other.start.cast::<u8>(), used) };
        *self = other;
        Ok(())
    }

    /// Moves the pages of the first `used` bytes to a mapping with room for `capacity` bytes. All of it is accessible
    /// then, even the guard. If that fails, nothing has changed.
    #[cfg(target_os = "linux")]
    fn move_pages(&mut self, used: usize, capacity: usize) -> Result<(), Errno> {
        use rustix::mm::MremapFlags;
        let length = capacity.checked_add(DYNAMIC_GUARD as usize).ok_or(Errno::NOMEM)?;
        // SAFETY: the pages are this mapping's, nothing in Rust refers to them, and `grow` publishes the new address.
        let start = unsafe { rustix::mm::mremap(self.start, used, length, MremapFlags::MAYMOVE) }?;
        // The system may have reused the moved range already. Only what was behind it is unmapped here.
        let rest = Self { start: self.start.wrapping_byte_add(used), capacity: self.capacity - used };
        mem::forget(mem::replace(self, Self { start, capacity }));
        drop(rest);
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn move_pages(&mut self, _: usize, _: usize) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    /// Makes everything behind the first `used` bytes inaccessible. If that fails, accesses out of bounds do not trap
    /// there, but reach nothing beyond this mapping.
    fn close(&mut self, used: usize) -> Result<(), Errno> {
        let length = self.capacity + DYNAMIC_GUARD as usize - used;
        // SAFETY: the range is part of this mapping, and nothing uses it yet.
        unsafe { rustix::mm::mprotect(self.start.wrapping_byte_add(used), length, MprotectFlags::empty()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value alone, and nothing has its address any more.
        let _ = unsafe { rustix::mm::munmap(self.start, self.capacity + DYNAMIC_GUARD as usize) };
    }
}

/// The place from which code reads the memory's address and length.
#[derive(Debug)]
enum DefinitionPlace {
    /// In the context of the instance that the memory belongs to.
    Instance(NonNull<VMMemoryDefinition>),
    /// For a memory that the host made.
    Own(Box<UnsafeCell<VMMemoryDefinition>>),
}

/// The linear memory. Invariant: `place` has the address and size of `mapping`.
#[derive(Debug)]
pub(crate) struct MovingMemory {
    mapping: Mapping,
    size: Pages,
    ty: MemoryType,
    place: DefinitionPlace,
    /// The memory never moves: it cannot grow beyond the mapping's capacity.
    stays: bool,
}

// SAFETY: the pointer is valid in all threads, and only the thread that has the store uses it.
unsafe impl Send for MovingMemory {}
// SAFETY: as above; all methods that change anything take `&mut`.
unsafe impl Sync for MovingMemory {}

impl MovingMemory {
    /// A memory of this type, for the host.
    pub(crate) fn for_host(ty: &MemoryType, room: Room) -> Result<Self, MemoryError> {
        let definition = VMMemoryDefinition { base: ptr::null_mut(), current_length: 0 };
        Self::new(ty, DefinitionPlace::Own(Box::new(UnsafeCell::new(definition))), room)
    }

    /// A memory of this type, for an instance.
    ///
    /// # Safety
    /// `definition` must be the instance's place for it, and must outlive every use of the memory.
    pub(crate) unsafe fn for_instance(
        ty: &MemoryType,
        definition: NonNull<VMMemoryDefinition>,
        room: Room,
    ) -> Result<Self, MemoryError> {
        Self::new(ty, DefinitionPlace::Instance(definition), room)
    }

    fn new(ty: &MemoryType, place: DefinitionPlace, room: Room) -> Result<Self, MemoryError> {
        let most = most(ty);
        if ty.minimum > most {
            return Err(MemoryError::MinimumMemoryTooLarge { min_requested: ty.minimum, max_allowed: most });
        }
        let size = ty.minimum.bytes().0;
        let mapping = match room {
            Room::Moves => Mapping::reserve(size, wanted(size, most)),
            Room::Stays { pages } => Mapping::as_much_as_possible(size, pages.min(most).bytes().0),
        };
        let mut mapping = mapping.map_err(refused)?;
        mapping.open(0, size).map_err(refused)?;
        let mut memory = Self { mapping, size: ty.minimum, ty: *ty, place, stays: room != Room::Moves };
        memory.tell();
        Ok(memory)
    }

    /// Writes the memory's address and length to `place`.
    fn tell(&mut self) {
        let definition = VMMemoryDefinition { base: self.mapping.start.cast(), current_length: self.size.bytes().0 };
        match &mut self.place {
            DefinitionPlace::Own(place) => *place.get_mut() = definition,
            // SAFETY: the caller of `for_instance` promises that the pointer is valid; no other thread uses it.
            DefinitionPlace::Instance(place) => unsafe { place.write(definition) },
        }
    }
}

/// The room that a memory has to grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// The memory moves when it outgrows its mapping.
    Moves,
    /// The memory stays where it is, and has a mapping of this number of pages, or fewer if the system refuses them.
    Stays { pages: Pages },
}

/// The most pages that a memory of this type can have.
fn most(ty: &MemoryType) -> Pages {
    ty.maximum.unwrap_or(MAX_PAGES).min(MAX_PAGES)
}

/// The number of bytes to reserve for a memory of `size` bytes with a maximum of `most` pages.
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
            if self.stays {
                return Err(MemoryError::CouldNotGrow { current: before, attempted_delta: delta });
            }
            let moved = self.mapping.move_for(old, new, wanted(new, most));
            // Even after an error the memory may have moved.
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
            DefinitionPlace::Instance(place) => *place,
            // SAFETY: a pointer into a box is never null.
            DefinitionPlace::Own(place) => unsafe { NonNull::new_unchecked(place.get()) },
        }
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::UnsupportedOperation { message: "a plugin's memory is not copied".to_owned() })
    }
}
