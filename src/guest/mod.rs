//! The host's side of a running plugin: the functions that a plugin may import (two guest ABIs over one I/O memory, and
//! WASI) and their state: configuration, variables, logs, HTTP.
//!
//! Start with `abi.rs`, the one table of imports. This layer does not know how modules are loaded, compiled or linked;
//! it makes functions for a store that its caller owns.

mod abi;
mod blocks;
mod capacity;
mod direct;
mod fuel;
mod host;
mod io_memory;
mod registers;
mod reserved;
#[cfg(feature = "compiler")]
mod rewrite;
mod slices;
mod usage;
#[cfg_attr(not(feature = "wasi"), path = "wasi_absent.rs")]
pub(crate) mod wasi;
mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use thiserror::Error;
use wasmer::{AsStoreMut, FunctionEnv, Instance, MemoryError};

use crate::error::Message;
#[cfg(feature = "http")]
use crate::http;
use crate::interrupt::Watch;
pub(crate) use abi::{HOST_MODULE, import, is_known};
pub(crate) use capacity::Capacity;
pub(crate) use fuel::Fuel;
pub(crate) use host::fetch::Network;
use host::log::Logs;
pub(crate) use host::vars::Vars;
pub(crate) use io_memory::IoMemory;
#[cfg(feature = "compiler")]
pub(crate) use reserved::IO_MEMORY_MAX_PAGES;
pub(crate) use reserved::{
    DATA_SECTION, IO_MEMORY_EXPORT, MEMORY_EXPORT, REWRITE_VERSION, STACK_POINTER_EXPORT, START_EXPORT, is_reserved,
};
#[cfg(feature = "compiler")]
pub(crate) use rewrite::{Builtins, Error as RewriteError, Estimate, Wanted, rewrite};
pub(crate) use slices::copy;

/// The calls of host functions that the rewrite replaces by inline code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inlining {
    /// All that can be inlined: the module is the plugin's only one and owns the I/O memory.
    Alone,
    /// All but those about the output: several modules share the I/O memory, and only the host knows which of them has
    /// set the output last.
    Linked,
}

/// State that the host functions of one plugin work on. Each store has one.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) io: IoMemory,
    /// The error that the plugin has set during this call.
    error: Option<GuestError>,
    /// The current run's deadline, if it has one.
    deadline: Option<Instant>,
    /// Tells host functions whether the plugin shall stop, at its deadline or because it is cancelled.
    watch: Watch,
    logs: Arc<Logs>,
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

/// A plugin's [`State`]. Its instances share it, one after the other.
pub(crate) type SharedState = Arc<Mutex<State>>;

/// State that outlives an instance: the plugin's next instance has the same configuration, variables and HTTP answer.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: BTreeMap<String, String>,
    vars: Vars,
    network: Arc<Network>,
    /// The status of the last HTTP answer, or 0.
    http_status: u16,
    /// The headers of the last HTTP answer, with names in lower case.
    http_headers: BTreeMap<String, String>,
}

/// An error text that the plugin has set, and the handle of the block that it was in.
#[derive(Debug)]
struct GuestError {
    handle: u64,
    text: String,
}

/// Why a host function stops the plugin. The plugin cannot catch a fault; its caller sees it as the cause of a trap.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The plugin has passed its deadline or is cancelled. The caller reports which, so this text is not shown.
    #[error("stopped")]
    Stopped,
    #[error("out of bounds memory access")]
    OutOfBounds,
    #[error("failed to grow memory by {0}")]
    OutOfMemory(u64),
    #[error("the host has no room for {0} more bytes")]
    NoRoom(usize),
    #[error("Invalid memory offset: {0}")]
    InvalidOffset(u64),
    #[error("Unable to find length for offset {0}")]
    UnknownLength(u64),
    #[error("invalid handle offset for {0}")]
    InvalidHandle(&'static str),
    #[error("invalid utf-8 sequence from byte {0} on")]
    InvalidUtf8(usize),
    #[error("Variable store is full: {needed} bytes, above the limit of {max} (memory.max_var_bytes)")]
    VarsFull { needed: u64, max: u64 },
    #[error("Vars are disabled by this host (memory.max_var_bytes is 0)")]
    VarsDisabled,
    #[error("a variable's name of {0} bytes, at most {max} are allowed", max = host::vars::MAX_NAME)]
    VarName(usize),
    #[cfg(not(feature = "http"))]
    #[error("http is not built in (cargo build --features http)")]
    NoHttp,
    #[error("http request: {0}")]
    HttpRequest(Message),
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] http::Error),
}

impl State {
    pub(crate) fn new(config: BTreeMap<String, String>, vars: Vars, network: Network) -> SharedState {
        let (network, http_headers) = (Arc::new(network), BTreeMap::new());
        Arc::new(Mutex::new(Self { config, vars, network, http_status: 0, http_headers }))
    }
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
        deadline: Option<Instant>,
        watch: Watch,
        bounds: Bounds,
        state: SharedState,
    ) -> Result<FunctionEnv<Self>, MemoryError> {
        let mut io = IoMemory::new(capacity);
        if !own_memory {
            io.make(store)?;
        }
        let logs = Arc::new(Logs::new(bounds.max_log_bytes));
        let fuel = bounds.fuel.map(|limit| Fuel::new(store, limit));
        Ok(FunctionEnv::new(store, Self { io, error: None, deadline, watch, logs, fuel, state }))
    }

    /// Registers `instance`, which is in `store` and may own the I/O memory or have inlined code.
    pub(crate) fn attach(&mut self, store: &mut impl AsStoreMut, instance: &Instance) {
        self.io.attach(store, instance);
    }

    /// Prepares a call with `input` that has to end by `deadline`: clears the previous call's blocks, output and error,
    /// and refills the fuel.
    ///
    /// # Errors
    /// The input does not fit into the memory, or the plugin shall stop. Bytes of the previous call may be left then,
    /// so the instance must not serve another call.
    pub(crate) fn begin(
        &mut self,
        store: &mut impl AsStoreMut,
        input: &[u8],
        deadline: Option<Instant>,
    ) -> Result<(), Fault> {
        self.error = None;
        self.deadline = deadline;
        self.logs.begin();
        if let Some(fuel) = &self.fuel {
            fuel.fill(store);
        }
        self.io.begin(store, input, self.watch)
    }

    /// Takes the text of the error that the plugin has set.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.error.take().map(|error| error.text)
    }
}
