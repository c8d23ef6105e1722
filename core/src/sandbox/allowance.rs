//! Limits what instances take beside their memories and table elements: Wasmer keeps addresses for each function, and a
//! context (`vmctx`) with a place for each import, global and table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmer::sys::vm::VMOffsets;
use wasmer::{AsStoreMut, Extern, Instance, InstantiationError, LinkError, Module};
use wasmer_types::ModuleInfo;

use super::limits::{Budget, check_allocation};

/// The limits that the instances in one Wasmer store have in common.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) budget: Option<Arc<Budget>>,
    pub(crate) is_refused: Arc<AtomicBool>,
}

impl Allowance {
    /// Whether the system refused the address space for a memory of the store.
    pub(crate) fn is_reservation_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Makes an instance of `module`. The first instance is not counted: it is no larger than the module, whose size is
    /// bounded. Later ones count as memory, one page of `memory.max_pages` for each 64 KiB, and never give pages back:
    /// an instance lives as long as its store.
    ///
    /// # Errors
    /// The plugin's limit or the process's memory does not allow the instance, or Wasmer refuses it.
    pub(crate) fn instantiate(
        &self,
        store: &mut impl AsStoreMut,
        module: &Module,
        externs: &[Extern],
        is_first: bool,
    ) -> Result<Instance, Box<InstantiationError>> {
        let size = size(module.info());
        self.take(size, is_first).map_err(|reason| InstantiationError::Link(LinkError::Resource(reason)))?;
        Ok(Instance::new_by_index(store, module, externs)?)
    }

    fn take(&self, size: u64, is_first: bool) -> Result<(), String> {
        const PAGE: u64 = 64 << 10;
        let pages = u32::try_from(size / PAGE).unwrap_or(u32::MAX);
        if pages == 0 {
            return Ok(());
        }
        if let Some(budget) = self.budget.as_ref().filter(|_| !is_first) {
            let refused = |error| format!("its functions and tables take {size} bytes beside its memory: {error}");
            budget.take(pages).map_err(refused)?;
        }
        check_allocation(size).map_err(|error| format!("no room for an instance of {size} bytes: {error}"))
    }
}

/// Upper estimate of the bytes that an instance of a module takes.
fn size(module: &ModuleInfo) -> u64 {
    /// Bytes for a function: the `VMCallerCheckedAnyfunc` that it is called through, and two addresses.
    const FUNCTION: u64 = 32 + 2 * 8;
    /// Bytes for an export: its entries in two tables and in the store, without its name.
    const EXPORT: u64 = 256;
    /// Bytes for a global in the store.
    const GLOBAL: u64 = 80;
    let sum = |lengths: &mut dyn Iterator<Item = usize>| lengths.map(|length| length as u64).sum::<u64>();
    let context = u64::from(VMOffsets::new(size_of::<usize>() as u8, module).size_of_vmctx());
    let names = sum(&mut module.exports.keys().map(String::len));
    // References to functions in passive segments, from which `table.init` copies.
    let elements = sum(&mut module.passive_elements.values().map(|elements| elements.len()));
    context
        + FUNCTION * module.functions.len() as u64
        + EXPORT * module.exports.len() as u64
        + GLOBAL * module.globals.len() as u64
        + names
        + 8 * elements
}
