//! One memory that several instances have, each as its own: to a module's code it is a memory that the module defines, with
//! an index that no import shifts. What says where it is stands in each instance, and is kept the same in all.
#![expect(unsafe_code, reason = "Wasmer's LinearMemory trait has unsafe methods, and each instance has a definition")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wasmer::sys::vm::{
    ExpectedValue, LinearMemory, MemoryStyle, ThreadConditions, Trap, VMMemory, VMMemoryDefinition, VMSharedMemory,
    WaiterError,
};
use wasmer::{MemoryError, MemoryType, Pages};

/// The memory, and all places that say where it is.
#[derive(Debug)]
struct Common {
    memory: VMMemory,
    definitions: Vec<NonNull<VMMemoryDefinition>>,
}

// SAFETY: the places are in instances of one store, and only used by the thread that has the store: when the memory grows,
// and before that when an instance is made.
unsafe impl Send for Common {}

impl Common {
    /// Tells all instances where the memory is.
    fn tell(&mut self) {
        // SAFETY: it is the memory's own, which lives as long as that, and only this thread uses the store.
        let definition = unsafe { self.memory.vmmemory().read() };
        for place in &self.definitions {
            // SAFETY: it is a part of an instance that has come to be, which is there as long as the store, as this memory is.
            unsafe { place.write(definition) };
        }
    }
}

/// The memory as one of its owners has it.
///
/// An instance's place may be gone again before the instance has come to be, if that fails; so it is told of changes only from
/// when the memory is asked, through the instance, to grow, be it by nothing.
#[derive(Debug)]
pub(super) struct CommonMemory {
    common: Arc<Mutex<Common>>,
    definition: NonNull<VMMemoryDefinition>,
    /// Whether the place is told of changes.
    is_told: bool,
}

// SAFETY: as for `Common`.
unsafe impl Send for CommonMemory {}
// SAFETY: as for `Common`; what can be done with a shared reference has the lock.
unsafe impl Sync for CommonMemory {}

impl CommonMemory {
    /// Makes `memory`, which is the host's, one that instances can have too.
    pub(super) fn of(memory: VMMemory) -> Self {
        let definition = memory.vmmemory();
        let common = Arc::new(Mutex::new(Common { memory, definitions: Vec::new() }));
        Self { common, definition, is_told: true }
    }

    /// The same memory, for the host, or whoever keeps it for those to come.
    pub(super) fn again(&self) -> Self {
        Self { common: Arc::clone(&self.common), definition: self.definition, is_told: true }
    }

    /// The same memory, for an instance.
    ///
    /// # Safety
    /// `definition` must be a place in the instance for it. Once the instance has come to be, and its memory can be asked to
    /// grow, it must live as long as the store that the memory belongs to.
    pub(super) unsafe fn for_instance(&self, definition: NonNull<VMMemoryDefinition>) -> Self {
        // SAFETY: it is the memory's own, which lives as long as that, and only this thread uses the store.
        let current = unsafe { self.common.lock().memory.vmmemory().read() };
        // SAFETY: the caller promises that it is a place for it.
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
        // SAFETY: the caller promises what this method's contract, the same one, asks for.
        unsafe { self.common.lock().memory.initialize_with_data(start, data) }
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        self.common.lock().memory.copy()
    }

    fn as_shared(&self) -> Result<VMSharedMemory, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    unsafe fn do_wait(&mut self, _: u32, _: ExpectedValue, _: Option<Duration>) -> Result<u32, WaiterError> {
        Err(WaiterError::Unimplemented)
    }

    fn do_notify(&mut self, _: u32, _: u32) -> u32 {
        0
    }

    fn thread_conditions(&self) -> Option<&ThreadConditions> {
        None
    }
}
