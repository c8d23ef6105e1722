//! A memory and globals of an instance where they are: what Wasmer's interface makes of an access, a handle to look up, types
//! to compare, a view to make, costs several times the access, and each call has a dozen of them.
#![expect(unsafe_code, reason = "what an instance has is reached by its address")]

use std::ops::Range;
use std::ptr::NonNull;
use std::slice;

use wasmer::sys::vm::{LinearMemory as _, VMExtern, VMGlobalDefinition, VMMemoryDefinition};
use wasmer::{AsStoreMut, Extern, Global, Memory, Pages};

/// WebAssembly's page, in bytes. No system's own are larger.
pub(super) const PAGE: u64 = 1 << 16;

/// A memory. It must not be used longer than its store: its owner is kept in that.
#[derive(Debug)]
pub(super) struct DirectMemory {
    memory: Memory,
    /// Stays where it is; what it says changes when the memory grows.
    definition: NonNull<VMMemoryDefinition>,
}

// SAFETY: the address has no ties to a thread, and is only used by who has the store that the memory belongs to.
unsafe impl Send for DirectMemory {}

/// A global that holds a 64-bit integer. As for the memory, it must not be used longer than its store.
#[derive(Debug)]
pub(super) struct DirectGlobal(NonNull<VMGlobalDefinition>);

// SAFETY: as for the memory.
unsafe impl Send for DirectGlobal {}

impl DirectMemory {
    /// `None` if it is no memory of this store.
    pub(super) fn of(store: &mut impl AsStoreMut, memory: Memory) -> Option<Self> {
        let handle = Extern::from(memory.clone()).to_vm_extern();
        let VMExtern::Memory(handle) = handle.unwrap_sys() else { return None };
        let definition = handle.get(store.objects_mut().as_sys()).vmmemory();
        Some(Self { memory, definition })
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    fn definition(&self) -> VMMemoryDefinition {
        // SAFETY: it is a part of the instance, or of the memory, that the store keeps as long as it lives; and nothing
        // changes it now, as only this thread uses the store.
        unsafe { self.definition.read() }
    }

    /// The size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.definition().current_length as u64
    }

    /// Where it begins, until it grows.
    pub(super) fn base(&self) -> *const u8 {
        self.definition().base
    }

    fn checked(&self, range: &Range<u64>) -> Option<(*mut u8, usize)> {
        if range.start > range.end || range.end > self.size() {
            return None;
        }
        let (start, length) = (usize::try_from(range.start).ok()?, usize::try_from(range.end - range.start).ok()?);
        Some((self.definition().base.wrapping_add(start), length))
    }

    /// The bytes of a range, if it is inside the memory.
    pub(super) fn get(&self, range: Range<u64>) -> Option<&[u8]> {
        let (start, length) = self.checked(&range)?;
        // SAFETY: the range is inside the memory, all of which can be read; and no code of the plugin runs meanwhile, as
        // who has the plugin's guest is a host function that it waits for, or the host between calls.
        Some(unsafe { slice::from_raw_parts(start, length) })
    }

    /// As [`get`](Self::get), to be changed.
    pub(super) fn get_mut(&mut self, range: Range<u64>) -> Option<&mut [u8]> {
        let (start, length) = self.checked(&range)?;
        // SAFETY: as for `get`, and all of it can be written; nothing else in Rust refers to its bytes, as `self` is
        // borrowed alone.
        Some(unsafe { slice::from_raw_parts_mut(start, length) })
    }

    /// Makes it larger by so many pages, if that is allowed.
    pub(super) fn grow(&mut self, store: &mut impl AsStoreMut, pages: u32) -> Option<()> {
        self.memory.grow(store, Pages(pages)).ok().map(drop)
    }

    /// Copies a range to `offset`, if both places are inside the memory. They may overlap.
    pub(super) fn copy_within(&mut self, from: Range<u64>, offset: u64) -> Option<()> {
        let end = offset.checked_add(from.end.checked_sub(from.start)?)?;
        let (source, length) = self.checked(&from)?;
        let (target, _) = self.checked(&(offset..end))?;
        // SAFETY: both are inside the memory, all of which can be read and written; nothing in Rust refers to its bytes, as
        // `self` is borrowed alone.
        unsafe { source.copy_to(target, length) };
        Some(())
    }

    /// Zeroes a range, as far as there is memory.
    pub(super) fn clear(&mut self, range: Range<u64>) {
        // A fill of nothing is not for nothing: with some processors, the library's way to do it takes as long as a call.
        let end = range.end.min(self.size());
        if range.start < end
            && let Some(bytes) = self.get_mut(range.start..end)
        {
            bytes.fill(0);
        }
    }

    /// As [`clear`](Self::clear) for whole pages, by giving them back to the system, which has them zero again when they are
    /// used.
    pub(super) fn discard(&mut self, pages: Range<u64>) {
        if !self.drop_pages(&pages) {
            self.clear(pages);
        }
    }

    /// Makes the system drop a range of whole pages, if there is one in the memory, and it can.
    #[cfg(target_os = "linux")]
    fn drop_pages(&mut self, pages: &Range<u64>) -> bool {
        use rustix::mm::{Advice, madvise};
        let Some((start, bytes)) = self.checked(pages).filter(|(_, bytes)| *bytes > 0) else { return false };
        // SAFETY: the range is a part of a WebAssembly memory, which Wasmer maps privately and anonymously at a page's
        // boundary, so that dropped pages read as zeros; it is inside the memory, and nothing in Rust refers to its bytes.
        unsafe { madvise(start.cast(), bytes, Advice::LinuxDontNeed) }.is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn drop_pages(&mut self, _: &Range<u64>) -> bool {
        false
    }
}

impl DirectGlobal {
    /// `None` if it is none of this store, or no variable 64-bit integer.
    pub(super) fn of(store: &mut impl AsStoreMut, global: &Global) -> Option<Self> {
        let ty = global.ty(store);
        if ty.ty != wasmer::Type::I64 || !ty.mutability.is_mutable() {
            return None;
        }
        let handle = Extern::from(global.clone()).to_vm_extern();
        let VMExtern::Global(handle) = handle.unwrap_sys() else { return None };
        Some(Self(handle.get(store.objects_mut().as_sys()).vmglobal()))
    }

    pub(super) fn get(&self) -> u64 {
        // SAFETY: it is a part of the instance, which the store keeps as long as it lives, and no code of the plugin runs.
        let definition = unsafe { self.0.as_ref() };
        // SAFETY: a global of this type has been written as a whole: when it was made, by code, or by `set`.
        unsafe { definition.val.u64 }
    }

    pub(super) fn set(&mut self, value: u64) {
        // SAFETY: as for `get`; and nothing else in Rust refers to it.
        let definition = unsafe { self.0.as_mut() };
        definition.val.u64 = value;
    }
}
