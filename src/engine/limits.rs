//! What a plugin may take: the pages of its memories and the elements of its tables, counted together.
#![expect(unsafe_code, reason = "Wasmer's Tunables and LinearMemory traits have unsafe methods to forward")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wasmer::sys::vm::{
    ExpectedValue, InternalStoreHandle, LinearMemory, MemoryStyle, StoreObjects, TableStyle, ThreadConditions, Trap,
    VMMemory, VMMemoryDefinition, VMSharedMemory, VMTable, VMTableDefinition, WaiterError,
};
use wasmer::sys::{BaseTunables, NativeEngineExt, Tunables};
use wasmer::{MemoryError, MemoryType, Pages, Store, TableType};
use wasmer_compiler::LinkError;
use wasmer_types::entity::PrimaryMap;
use wasmer_types::{ExportIndex, LocalMemoryIndex, MemoryIndex, ModuleInfo};

use super::CompiledPlugin;
use super::common::CommonMemory;
use super::image::{Data, Image};

/// What one plugin may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Pages of 64 KiB, in all memories together, if that is bounded.
    pub(crate) max_pages: Option<u32>,
    /// Elements, in all tables together. An element takes up 8 bytes.
    pub(crate) max_table_elements: u32,
}

/// How many of a plugin's memories may be reservations, of 8 GiB of address space each, of which a process can have some 16,000;
/// others are [`Spare`].
const RESERVATIONS: u32 = 8;

/// How many of those a plugin may have: as many as a command library has instances.
const MAX_SPARE: u32 = 256;

/// One of the reservations that all plugins together may have beyond those: with many empty memories, a plugin could take up the
/// address space of all.
#[derive(Debug)]
struct Spare;

static SPARE_LEFT: AtomicU32 = AtomicU32::new(4096);

impl Spare {
    fn take() -> Result<Self, MemoryError> {
        let taken = SPARE_LEFT.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map(|_| Self).map_err(|_| {
            MemoryError::Region(format!(
                "each takes 8 GiB of address space, and beyond {RESERVATIONS} of a plugin there is no more for any plugin"
            ))
        })
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        SPARE_LEFT.fetch_add(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// [`max_table_elements`](Self::max_table_elements) where nobody says another number.
    pub(crate) const TABLE_ELEMENTS: u32 = 10_000_000;
}

/// How many pages a plugin's memories have, and how many they may have.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    max_pages: u32,
}

impl Budget {
    /// Takes `pages`, or says how many there may be.
    fn take(&self, pages: u32) -> Result<(), MemoryError> {
        let max = u64::from(self.max_pages);
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(u64::from(pages)).filter(|total| *total <= max)
            })
            .map(drop)
            .map_err(|used| {
                MemoryError::Generic(format!("{pages} more pages than {used} exceed memory.max_pages, which is {max}"))
            })
    }

    fn give_back(&self, pages: u32) {
        self.used.fetch_sub(u64::from(pages), Ordering::Relaxed);
    }
}

/// The tables that an instance of a plugin may come to have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tables {
    pub(crate) count: u32,
    /// What all of them have in the beginning.
    pub(crate) elements: u32,
}

impl Tables {
    /// These, and those of `number` instances of another `module`, all but one of which may never be made.
    pub(crate) fn and(self, module: &ModuleInfo, number: u32) -> Self {
        let own = || module.tables.values().skip(module.num_imported_tables);
        let count = u32::try_from(own().count()).unwrap_or(u32::MAX).saturating_mul(number);
        let elements = own().fold(0_u32, |sum, table| sum.saturating_add(table.minimum));
        Self { count: self.count.saturating_add(count), elements: self.elements.saturating_add(elements) }
    }
}

/// A store for one instance of `plugin`, whose memories and tables stay within `limits`, and which may come to have these
/// `tables`.
///
/// The memory that the host makes in it is not a reservation of 8 GiB but a block that moves when it grows, unless a
/// module imports it and its code expects that it stays.
pub(crate) fn store(plugin: &CompiledPlugin, limits: Limits, imports_memory: bool, tables: Tables) -> Store {
    let tunables = PluginTunables {
        base: BaseTunables::new(),
        budget: limits.max_pages.map(|max_pages| Arc::new(Budget { used: AtomicU64::new(0), max_pages })),
        memories_move: plugin.memories_move || !imports_memory,
        moving: None,
        common: (plugin.modules.len() > 1).then(|| (plugin.common, Mutex::new(None))),
        data: Arc::clone(&plugin.data),
        max_table_elements: limits.max_table_elements,
        table_share: limits.max_table_elements.saturating_sub(tables.elements) / tables.count.max(1),
        reservations_left: AtomicU32::new(RESERVATIONS + MAX_SPARE),
        table_elements_left: AtomicU32::new(limits.max_table_elements),
    };
    let mut engine = plugin.engine.clone();
    engine.set_tunables(tunables);
    Store::new(engine)
}

