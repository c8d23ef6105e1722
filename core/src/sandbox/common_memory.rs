//! One memory that several instances share. Each module defines it as its own, so no import shifts its index. Each
//! instance has a copy of its address and length (`VMMemoryDefinition`); growing the memory updates all copies.
#![expect(unsafe_code, reason = "Wasmer's LinearMemory trait has unsafe methods, and each instance has a definition")]

use std::ptr::NonNull;
use std::sync::Arc;

use parking_lot::Mutex;
use wasmer::sys::vm::{LinearMemory, MemoryStyle, Trap, VMMemory, VMMemoryDefinition};
use wasmer::{MemoryError, MemoryType, Pages};

/// The shared memory, and the copies of its address and length in instances.
#[derive(Debug)]
struct Common {
    memory: VMMemory,
    definitions: Vec<NonNull<VMMemoryDefinition>>,
}

// SAFETY: the pointers lead into instances of one store. Only the thread that has the store uses them: when the memory
// grows, and when an instance is made.
unsafe impl Send for Common {}

impl Common {
    /// Copies the memory's address and length into all instances.
    fn tell(&mut self) {
        // SAFETY: the memory's own definition lives as long as the memory; only this thread uses the store.
        let definition = unsafe { self.memory.vmmemory().read() };
        for place in &self.definitions {
            // SAFETY: it points into a complete instance, which lives as long as the store, and so as this memory.
            unsafe { place.write(definition) };
        }
    }
}

/// A handle to the shared memory, for one instance or for the host.
///
/// Making an instance can fail after its handle is made, and `definition` dangles then. It therefore joins the updated
/// copies only when the memory is first grown through this handle, if only by 0 pages (`IoMemory::attach`).
#[derive(Debug)]
pub(crate) struct CommonMemory {
    common: Arc<Mutex<Common>>,
    definition: NonNull<VMMemoryDefinition>,
    /// Whether `definition` is in `Common::definitions`. True for the host's, which is the original.
    is_told: bool,
}

// SAFETY: as for `Common`.
unsafe impl Send for CommonMemory {}
// SAFETY: as for `Common`; methods that take a shared reference lock the mutex, or only copy `definition`.
unsafe impl Sync for CommonMemory {}

impl CommonMemory {
    /// Makes `memory`, a memory of the host's, one that instances can share.
    pub(crate) fn of(memory: VMMemory) -> Self {
        let definition = memory.vmmemory();
        let common = Arc::new(Mutex::new(Common { memory, definitions: Vec::new() }));
        Self { common, definition, is_told: true }
    }

    /// Another handle for the host, or for `tunables.rs`, which keeps it for instances made later.
    pub(crate) fn again(&self) -> Self {
        Self { common: Arc::clone(&self.common), definition: self.definition, is_told: true }
    }

    /// A handle for an instance.
    ///
    /// # Safety
    /// `definition` must be the instance's place for this memory. Once the instance is made, and can grow the memory
    /// through this handle, it must live as long as the store that the memory belongs to.
    pub(crate) unsafe fn for_instance(&self, definition: NonNull<VMMemoryDefinition>) -> Self {
        // SAFETY: the memory's own definition lives as long as the memory; only this thread uses the store.
        let current = unsafe { self.common.lock().memory.vmmemory().read() };
        // SAFETY: the caller promises that it is the instance's place for this memory.
        unsafe { definition.write(current) };
        Self { common: Arc::clone(&self.common), definition, is_told: false }
    }
}

impl LinearMemory for CommonMemory {
    fn ty(&self) -> MemoryType {
        self.common.lock().memory.ty()
    }

    fn size(&self) -> Pages {
        self.common.lock().memory.size()
    }

    fn style(&self) -> MemoryStyle {
        self.common.lock().memory.style()
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let mut common = self.common.lock();
        if !self.is_told {
            common.definitions.push(self.definition);
            self.is_told = true;
        }
        let before = common.memory.grow(delta)?;
        common.tell();
        Ok(before)
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.definition
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    unsafe fn initialize_with_data(&self, start: usize, data: &[u8]) -> Result<(), Trap> {
        // SAFETY: the contract of this method is the same, and the caller promises to keep it.
        unsafe { self.common.lock().memory.initialize_with_data(start, data) }
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        self.common.lock().memory.copy()
    }
}
