//! The linear memory of a plugin: Wasmer's memory or a `MovingMemory`, with the plugin's limits and data from an image.
#![expect(unsafe_code, reason = "Wasmer's LinearMemory trait has unsafe methods to forward")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmer::sys::vm::{LinearMemory, MemoryStyle, Trap, VMMemory, VMMemoryDefinition};
use wasmer::{MemoryError, MemoryType, Pages};

use super::limits::{Budget, Spare};

/// The most pages of a memory, one less than WebAssembly allows: Wasmer's libcalls that fill and copy reject ranges
/// that end at 4 GiB as out of bounds, and LLVM's code reads the length of moving memories as 32 bits.
pub(crate) const MAX_PAGES: Pages = Pages(65_535);

/// A memory that takes its growth from the plugin's budget, stays within [`MAX_PAGES`], and may begin with its data.
#[derive(Debug)]
pub(crate) struct PluginMemory {
    memory: VMMemory,
    budget: Option<Arc<Budget>>,
    /// The number of data segments that the memory contains already, from an image: as many initial writes are skipped.
    filled: AtomicU64,
    _spare: Option<Spare>,
}

impl PluginMemory {
    /// Wraps `memory`, which contains the data of `filled` segments.
    pub(crate) fn new(memory: VMMemory, budget: Option<Arc<Budget>>, spare: Option<Spare>, filled: u64) -> Self {
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

// The methods for memories that threads share stay the trait's: plugins have no threads.
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
        // Wasmer has checked that the segment fits.
        if self.filled.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Ok(());
        }
        // SAFETY: the contract of this method is the same, and the caller promises to keep it.
        unsafe { self.memory.initialize_with_data(start, data) }
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        self.memory.copy()
    }
}
