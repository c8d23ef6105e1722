//! What a plugin may import, and what stands behind it: the two guest ABIs over one I/O memory, configuration,
//! variables, logs, HTTP, WASI.
//!
//! Start with `abi.rs`, the one table of imports. This floor does not know how modules are loaded, compiled or
//! linked; it makes functions for a store that somebody else owns.

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
pub(crate) use rewrite::{Builtins, Error as RewriteError, Wanted, rewrite};
pub(crate) use slices::copy;

/// Which calls of a module become what they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inlining {
    /// All that can, in a module that has the I/O memory for its own.
    Alone,
    /// Those that move bytes, in one of several modules that have the I/O memory in common. Who has set the output last is
    /// known to the host.
    Linked,
}

/// What the host functions of one plugin work on. One lives in each store.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) io: IoMemory,
    /// What the plugin said went wrong, if it did so during this call.
    error: Option<GuestError>,
    /// When what runs now has to be done.
    deadline: Option<Instant>,
    /// Whether it shall be stopped before.
    watch: Watch,
    logs: Arc<Logs>,
    /// Where instructions are counted.
    pub(crate) fuel: Option<Fuel>,
    pub(crate) state: SharedState,
}

/// What a call may use, where it is not as usual.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How much it may log, in bytes.
    pub(crate) max_log_bytes: Option<u64>,
    /// How many instructions it may execute.
    pub(crate) fuel: Option<u64>,
}

/// A plugin's [`State`], which its instances share, one after the other.
pub(crate) type SharedState = Arc<Mutex<State>>;

/// What outlives an instance: a plugin that is instantiated anew keeps it, whatever has become of the old one.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: BTreeMap<String, String>,
    vars: Vars,
    network: Arc<Network>,
    /// The status of the last answer, or 0.
    http_status: u16,
    /// Its headers, with names in lower case.
    http_headers: BTreeMap<String, String>,
}

/// An error text that the plugin set, and the handle it gave.
#[derive(Debug)]
struct GuestError {
    handle: u64,
    text: String,
}

/// Why a host function stops the plugin. The plugin cannot catch it; its caller sees it as the cause of a trap.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// What is said of it is said elsewhere.
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
    /// A guest in `store`. If `own_memory`, its I/O memory will be that of the one module, which has to be
    /// [attached](Self::attach).
    ///
    /// # Errors
    /// The memory does not fit into the plugin's limits or the process's address space.
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

    /// Takes note of `instance`, which is in `store` and may have the I/O memory.
    pub(crate) fn attach(&mut self, store: &mut impl AsStoreMut, instance: &Instance) {
        self.io.attach(store, instance);
    }

    /// Makes ready for a call with `input`, which has until `deadline`: no block, output or error of the previous call is left,
    /// and all of the fuel.
    ///
    /// # Errors
    /// The input does not fit into the memory, or the plugin shall stop: bytes of the previous call may be left then, and the
    /// instance must not serve another.
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

    /// Takes the error text that the plugin has set.
    pub(crate) fn take_error(&mut self) -> Option<String> {
        self.error.take().map(|error| error.text)
    }
}
