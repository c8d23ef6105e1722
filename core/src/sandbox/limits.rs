//! Limits of one plugin, over all its modules together: the pages of its memories, the address space that they reserve,
//! the elements of its tables, and what instances take beside these: Wasmer keeps addresses for each function, and a
//! context (`vmctx`) with a place for each import, global and table.

use std::fmt::Display;
use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use wasmer::sys::vm::VMOffsets;
use wasmer::{AsStoreMut, Extern, Instance, InstantiationError, LinkError, MemoryError, Module, TableType};
use wasmer_types::ModuleInfo;

/// The limits that a manifest can set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Pages of 64 KiB in all memories together; `None` for no limit.
    pub(crate) max_pages: Option<u32>,
    /// Elements in all tables together. An element takes 8 bytes.
    pub(crate) max_table_elements: u32,
    /// The I/O memory stays where it is when it grows: functions of the host program keep addresses in it.
    pub(crate) io_memory_stays: bool,
}

impl Limits {
    /// The default of [`max_table_elements`](Self::max_table_elements).
    pub(crate) const TABLE_ELEMENTS: u32 = 10_000_000;
}

/// The text of `error`, without the words that Wasmer puts before what [`Budget`] and others here say.
pub(crate) fn without_prefix(error: &impl Display) -> String {
    error.to_string().replace("A user-defined error occurred: ", "")
}

/// The pages that a plugin's memories have, and the most that they may have.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    max_pages: u32,
}

impl Budget {
    pub(crate) fn new(max_pages: u32) -> Self {
        Self { used: AtomicU64::new(0), max_pages }
    }

    /// Counts `pages` more, or fails with an error that names the limit.
    pub(crate) fn take(&self, pages: u32) -> Result<(), MemoryError> {
        let max = u64::from(self.max_pages);
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(u64::from(pages)).filter(|total| *total <= max)
            })
            .map(drop)
            .map_err(|used| {
                let wanted = used.saturating_add(u64::from(pages));
                MemoryError::Generic(format!(
                    "its memories, that for input and output included, would have {wanted} pages of 64 KiB, more than \
                     memory.max_pages, which is {max}"
                ))
            })
    }

    pub(crate) fn give_back(&self, pages: u32) {
        self.used.fetch_sub(u64::from(pages), Ordering::Relaxed);
    }
}

/// The mappings that a plugin may still make for its memories.
#[derive(Debug)]
pub(crate) struct Reservations {
    /// The number of further reservations that the plugin may have.
    left: AtomicU32,
    /// The number of further memories of the moving kind that the plugin may have.
    moving_left: AtomicU32,
}

impl Reservations {
    /// The reservations that each plugin may have for itself. Each takes 8 GiB of address space, and a process has room
    /// for some 16,000. Further ones are [`Spare`].
    const OWN: u32 = 8;

    /// The number of spare reservations that a plugin may have: one for each instance of a command library.
    const SPARE: u32 = 256;

    /// The most moving memories of a plugin. Each takes two of the mappings that the system counts, of which a
    /// process has 65,530 by default.
    const MOVING: u32 = 1024;

    pub(crate) fn new() -> Self {
        let [left, moving_left] = [Self::OWN + Self::SPARE, Self::MOVING].map(AtomicU32::new);
        Self { left, moving_left }
    }

    /// Counts a new moving memory.
    pub(crate) fn take_moving(&self) -> Result<(), MemoryError> {
        let most = Self::MOVING;
        take_one(&self.moving_left)
            .map(drop)
            .ok_or_else(|| MemoryError::Region(format!("a plugin has at most {most} memories")))
    }

    /// Counts a new reservation; returns its [`Spare`] if it is beyond the plugin's own.
    pub(crate) fn take(&self) -> Result<Option<Spare>, MemoryError> {
        let left = take_one(&self.left).ok_or_else(|| {
            let most = Self::OWN + Self::SPARE;
            MemoryError::Region(format!("each takes 8 GiB of address space, and a plugin has at most {most}"))
        })?;
        if left > Self::SPARE { Ok(None) } else { Spare::take().map(Some) }
    }
}

/// A reservation beyond the plugin's own, from a pool that all plugins share. The bound keeps a plugin with many empty
/// memories from using up the process's address space.
#[derive(Debug)]
pub(crate) struct Spare(());

static SPARE_LEFT: AtomicU32 = AtomicU32::new(4096);

