//! Shared by the imports of all subjects: their environment and result, and reading the arguments of a plugin.

use std::collections::BTreeMap;

use wasmer::{FunctionEnvMut, RuntimeError};

use crate::host::fault::Fault;
use crate::host::guest::Guest;
use crate::host::slices;
use crate::stop::Watch;

/// The environment of a host function: the guest and its store.
pub(super) type Env<'a> = FunctionEnvMut<'a, Guest>;

/// The result of a host function. An error stops the plugin and carries the plugin's backtrace.
pub(super) type HostResult<T> = Result<T, RuntimeError>;

/// The bytes of the live block at `offset`. By the rule of 0.x, any other offset stops the plugin.
pub(super) fn live_block(guest: &Guest, offset: u64) -> Result<&[u8], Fault> {
    guest.io.block(offset).ok_or(Fault::InvalidOffset(offset))
}

/// The first `most` bytes of the text in the block at `offset`, and how many are left out: the host keeps a bounded
/// part of a plugin's texts.
pub(super) fn bounded_text(guest: &Guest, offset: u64, most: u64) -> Option<BoundedText> {
    let (bytes, left_out) = guest.io.block_start(offset, most)?;
    Some(BoundedText { bytes: bytes.to_vec(), left_out })
}

/// See [`bounded_text`].
pub(super) struct BoundedText {
    bytes: Vec<u8>,
    left_out: u64,
}

impl BoundedText {
    /// The index of the first byte that is not UTF-8, if there is one. A character that the bound has cut is no error.
    pub(super) fn invalid_from(&self) -> Option<usize> {
        let error = std::str::from_utf8(&self.bytes).err()?;
        (error.error_len().is_some() || self.left_out == 0).then(|| error.valid_up_to())
    }

    /// The text, with replacement characters where it is not UTF-8.
    pub(super) fn show(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.left_out > 0 {
            text.push_str(&format!(" ... {} more bytes", self.left_out));
        }
        text
    }
}

/// `bytes` as text; stops the plugin if they are not UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| Fault::InvalidUtf8(error.valid_up_to()))
}

/// The value in `map` under `name`, which has to be UTF-8. A name longer than a slice is only compared with keys of the
/// same length: usually there are none, so gigabytes need not be read.
pub(super) fn named<'a, T>(map: &'a BTreeMap<String, T>, name: &[u8], watch: Watch) -> Result<Option<&'a T>, Fault> {
    if name.len() <= slices::SLICE {
        return Ok(map.get(utf8(name)?));
    }
    slices::find(map.iter(), name, watch)
}

/// The bytes of the live block `handle`. By the rule of 1.x, 0 is the empty text; other handles stop the plugin.
pub(super) fn handle_bytes<'a>(guest: &'a Guest, handle: u64, what: &'static str) -> Result<&'a [u8], Fault> {
    if handle == 0 {
        return Ok(&[]);
    }
    guest.io.block(handle).ok_or(Fault::InvalidHandle(what))
}
