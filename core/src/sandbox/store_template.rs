//! Makes the Wasmer stores for the instances of one plugin.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
#[cfg(target_os = "linux")]
use wasmer::sys::vm::init_traps;
use wasmer::sys::{BaseTunables, NativeEngineExt};
use wasmer::{AsStoreRef, Engine, Instance, Module, Pages, Store};

use super::address_space::{self, Memories};
use super::image::InitialData;
use super::limits::{Allowance, Budget, Limits, Reservations, TableElements, Tables};
use super::moving_memory::Room;
use super::tunables::PluginTunables;
#[cfg(target_os = "linux")]
use crate::stop;

/// The parts that the stores of all instances of a plugin have in common.
#[derive(Debug)]
pub(crate) struct StoreTemplate {
    /// Has no compiler; owns the code.
    engine: Engine,
    /// The kind of memory that the code was compiled for.
    memories: Memories,
    /// Whether modules are linked with each other, and so share the I/O memory.
    is_linked: bool,
    /// The initial data of each module's memory 0.
    data: Arc<[InitialData]>,
}

impl StoreTemplate {
    /// For `modules`, whose code is in `engine`.
    pub(crate) fn new(engine: Engine, memories: Memories, modules: &[Module]) -> Self {
        let data = modules.iter().map(InitialData::of).collect();
        Self { engine, memories, is_linked: modules.len() > 1, data }
    }

    /// The kind of memory that the code was compiled for.
    pub(crate) fn memories(&self) -> Memories {
        self.memories
    }

    /// The memory that the images of the modules' data may take, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.data.iter().map(InitialData::size).sum()
    }

    /// A store for one instance, whose memories and tables stay within `limits`; `tables` are those that the modules
    /// may make. The [`Allowance`] limits what else the instances take.
    ///
    /// The I/O memory, if the host makes it, is of the moving kind, which needs no 8 GiB of address space. If a module
    /// imports it, it is of the kind that the module was compiled for.
    pub(crate) fn store(&self, limits: Limits, imports_io_memory: bool, tables: Tables) -> (Store, Allowance) {
        let budget = limits.max_pages.map(|max_pages| Arc::new(Budget::new(max_pages)));
        let is_refused = Arc::<AtomicBool>::default();
        let allowance = Allowance { budget: budget.clone(), is_refused: Arc::clone(&is_refused) };
        let tunables = PluginTunables {
            base: BaseTunables::new(),
            budget,
            memories: if imports_io_memory { self.memories } else { Memories::Moving },
            moving: None,
            io_room: if limits.io_memory_stays { io_room(limits.max_pages) } else { Room::Moves },
            common: self.is_linked.then(|| Mutex::new(None)),
            data: Arc::clone(&self.data),
            reservations: Reservations::new(),
            is_refused,
            table_elements: TableElements::new(limits.max_table_elements, tables),
        };
        let mut engine = self.engine.clone();
        engine.set_tunables(tunables);
        // Before the first store, since that installs Wasmer's signal handlers.
        #[cfg(target_os = "linux")]
        stop::cover_faults(init_traps);
        (Store::new(engine), allowance)
    }

    /// Takes note of what memory 0 of `instance`, an instance of `module` in which nothing has run yet, has in it:
    /// later instances map it instead of copying it. `export` is the memory's name.
    pub(crate) fn note_data(&self, store: &impl AsStoreRef, module: &Module, instance: &Instance, export: &str) {
        if let Some(data) = self.data.iter().find(|data| data.is_of(module.info())) {
            data.keep(store, instance, export);
        }
    }
}

/// The room of an I/O memory that stays where it is: what `max_pages` allows. Under a limit on the process's address
/// space it is at most a sixteenth of what is left of that, so that there is room for others, and for the process.
fn io_room(max_pages: Option<u32>) -> Room {
    const SHARE: u64 = 16;
    const PAGE: u64 = 1 << 16;
    let most = address_space::left().map_or(u32::MAX, |left| u32::try_from(left / SHARE / PAGE).unwrap_or(u32::MAX));
    Room::Stays { pages: Pages(max_pages.unwrap_or(u32::MAX).min(most)) }
}
