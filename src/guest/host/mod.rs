//! The host's side of every import, one file a subject. Inside a file, `v0` and `v1` hold what the two guest ABIs do
//! differently; what they share stands beside them.

pub(super) mod config;
#[cfg_attr(not(feature = "http"), path = "fetch_absent.rs")]
pub(super) mod fetch;
#[cfg(feature = "http")]
mod hosts;
pub(super) mod http;
pub(super) mod log;
pub(super) mod memory;
pub(super) mod vars;

use std::collections::BTreeMap;

use wasmer::{FunctionEnvMut, RuntimeError};

use super::{Fault, Guest, slices};
use crate::interrupt::Watch;

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
fn live_block(guest: &Guest, offset: u64) -> Result<&[u8], Fault> {
    guest.io.block(offset).ok_or(Fault::InvalidOffset(offset))
}

/// The start of the text in the block at `offset`, with a note of how much is left out. What the host keeps of a
/// plugin's words is bounded.
fn bounded_text(guest: &Guest, offset: u64, most: u64) -> Option<BoundedText> {
    let (bytes, left_out) = guest.io.block_start(offset, most)?;
    Some(BoundedText { bytes: bytes.to_vec(), left_out })
}

/// See [`bounded_text`].
struct BoundedText {
    bytes: Vec<u8>,
    left_out: u64,
}

impl BoundedText {
    /// Where the text stops being UTF-8, if it does. A character that was cut does not count.
    fn invalid_from(&self) -> Option<usize> {
        let error = std::str::from_utf8(&self.bytes).err()?;
        (error.error_len().is_some() || self.left_out == 0).then(|| error.valid_up_to())
    }

    /// The text, as well as it can be shown.
    fn show(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.left_out > 0 {
            text.push_str(&format!(" ... {} more bytes", self.left_out));
        }
        text
    }
}

/// Bytes as text; what is not UTF-8 stops the plugin.
fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| Fault::InvalidUtf8(error.valid_up_to()))
}

/// What `map` has under `name`, by the rule that a name is UTF-8. A name longer than a slice is merely compared with those of
/// its length: mostly there is none, and nobody has to read gigabytes to find that out.
fn named<'a, T>(map: &'a BTreeMap<String, T>, name: &[u8], watch: Watch) -> Result<Option<&'a T>, Fault> {
    if name.len() <= slices::SLICE {
        return Ok(map.get(utf8(name)?));
    }
    slices::find(map.iter(), name, watch)
}

/// The bytes behind a handle by the rule of 1.x: 0 is the empty text, what is no live block stops the plugin.
fn handle_bytes<'a>(guest: &'a Guest, handle: u64, what: &'static str) -> Result<&'a [u8], Fault> {
    if handle == 0 {
        return Ok(&[]);
    }
    guest.io.block(handle).ok_or(Fault::InvalidHandle(what))
}
