//! The host's side of every import, one file a subject. Inside a file, `v0` and `v1` hold what the two guest ABIs do
//! differently; what they share stands beside them.

pub(super) mod config;
pub(super) mod http;
pub(super) mod log;
pub(super) mod memory;
pub(super) mod vars;

use wasmer::{AsStoreRef, FunctionEnvMut, RuntimeError};

use super::{Fault, Guest};

/// What a host function is called with.
type Env<'a> = FunctionEnvMut<'a, Guest>;

/// What it returns: an error stops the plugin, and knows where the plugin was.
type HostResult<T> = Result<T, RuntimeError>;

impl From<Fault> for RuntimeError {
    fn from(fault: Fault) -> Self {
        // The plugin's frames are still there now; once the fault has left the host function they are not.
        Self::user(Box::new(fault))
    }
}

/// The bytes of the live block at `offset`, by the rule of 0.x: anything else stops the plugin.
fn live_block(guest: &Guest, store: &impl AsStoreRef, offset: u64) -> Result<Vec<u8>, Fault> {
    guest.io.block(store, offset).ok_or(Fault::InvalidOffset(offset))
}

/// Bytes as text; what is not UTF-8 stops the plugin.
fn utf8(bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|error| Fault::InvalidUtf8(error.utf8_error().valid_up_to()))
}

/// The bytes behind a handle by the rule of 1.x: 0 is the empty text, what is no live block stops the plugin.
fn handle_bytes(env: &mut Env<'_>, handle: u64, what: &'static str) -> Result<Vec<u8>, Fault> {
    if handle == 0 {
        return Ok(Vec::new());
    }
    let (guest, store) = env.data_and_store_mut();
    guest.io.block(&store, handle).ok_or(Fault::InvalidHandle(what))
}