/// What the compilers are told: whether memories are reservations or blocks that move when they grow, and which maximum
/// those have that move in any case.
#[cfg(feature = "compiler")]
pub(super) fn compile_time(memories_move: bool, moving: Option<u32>) -> impl Tunables + Send + Sync {
    PluginTunables {
        base: BaseTunables::new(),
        budget: None,
        memories_move,
        moving: moving.map(Pages),
        common: None,
        data: Arc::new([]),
        max_table_elements: u32::MAX,
        table_share: u32::MAX,
        reservations_left: AtomicU32::new(0),
        table_elements_left: AtomicU32::new(u32::MAX),
    }
}

/// Bytes behind a memory that moves, so that an access with a small offset needs one check only.
pub(super) const DYNAMIC_GUARD: u64 = 1 << 16;

struct PluginTunables {
    base: BaseTunables,
    budget: Option<Arc<Budget>>,
    memories_move: bool,
    /// The maximum of memories that move in any case.
    moving: Option<Pages>,
    /// What modules that are linked export a memory as that they and the host have in common, and that memory.
    common: Option<(&'static str, Mutex<Option<CommonMemory>>)>,
    /// What the modules' memories begin with.
    data: Arc<[Data]>,
    max_table_elements: u32,
    /// What a table may grow by that does not say. Wasmer bounds a table by its declared maximum only.
    table_share: u32,
    reservations_left: AtomicU32,
    table_elements_left: AtomicU32,
}

impl PluginTunables {
    /// Gives a table a maximum that all tables together can reach, and takes that from what is left. A table is never
    /// given back: it lives as long as its store.
    fn bounded(&self, ty: &TableType) -> Result<TableType, String> {
        let mut bounded = *ty;
        let taken = self.table_elements_left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            let share = ty.minimum.saturating_add(self.table_share);
            let most = ty.maximum.unwrap_or(u32::MAX).min(share).min(left).max(ty.minimum);
            bounded.maximum = Some(most);
            left.checked_sub(most)
        });
        match taken {
            Ok(_) => Ok(bounded),
            Err(_) => {
                let max = self.max_table_elements;
                Err(format!("tables of more than {max} elements together (memory.max_table_elements)"))
            }
        }
    }

    /// Counts a new memory, and its growth from then on; maps what it begins with, if that is in an image.
    fn make(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        image: Option<(&Image, u64)>,
        make: impl FnOnce() -> Result<VMMemory, MemoryError>,
    ) -> Result<VMMemory, MemoryError> {
        let is_reservation = *style == MemoryStyle::Static;
        let mut spare = None;
        if is_reservation {
            let one = |left: u32| left.checked_sub(1);
            let left = self.reservations_left.try_update(Ordering::Relaxed, Ordering::Relaxed, one).map_err(|_| {
                let most = RESERVATIONS + MAX_SPARE;
                MemoryError::Region(format!("each takes 8 GiB of address space, and a plugin has at most {most}"))
            })?;
            if left <= MAX_SPARE {
                spare = Some(Spare::take()?);
            }
        }
        let budget = self.budget.clone();
        if let Some(budget) = &budget {
            budget.take(ty.minimum.0)?;
        }
        let made = make().and_then(|memory| match image {
            Some((image, segments)) if fill(&memory, image)? => Ok((memory, segments)),
            _ => Ok((memory, 0)),
        });
        match made {
            Ok((memory, 0)) if budget.is_none() && spare.is_none() => Ok(memory),
            Ok((memory, filled)) => {
                let filled = AtomicU64::new(filled);
                Ok(VMMemory(Box::new(PluginMemory { memory, budget, filled, _spare: spare })))
            }
            Err(error) => {
                budget.inspect(|budget| budget.give_back(ty.minimum.0));
                Err(error)
            }
        }
    }

    /// The memory that modules have in common, for the module of this description, and where it has it.
    fn common_for(&self, module: &ModuleInfo) -> Option<(CommonMemory, MemoryIndex)> {
        let (name, memory) = self.common.as_ref()?;
        match module.exports.get(*name) {
            Some(ExportIndex::Memory(index)) => Some((memory.lock().as_ref()?.again(), *index)),
            _ => None,
        }
    }

    /// The image for memory 0 of a module, if that is the module's own, and how many segments are in it.
    fn image_for(&self, module: &ModuleInfo) -> Option<(&Image, u64)> {
        let data = self.data.iter().find(|data| data.is_of(module))?;
        data.image().filter(|_| module.num_imported_memories == 0)
    }
}

