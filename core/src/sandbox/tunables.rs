//! Makes a plugin's memories and tables within its limits. Wasmer calls such policies tunables.
#![expect(unsafe_code, reason = "Wasmer's Tunables trait has unsafe methods to forward")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use wasmer::sys::vm::{
    InternalStoreHandle, LinearMemory as _, MemoryStyle, StoreObjects, TableStyle, VMMemory, VMMemoryDefinition,
    VMTable, VMTableDefinition,
};
use wasmer::sys::{BaseTunables, Tunables};
use wasmer::{MemoryError, MemoryType, Pages, TableType};
use wasmer_compiler::LinkError;
use wasmer_types::entity::PrimaryMap;
use wasmer_types::{ExportIndex, LocalMemoryIndex, MemoryIndex, ModuleInfo};

use super::address_space::Memories;
use super::common_memory::CommonMemory;
use super::image::{Image, InitialData};
#[cfg(feature = "compiler")]
use super::limits::Tables;
use super::limits::{Budget, Reservations, Spare, TableElements};
use super::moving_memory::{DYNAMIC_GUARD, MovingMemory, Room};
use super::plugin_memory::{MAX_PAGES, PluginMemory};
use crate::module::reserved::IO_MEMORY_EXPORT;

/// The tunables for compilers: the kind of `memories`, and the maximum of memories that move in any case (`moving`).
#[cfg(feature = "compiler")]
pub(crate) fn compile_time(memories: Memories, moving: Option<u32>) -> impl Tunables + Send + Sync {
    PluginTunables {
        base: BaseTunables::new(),
        budget: None,
        memories,
        moving: moving.map(Pages),
        io_room: Room::Moves,
        common: None,
        data: Arc::new([]),
        reservations: Reservations::new(),
        is_refused: Arc::default(),
        table_elements: TableElements::new(u32::MAX, Tables::default()),
    }
}

pub(super) struct PluginTunables {
    pub(super) base: BaseTunables,
    pub(super) budget: Option<Arc<Budget>>,
    pub(super) memories: Memories,
    /// The maximum, in pages, that marks memories of the moving kind whatever `memories` says; only for compilers.
    pub(super) moving: Option<Pages>,
    /// The room of the I/O memory.
    pub(super) io_room: Room,
    /// Of linked modules: the I/O memory, which they share, once the host has made it.
    pub(super) common: Option<Mutex<Option<CommonMemory>>>,
    /// The initial data of each module's memory 0.
    pub(super) data: Arc<[InitialData]>,
    pub(super) reservations: Reservations,
    /// Set if the system refused the address space for a reservation.
    pub(super) is_refused: Arc<AtomicBool>,
    pub(super) table_elements: TableElements,
}

impl PluginTunables {
    /// Makes a memory and counts it, and later its growth; maps its initial data, if there is an image of it.
    fn make(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        image: Option<(&Image, u64)>,
        make: impl FnOnce() -> Result<VMMemory, MemoryError>,
    ) -> Result<VMMemory, MemoryError> {
        if ty.minimum > MAX_PAGES {
            let max = MAX_PAGES.0;
            return Err(MemoryError::Generic(format!("a memory has at most {max} pages, one less than 4 GiB")));
        }
        let budget = self.budget.clone();
        if let Some(budget) = &budget {
            budget.take(ty.minimum.0)?;
        }
        let made = self.reserved(style, make).and_then(|(memory, spare)| match image {
            Some((image, segments)) if fill(&memory, image)? => Ok((memory, spare, segments)),
            _ => Ok((memory, spare, 0)),
        });
        match made {
            Ok((memory, None, 0)) if budget.is_none() && ty.maximum.is_some_and(|max| max <= MAX_PAGES) => Ok(memory),
            Ok((memory, spare, filled)) => Ok(VMMemory(Box::new(PluginMemory::new(memory, budget, spare, filled)))),
            Err(error) => {
                budget.inspect(|budget| budget.give_back(ty.minimum.0));
                Err(error)
            }
        }
    }

