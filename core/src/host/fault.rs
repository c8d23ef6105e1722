//! Why host functions stop plugins.

use thiserror::Error;
use wasmer::RuntimeError;

use crate::error::Message;
#[cfg(feature = "http")]
use crate::http;

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
    #[error("a variable's name of {length} bytes, at most {max} are allowed")]
    VarName { length: usize, max: usize },
    #[cfg(not(feature = "http"))]
    #[error("http is not built in (cargo build --features http)")]
    NoHttp,
    #[error("http request: {0}")]
    HttpRequest(Message),
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] http::Error),
}

impl From<Fault> for RuntimeError {
    fn from(fault: Fault) -> Self {
        // `user` takes the backtrace. The plugin's frames are on the stack only inside the host function.
        Self::user(Box::new(fault))
    }
}
