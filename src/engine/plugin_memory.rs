//! A memory as plugins have it.
#![expect(unsafe_code, reason = "Wasmer's LinearMemory trait has unsafe methods to forward")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmer::sys::vm::{
    ExpectedValue, LinearMemory, MemoryStyle, ThreadConditions, Trap, VMMemory, VMMemoryDefinition, VMSharedMemory,
    WaiterError,
};
use wasmer::{MemoryError, MemoryType, Pages};

use super::limits::{Budget, Spare};

/// The most pages that a memory has, one less than WebAssembly allows: Wasmer's functions that fill and copy take ranges that end
/// at 4 GiB for ones that are out of bounds, and LLVM's code takes the length of some memories for 32 bits.
pub(super) const MAX_PAGES: Pages = Pages(65_535);

/// A memory that asks the plugin's budget before it grows, stays within [`MAX_PAGES`], and may have its data from the start.
#[derive(Debug)]
pub(super) struct PluginMemory {
    memory: VMMemory,
    budget: Option<Arc<Budget>>,
    /// How many segments of its data it has already. They are the first that are written to it.
    filled: AtomicU64,
    _spare: Option<Spare>,
}

impl PluginMemory {
    /// `memory`, which has the data of so many segments.
    pub(super) fn new(memory: VMMemory, budget: Option<Arc<Budget>>, spare: Option<Spare>, filled: u64) -> Self {
        Self { memory, budget, filled: AtomicU64::new(filled), _spare: spare }
    }
}

impl Drop for PluginMemory {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.memory.size().0);
        }
    }
}

impl LinearMemory for PluginMemory {
    fn ty(&self) -> MemoryType {
        self.memory.ty()
    }

    fn size(&self) -> Pages {
        self.memory.size()
    }

    fn style(&self) -> MemoryStyle {
        self.memory.style()
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let current = self.size();
        if current.0.checked_add(delta.0).is_none_or(|pages| pages > MAX_PAGES.0) {
            return Err(MemoryError::CouldNotGrow { current, attempted_delta: delta });
        }
        let Some(budget) = &self.budget else { return self.memory.grow(delta) };
        budget.take(delta.0)?;
        self.memory.grow(delta).inspect_err(|_| budget.give_back(delta.0))
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.memory.vmmemory()
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    unsafe fn initialize_with_data(&self, start: usize, data: &[u8]) -> Result<(), Trap> {
        // Whether it fits has been found out by who calls.
        if self.filled.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Ok(());
        }
        // SAFETY: the caller promises what this method's contract, the same one, asks for.
        unsafe { self.memory.initialize_with_data(start, data) }
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        self.memory.copy()
    }

    fn as_shared(&self) -> Result<VMSharedMemory, MemoryError> {
        self.memory.as_shared()
    }

    unsafe fn do_wait(
        &mut self,
        dst: u32,
        expected: ExpectedValue,
        timeout: Option<Duration>,
    ) -> Result<u32, WaiterError> {
        // SAFETY: the caller promises what this method's contract, the same one, asks for.
        unsafe { self.memory.do_wait(dst, expected, timeout) }
    }

    fn do_notify(&mut self, dst: u32, count: u32) -> u32 {
        self.memory.do_notify(dst, count)
    }

    fn thread_conditions(&self) -> Option<&ThreadConditions> {
        self.memory.thread_conditions()
    }
}