impl Spare {
    fn take() -> Result<Self, MemoryError> {
        take_one(&SPARE_LEFT).map(|_| Self(())).ok_or_else(|| {
            let own = Reservations::OWN;
            MemoryError::Region(format!(
                "each takes 8 GiB of address space, and beyond {own} of a plugin there is no more for any plugin"
            ))
        })
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        SPARE_LEFT.fetch_add(1, Ordering::Relaxed);
    }
}

/// Takes one from `left`. Returns the number before, or `None` if it was 0.
fn take_one(left: &AtomicU32) -> Option<u32> {
    left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()
}

/// The tables in all instances that a plugin may make.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tables {
    pub(crate) count: u32,
    /// The initial elements of all instances, with one instance of each module.
    pub(crate) elements: u32,
}

impl Tables {
    /// Adds the tables of `number` instances of `module`. Only the first is sure to be made: only its elements count.
    pub(crate) fn and(self, module: &ModuleInfo, number: u32) -> Self {
        let own = || module.tables.values().skip(module.num_imported_tables);
        let count = u32::try_from(own().count()).unwrap_or(u32::MAX).saturating_mul(number);
        let elements = own().fold(0_u32, |sum, table| sum.saturating_add(table.minimum));
        Self { count: self.count.saturating_add(count), elements: self.elements.saturating_add(elements) }
    }
}

/// In elements. Wasmer refuses a table whose initial size or maximum is larger.
const LARGEST_TABLE: u32 = 128 << 20;

/// The elements that a plugin's tables may still take. None are given back: a table lives as long as its store.
#[derive(Debug)]
pub(crate) struct TableElements {
    max: u32,
    /// The elements that each table may grow by, unless it declares less. Wasmer bounds only tables that declare it.
    share: u32,
    left: AtomicU32,
}

impl TableElements {
    /// At most `max` elements in all of `tables` together.
    pub(crate) fn new(max: u32, tables: Tables) -> Self {
        let share = max.saturating_sub(tables.elements) / tables.count.max(1);
        Self { max, share, left: AtomicU32::new(max) }
    }

    /// `ty` with a maximum that all tables can reach together, which is subtracted from what is left. Fails if the
    /// limit or the process's memory does not allow the initial elements: Wasmer would end the process.
    pub(crate) fn bounded(&self, ty: &TableType) -> Result<TableType, String> {
        let mut bounded = *ty;
        let taken = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            let share = ty.minimum.saturating_add(self.share);
            // The rewrite has raised the declared maximum by one (`add_tables`).
            let declared = ty.maximum.map_or(u32::MAX, |maximum| maximum.saturating_sub(1));
            let most = declared.min(share).min(left).min(LARGEST_TABLE).max(ty.minimum);
            bounded.maximum = Some(most);
            left.checked_sub(most)
        });
        if taken.is_err() {
            let max = self.max;
            return Err(format!("tables of more than {max} elements together (memory.max_table_elements)"));
        }
        match check_allocation(u64::from(ty.minimum) * size_of::<usize>() as u64) {
            Ok(()) => Ok(bounded),
            Err(error) => Err(format!("no room for a table of {} elements: {error}", ty.minimum)),
        }
    }
}

/// Checks that a table of `size` elements can grow by `delta`. Wasmer keeps it in a `Vec`, which on growth allocates up
/// to twice its new size before it frees the old block; if that fails, the process ends.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn check_table_growth(size: u32, delta: u32) -> Result<(), String> {
    /// In bytes. Smaller allocations are not checked, so that small tables grow cheaply: a process without this much
    /// has no memory for anything.
    const SMALL: u64 = 1 << 16;
    // The `Vec` allocates the larger of its new size and twice its capacity, and grows if the capacity is less than the
    // new size.
    let elements = 2 * (u64::from(size) + u64::from(delta));
    match elements * size_of::<usize>() as u64 {
        bytes if bytes <= SMALL => Ok(()),
        bytes => check_allocation(bytes),
    }
}

/// Checks that so many bytes can be allocated at once. If they cannot, Wasmer's own allocation would end the process.
pub(crate) fn check_allocation(bytes: u64) -> Result<(), String> {
    let mut block: Vec<u8> = Vec::new();
    let bytes = usize::try_from(bytes).map_err(|error| error.to_string())?;
    block.try_reserve_exact(bytes).map_err(|error| error.to_string())?;
    // Keeps the compiler from removing an allocation that nothing uses.
    hint::black_box(&block);
    Ok(())
}

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
