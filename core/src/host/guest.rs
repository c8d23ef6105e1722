//! The state that the host functions of one plugin's instance work on.

use std::sync::Arc;

use wasmer::{AsStoreMut, FunctionEnv, Instance, MemoryError};

use super::capacity::Capacity;
use super::fault::Fault;
use super::fuel::Fuel;
use super::io_memory::IoMemory;
use super::logs::Logs;
use super::state::SharedState;
use crate::stop::Watch;

/// State that the host functions of one plugin work on. Each store has one.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) io: IoMemory,
    /// The error that the plugin has set during this call.
    pub(super) error: Option<GuestError>,
    /// Tells host functions whether the plugin shall stop, at its deadline or because it is cancelled.
    pub(crate) watch: Watch,
    pub(crate) logs: Arc<Logs>,
    /// The instruction counter; `None` if instructions are not counted.
    pub(crate) fuel: Option<Fuel>,
    pub(crate) state: SharedState,
}

/// Limits of one call. `None` is the default: 16 MiB of log, and instructions that are neither counted nor limited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The number of bytes that a call may log.
    pub(crate) max_log_bytes: Option<u64>,
    /// The number of instructions that a call may execute.
    pub(crate) fuel: Option<u64>,
}

/// An error text that the plugin has set, and the handle of the block that it was in.
#[derive(Debug)]
pub(super) struct GuestError {
    pub(super) handle: u64,
    pub(super) text: String,
}

impl Guest {
    /// Makes a guest in `store`. If `own_memory`, the I/O memory will be that of the plugin's only module, whose
    /// instance has to be [attached](Self::attach).
    ///
    /// # Errors
    /// The memory exceeds the plugin's limits or the process's address space.
    pub(crate) fn new(
        store: &mut impl AsStoreMut,
        capacity: Capacity,
        own_memory: bool,
        watch: Watch,
        bounds: Bounds,
        state: SharedState,
    ) -> Result<FunctionEnv<Self>, MemoryError> {
        let mut io = IoMemory::new(capacity);
        if !own_memory {
            io.make(store)?;
        }
        let logs = Arc::new(Logs::new(bounds.max_log_bytes, state.lock().label.clone()));
        let fuel = bounds.fuel.map(|limit| Fuel::new(store, limit));
        Ok(FunctionEnv::new(store, Self { io, error: None, watch, logs, fuel, state }))
    }

    /// Registers `instance`, which is in `store` and may own the I/O memory or have inlined code.
    pub(crate) fn attach(&mut self, store: &mut impl AsStoreMut, instance: &Instance) {
        self.io.attach(store, instance);
    }

    /// Prepares a call with `input`: clears the previous call's blocks, output and error, and refills the fuel.
    ///
    /// # Errors
    /// The input does not fit into the memory, or the plugin shall stop. Bytes of the previous call may be left then,
    /// so the instance must not serve another call.
    pub(crate) fn begin(&mut self, store: &mut impl AsStoreMut, input: &[u8]) -> Result<(), Fault> {
        self.error = None;
        self.logs.begin();
        if let Some(fuel) = &self.fuel {
            fuel.fill(store);
        }
        self.io.begin(input, self.watch)
    }

    /// Takes the text of the error that the plugin has set.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.error.take().map(|error| error.text)
    }
}
