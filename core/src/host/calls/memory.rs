//! The imports for blocks, loads and stores, input, output and error.

use super::arguments::{BoundedText, Env, HostResult, bounded_text};
use crate::host::fault::Fault;
use crate::host::guest::GuestError;

pub(crate) fn input_length(env: Env<'_>) -> u64 {
    let input = env.data().io.input();
    input.end - input.start
}

/// 0 if the input is empty.
pub(crate) fn input_offset(env: Env<'_>) -> u64 {
    env.data().io.input().start
}

/// Frees the block that begins at `offset`. Other offsets are ignored, also those of blocks that were freed before.
pub(crate) fn free(mut env: Env<'_>, offset: u64) {
    env.data_mut().io.free(offset);
}

/// `N` bytes at `offset`, if they are inside the memory.
fn load<const N: usize>(env: &Env<'_>, offset: u64) -> Option<[u8; N]> {
    env.data().io.load(offset)
}

/// `N` bytes at `offset` of the input, if they are inside it.
fn load_input<const N: usize>(env: &Env<'_>, offset: u64) -> Option<[u8; N]> {
    let input = env.data().io.input();
    let start = input.start.checked_add(offset)?;
    let end = start.checked_add(N as u64)?;
    if end > input.end {
        return None;
    }
    load(env, start)
}

fn store<const N: usize>(env: &mut Env<'_>, offset: u64, bytes: [u8; N]) -> Result<(), Fault> {
    env.data_mut().io.write(offset, &bytes)
}

fn alloc(env: &mut Env<'_>, length: u64) -> Option<u64> {
    env.data_mut().io.alloc(length)
}

fn set_output(env: &mut Env<'_>, offset: u64, length: u64) -> Option<()> {
    env.data_mut().io.set_output(offset, length)
}

/// The text in the block `handle`, which the plugin sets as its error.
fn error_text(env: &Env<'_>, handle: u64) -> Option<BoundedText> {
    /// The most bytes of the text that are kept.
    const MOST: u64 = 1 << 20;
    bounded_text(env.data(), handle, MOST)
}

/// The functions of 0.x: an access out of bounds, a bad handle or a lack of memory stops the plugin.
pub(crate) mod v0 {
    use super::{Env, Fault, GuestError, HostResult};

    pub(crate) fn alloc(mut env: Env<'_>, length: u64) -> HostResult<u64> {
        Ok(super::alloc(&mut env, length).ok_or(Fault::OutOfMemory(length))?)
    }

    pub(crate) fn length(env: Env<'_>, offset: u64) -> HostResult<u64> {
        if offset == 0 {
            return Ok(0);
        }
        Ok(env.data().io.length(offset).ok_or(Fault::UnknownLength(offset))?)
    }

    pub(crate) fn load_u8(env: Env<'_>, offset: u64) -> HostResult<u32> {
        let [byte] = super::load(&env, offset).ok_or(Fault::OutOfBounds)?;
        Ok(u32::from(byte))
    }

    pub(crate) fn load_u64(env: Env<'_>, offset: u64) -> HostResult<u64> {
        Ok(super::load(&env, offset).map(u64::from_le_bytes).ok_or(Fault::OutOfBounds)?)
    }

    pub(crate) fn store_u8(mut env: Env<'_>, offset: u64, value: u32) -> HostResult<()> {
        Ok(super::store(&mut env, offset, [value as u8])?)
    }

    pub(crate) fn store_u64(mut env: Env<'_>, offset: u64, value: u64) -> HostResult<()> {
        Ok(super::store(&mut env, offset, value.to_le_bytes())?)
    }

    pub(crate) fn input_load_u8(env: Env<'_>, offset: u64) -> HostResult<u32> {
        let [byte] = super::load_input(&env, offset).ok_or(Fault::OutOfBounds)?;
        Ok(u32::from(byte))
    }

    pub(crate) fn input_load_u64(env: Env<'_>, offset: u64) -> HostResult<u64> {
        Ok(super::load_input(&env, offset).map(u64::from_le_bytes).ok_or(Fault::OutOfBounds)?)
    }