/// Puts an image into a new memory; false if nothing has changed.
fn fill(memory: &VMMemory, image: &Image) -> Result<bool, MemoryError> {
    // SAFETY: the definition is that of a memory that has just been made, and which nobody else has yet.
    let definition = unsafe { memory.vmmemory().read() };
    image.map(&definition).map_err(|error| MemoryError::Region(format!("its data could not be mapped: {error}")))
}

impl Tunables for PluginTunables {
    /// Modules carry the styles of their own memories from when they were compiled; once they run, this one is asked
    /// for memories of the host only.
    fn memory_style(&self, memory: &MemoryType) -> MemoryStyle {
        let is_marked = self.moving.is_some() && memory.maximum == self.moving && memory.minimum == Pages(1);
        if self.memories_move || is_marked {
            MemoryStyle::Dynamic { offset_guard_size: DYNAMIC_GUARD }
        } else {
            self.base.memory_style(memory)
        }
    }

    unsafe fn create_memories(
        &self,
        context: &mut StoreObjects,
        module: &ModuleInfo,
        styles: &PrimaryMap<MemoryIndex, MemoryStyle>,
        definitions: &[NonNull<VMMemoryDefinition>],
    ) -> Result<PrimaryMap<LocalMemoryIndex, InternalStoreHandle<VMMemory>>, LinkError> {
        let mut image = self.image_for(module);
        let common = self.common_for(module);
        let mut memories = PrimaryMap::with_capacity(definitions.len());
        let own = module.memories.iter().skip(module.num_imported_memories);
        for ((index, ty), definition) in own.zip(definitions) {
            let image = image.take();
            let memory = match &common {
                Some((common, place)) if *place == index => {
                    // SAFETY: the caller promises that it is the instance's place for it, which Wasmer keeps with the store once
                    // the instance has come to be; before, nobody has the memory.
                    Ok(VMMemory(Box::new(unsafe { common.for_instance(*definition) })))
                }
                _ => self.make(ty, &styles[index], image, || {
                    // SAFETY: the caller promises of each definition what the contract of that method asks for.
                    unsafe { self.base.create_vm_memory(ty, &styles[index], *definition) }
                }),
            };
            let memory = memory.map_err(|error| LinkError::Resource(format!("Failed to create memory: {error}")))?;
            memories.push(InternalStoreHandle::new(context, memory));
        }
        Ok(memories)
    }

    fn table_style(&self, table: &TableType) -> TableStyle {
        self.base.table_style(table)
    }

    fn create_host_memory(&self, ty: &MemoryType, style: &MemoryStyle) -> Result<VMMemory, MemoryError> {
        let memory = self.make(ty, style, None, || self.base.create_host_memory(ty, style))?;
        let Some((_, common)) = &self.common else { return Ok(memory) };
        let memory = CommonMemory::of(memory);
        *common.lock() = Some(memory.again());
        Ok(VMMemory(Box::new(memory)))
    }

    unsafe fn create_vm_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        definition: NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        self.make(ty, style, None, || {
            // SAFETY: the caller promises what this method's contract, the same one, asks for.
            unsafe { self.base.create_vm_memory(ty, style, definition) }
        })
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.base.create_host_table(&self.bounded(ty)?, style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        definition: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        let ty = self.bounded(ty)?;
        // SAFETY: the caller promises what this method's contract, the same one, asks for.
        unsafe { self.base.create_vm_table(&ty, style, definition) }
    }
}

/// A memory that asks the plugin's budget before it grows, and that may have its data from the start.
#[derive(Debug)]
struct PluginMemory {
    memory: VMMemory,
    budget: Option<Arc<Budget>>,
    /// How many segments of its data it has already. They are the first that are written to it.
    filled: AtomicU64,
    _spare: Option<Spare>,
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