    /// A memory that an instance defines, with the data of `image`.
    ///
    /// # Safety
    /// As for [`Tunables::create_vm_memory`]: `definition` must be the instance's place for it.
    unsafe fn own_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        image: Option<(&Image, u64)>,
        definition: NonNull<VMMemoryDefinition>,
        room: Room,
    ) -> Result<VMMemory, MemoryError> {
        self.make(ty, style, image, || match style {
            MemoryStyle::Dynamic { .. } => {
                // SAFETY: the caller promises it; the store keeps both the memory and the instance until it is dropped.
                let memory = unsafe { MovingMemory::for_instance(ty, definition, room) }?;
                Ok(VMMemory(Box::new(memory)))
            }
            // SAFETY: the contract of that method is the same, and the caller promises to keep it.
            MemoryStyle::Static => unsafe { self.base.create_vm_memory(ty, style, definition) },
        })
    }

    /// Counts a memory, then makes it. Returns it with the [`Spare`] that it uses, if any.
    fn reserved(
        &self,
        style: &MemoryStyle,
        make: impl FnOnce() -> Result<VMMemory, MemoryError>,
    ) -> Result<(VMMemory, Option<Spare>), MemoryError> {
        if *style != MemoryStyle::Static {
            self.reservations.take_moving()?;
            return Ok((make()?, None));
        }
        let spare = self.reservations.take()?;
        let memory = make().inspect_err(|_| self.is_refused.store(true, Ordering::Relaxed))?;
        Ok((memory, spare))
    }

    /// The index of the I/O memory in a module that defines it, if it is unlike other memories of the module.
    fn io_memory(&self, module: &ModuleInfo) -> Option<MemoryIndex> {
        if self.common.is_none() && self.io_room == Room::Moves {
            return None;
        }
        match module.exports.get(IO_MEMORY_EXPORT) {
            Some(ExportIndex::Memory(index)) => Some(*index),
            _ => None,
        }
    }

    /// The image for memory 0 of a module, if the module defines that memory, and the number of segments in it.
    fn image_for(&self, module: &ModuleInfo) -> Option<(&Image, u64)> {
        let data = self.data.iter().find(|data| data.is_of(module))?;
        data.image().filter(|_| module.num_imported_memories == 0)
    }
}

/// Maps an image into a new memory; false if the memory is as before.
fn fill(memory: &VMMemory, image: &Image) -> Result<bool, MemoryError> {
    // SAFETY: the definition is that of a memory that was just made, and that nothing else refers to.
    let definition = unsafe { memory.vmmemory().read() };
    image.map(&definition).map_err(|error| MemoryError::Region(format!("its data could not be mapped: {error}")))
}

impl Tunables for PluginTunables {
    /// The kind of a memory. For modules, compilers ask, and the code keeps the answer. At run time, Wasmer asks only
    /// for memories that the host makes.
    fn memory_style(&self, memory: &MemoryType) -> MemoryStyle {
        let is_marked = self.moving.is_some() && memory.maximum == self.moving && memory.minimum == Pages(1);
        if self.memories == Memories::Moving || is_marked {
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
        let io_memory = self.io_memory(module);
        let common = io_memory.and_then(|index| Some((self.common.as_ref()?.lock().as_ref()?.again(), index)));
        let mut memories = PrimaryMap::with_capacity(definitions.len());
        let own = module.memories.iter().skip(module.num_imported_memories);
        for ((index, ty), definition) in own.zip(definitions) {
            let image = image.take();
            let room = if io_memory == Some(index) { self.io_room } else { Room::Moves };
            let memory = match &common {
                Some((common, place)) if *place == index => {
                    // SAFETY: the caller promises that it is the instance's place for this memory. Once the instance is
                    // complete, Wasmer keeps it with the store; before, nobody can grow the memory through this handle.
                    Ok(VMMemory(Box::new(unsafe { common.for_instance(*definition) })))
                }
                // SAFETY: the caller promises that each definition is the instance's place for the memory.
                _ => unsafe { self.own_memory(ty, &styles[index], image, *definition, room) },
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
        let memory = self.make(ty, style, None, || match style {
            // The host makes no other memory than that for input and output.
            MemoryStyle::Dynamic { .. } => Ok(VMMemory(Box::new(MovingMemory::for_host(ty, self.io_room)?))),
            MemoryStyle::Static => self.base.create_host_memory(ty, style),
        })?;
        let Some(common) = &self.common else { return Ok(memory) };
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
        // SAFETY: the contract of this method is the same, and the caller promises to keep it.
        unsafe { self.own_memory(ty, style, None, definition, Room::Moves) }
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.base.create_host_table(&self.table_elements.bounded(ty)?, style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        definition: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        let ty = self.table_elements.bounded(ty)?;
        // SAFETY: the contract of this method is the same, and the caller promises to keep it.
        unsafe { self.base.create_vm_table(&ty, style, definition) }
    }
}