    pub(crate) fn output_set(mut env: Env<'_>, offset: u64, length: u64) -> HostResult<()> {
        Ok(super::set_output(&mut env, offset, length).ok_or(Fault::OutOfBounds)?)
    }

    pub(crate) fn error_set(mut env: Env<'_>, handle: u64) -> HostResult<()> {
        if handle == 0 {
            env.data_mut().error = None;
            return Ok(());
        }
        let text = super::error_text(&env, handle).ok_or(Fault::InvalidOffset(handle))?;
        if let Some(at) = text.invalid_from() {
            return Err(Fault::InvalidUtf8(at).into());
        }
        env.data_mut().error = Some(GuestError { handle, text: text.show() });
        Ok(())
    }
}

/// The functions of 1.x: loads out of bounds return 0, stores out of bounds do nothing.
pub(crate) mod v1 {
    use super::{Env, GuestError, HostResult};

    pub(crate) fn alloc(mut env: Env<'_>, length: u64) -> u64 {
        if length == 0 {
            return 0;
        }
        super::alloc(&mut env, length).unwrap_or(0)
    }

    pub(crate) fn length(env: Env<'_>, offset: u64) -> u64 {
        env.data().io.length(offset).unwrap_or(0)
    }

    pub(crate) fn load_u8(env: Env<'_>, offset: u64) -> u32 {
        super::load(&env, offset).map_or(0, |[byte]| u32::from(byte))
    }

    pub(crate) fn load_u64(env: Env<'_>, offset: u64) -> u64 {
        super::load(&env, offset).map_or(0, u64::from_le_bytes)
    }

    pub(crate) fn store_u8(mut env: Env<'_>, offset: u64, value: u32) {
        // Out of bounds is ignored.
        let _ = super::store(&mut env, offset, [value as u8]);
    }

    pub(crate) fn store_u64(mut env: Env<'_>, offset: u64, value: u64) {
        // Out of bounds is ignored.
        let _ = super::store(&mut env, offset, value.to_le_bytes());
    }

    pub(crate) fn input_load_u8(env: Env<'_>, offset: u64) -> u32 {
        super::load_input(&env, offset).map_or(0, |[byte]| u32::from(byte))
    }

    pub(crate) fn input_load_u64(env: Env<'_>, offset: u64) -> u64 {
        super::load_input(&env, offset).map_or(0, u64::from_le_bytes)
    }

    pub(crate) fn input_set(mut env: Env<'_>, offset: u64, length: u64) {
        // Out of bounds is ignored.
        let _ = env.data_mut().io.set_input(offset, length);
    }

    pub(crate) fn output_set(mut env: Env<'_>, offset: u64, length: u64) {
        // Out of bounds is ignored.
        let _ = super::set_output(&mut env, offset, length);
    }

    pub(crate) fn output_offset(env: Env<'_>) -> u64 {
        env.data().io.output().start
    }

    pub(crate) fn output_length(env: Env<'_>) -> u64 {
        let output = env.data().io.output();
        output.end - output.start
    }

    /// Keeps the handle for `error_get`. The text gets replacement characters where it is not UTF-8.
    pub(crate) fn error_set(mut env: Env<'_>, handle: u64) {
        if handle == 0 {
            env.data_mut().error = None;
        } else if let Some(text) = super::error_text(&env, handle) {
            env.data_mut().error = Some(GuestError { handle, text: text.show() });
        }
    }

    pub(crate) fn error_get(env: Env<'_>) -> u64 {
        env.data().error.as_ref().map_or(0, |error| error.handle)
    }

    pub(crate) fn reset(mut env: Env<'_>) -> HostResult<()> {
        let guest = env.data_mut();
        guest.error = None;
        Ok(guest.io.reset(guest.watch)?)
    }

    pub(crate) fn memory_bytes(env: Env<'_>) -> u64 {
        env.data().io.size()
    }
}
