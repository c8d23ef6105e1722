//! Direct access to an instance's memory and globals, by address. Wasmer's interface looks up a handle, compares types
//! and makes a view, which takes several times as long as the access itself, and each call makes a dozen accesses.
#![expect(unsafe_code, reason = "memories and globals are reached by address")]

use std::ops::Range;
use std::ptr::NonNull;
use std::slice;

use wasmer::sys::vm::{
    InternalStoreHandle, LinearMemory as _, StoreObjects, VMExtern, VMGlobalDefinition, VMMemory, VMMemoryDefinition,
};
use wasmer::{AsStoreMut, Extern, Global, Memory, Pages};

/// WebAssembly's page size in bytes. No operating system has larger pages.
pub(crate) const PAGE: u64 = 1 << 16;

/// A memory of an instance. It must not be used longer than its store, which owns the memory.
#[derive(Debug)]
pub(crate) struct DirectMemory {
    memory: Memory,
    /// Wasmer's description of the memory: base and length. It stays where it is; growing changes what it says.
    definition: NonNull<VMMemoryDefinition>,
    /// The objects of the store, and which of them the memory is.
    objects: NonNull<StoreObjects>,
    handle: InternalStoreHandle<VMMemory>,
}

// SAFETY: the address is not tied to a thread, and only the thread that has the memory's store uses it.
unsafe impl Send for DirectMemory {}

/// A global of an instance, a mutable 64-bit integer. Like a memory, it must not be used longer than its store.
#[derive(Debug)]
pub(crate) struct DirectGlobal(NonNull<VMGlobalDefinition>);

// SAFETY: as for `DirectMemory`.
unsafe impl Send for DirectGlobal {}

impl DirectMemory {
    /// `memory` has to belong to `store`: Wasmer panics otherwise. `None` does not occur for a memory.
    pub(crate) fn of(store: &mut impl AsStoreMut, memory: Memory) -> Option<Self> {
        let handle = Extern::from(memory.clone()).to_vm_extern();
        let VMExtern::Memory(handle) = handle.unwrap_sys() else { return None };
        let objects = store.objects_mut().as_sys_mut();
        let definition = handle.get(objects).vmmemory();
        Some(Self { memory, definition, objects: NonNull::from(objects), handle })
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    fn definition(&self) -> VMMemoryDefinition {
        // SAFETY: the definition is a part of the instance, or of the memory, and the store keeps both as long as it
        // lives. Nothing changes it meanwhile, as only this thread uses the store.
        unsafe { self.definition.read() }
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.definition().current_length as u64
    }

    /// The address of the memory's first byte. Growing may move it.
    pub(crate) fn base(&self) -> *mut u8 {
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
    pub(crate) fn get(&self, range: Range<u64>) -> Option<&[u8]> {
        let (start, length) = self.checked(&range)?;
        // SAFETY: the range is inside the memory, all of which can be read. No code of the plugin runs meanwhile: its
        // `Guest` is used by the host between calls, and by host functions, which the plugin waits for.
        Some(unsafe { slice::from_raw_parts(start, length) })
    }

    /// Like [`get`](Self::get), writable.
    pub(crate) fn get_mut(&mut self, range: Range<u64>) -> Option<&mut [u8]> {
        let (start, length) = self.checked(&range)?;
        // SAFETY: as for `get`; all of the range can be written, and nothing else in Rust refers to its bytes, as
        // `self` is borrowed exclusively.
        Some(unsafe { slice::from_raw_parts_mut(start, length) })
    }

    /// Grows the memory by `pages`; `None` if its maximum or a limit forbids it.
    pub(crate) fn grow(&mut self, pages: u32) -> Option<()> {
        // SAFETY: the store has its objects in a box, and outlives this value. Nothing else uses them at the moment: the
        // store's owner, or the plugin's code, waits for the host.
        let objects = unsafe { self.objects.as_mut() };
        self.handle.get_mut(objects).grow(Pages(pages)).ok().map(drop)
    }

    /// Copies a range to `offset`; `None` if either place is not inside the memory. The two may overlap.
    pub(crate) fn copy_within(&mut self, from: Range<u64>, offset: u64) -> Option<()> {
        let end = offset.checked_add(from.end.checked_sub(from.start)?)?;
        let (source, length) = self.checked(&from)?;
        let (target, _) = self.checked(&(offset..end))?;
        // SAFETY: both places are inside the memory, all of which can be read and written. Nothing in Rust refers to
        // its bytes, as `self` is borrowed exclusively.
        unsafe { source.copy_to(target, length) };
        Some(())
    }

    /// Zeroes a range, as far as it is inside the memory.
    pub(crate) fn clear(&mut self, range: Range<u64>) {
        // An empty range is left out: on some processors, the library's fill of no bytes takes as long as a call.
        let end = range.end.min(self.size());
        if range.start < end
            && let Some(bytes) = self.get_mut(range.start..end)
        {
            bytes.fill(0);
        }
    }

    /// Like [`clear`](Self::clear), for whole pages: gives them back to the operating system, which supplies zeroed
    /// pages when they are used again.
    pub(crate) fn discard(&mut self, pages: Range<u64>) {
        if !self.drop_pages(&pages) {
            self.clear(pages);
        }
    }

    /// Has the system drop a range of whole pages; `false` if the range is empty or outside, or the system cannot.
    #[cfg(target_os = "linux")]
    fn drop_pages(&mut self, pages: &Range<u64>) -> bool {
        use rustix::mm::{Advice, madvise};
        let Some((start, bytes)) = self.checked(pages).filter(|(_, bytes)| *bytes > 0) else { return false };
        // SAFETY: the range is inside a WebAssembly memory, which Wasmer maps privately and anonymously from a page
        // boundary on, so dropped pages read as zeros. Nothing in Rust refers to its bytes.
        unsafe { madvise(start.cast(), bytes, Advice::LinuxDontNeed) }.is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn drop_pages(&mut self, _: &Range<u64>) -> bool {
        false
    }
}

impl DirectGlobal {
    /// `global` has to belong to `store`: Wasmer panics otherwise. `None` if it is not a mutable 64-bit integer.
    pub(crate) fn of(store: &mut impl AsStoreMut, global: &Global) -> Option<Self> {
        let ty = global.ty(store);
        if ty.ty != wasmer::Type::I64 || !ty.mutability.is_mutable() {
            return None;
        }
        let handle = Extern::from(global.clone()).to_vm_extern();
        let VMExtern::Global(handle) = handle.unwrap_sys() else { return None };
        Some(Self(handle.get(store.objects_mut().as_sys()).vmglobal()))
    }

    pub(crate) fn get(&self) -> u64 {
        // SAFETY: the global is a part of the instance, which lives as long as the store; no code of the plugin runs.
        let definition = unsafe { self.0.as_ref() };
        // SAFETY: the host, the plugin or `set` has written all 64 bits of a global of this type.
        unsafe { definition.val.u64 }
    }

    pub(crate) fn set(&mut self, value: u64) {
        // SAFETY: as for `get`; nothing else in Rust refers to the global.
        let definition = unsafe { self.0.as_mut() };
        definition.val.u64 = value;
    }
}
