//! The functions on the program: arguments, environment, clocks, random numbers.

use std::sync::LazyLock;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use wasmer::RuntimeError;

use super::errno::{Errno, Result0};
use super::frame::Frame;
use super::yield_point::{in_pieces, yield_point};

/// Identifiers of clocks.
pub(crate) const REALTIME: u32 = 0;
pub(crate) const MONOTONIC: u32 = 1;

/// The only argument is the program's name.
pub(crate) fn args_sizes_get(frame: Frame<'_>, count: u32, bytes: u32) -> Result0 {
    frame.memory.write_u32(count, 1)?;
    frame.memory.write_length(bytes, frame.program.len() + 1)
}

pub(crate) fn args_get(frame: Frame<'_>, pointers: u32, text: u32) -> Result0 {
    let mut to = Texts { frame: &frame, pointer: pointers, text };
    to.add(&[frame.program.as_bytes()])
}

/// Writes strings to one place in the plugin's memory, and pointers to them to another.
struct Texts<'a> {
    frame: &'a Frame<'a>,
    pointer: u32,
    text: u32,
}

impl Texts<'_> {
    /// Adds the string of all `parts`, with a final NUL.
    fn add(&mut self, parts: &[&[u8]]) -> Result0 {
        self.frame.memory.write_u32(self.pointer, self.text)?;
        for part in parts.iter().copied().chain([b"\0".as_slice()]) {
            self.frame.memory.write(self.text, part)?;
            let length = u32::try_from(part.len()).map_err(|_| Errno::OVERFLOW)?;
            self.text = self.text.checked_add(length).ok_or(Errno::FAULT)?;
        }
        self.pointer = self.pointer.checked_add(4).ok_or(Errno::FAULT)?;
        Ok(())
    }
}

/// Calls `work` with each variable of the environment, in the order of the keys. The environment is the configuration,
/// without entries that cannot be written as `key=value`, or empty.
fn each_variable(frame: &Frame<'_>, mut work: impl FnMut(&[u8], &[u8]) -> Result0) -> Result0 {
    if !frame.config_is_environment {
        return Ok(());
    }
    let plugin = frame.plugin.lock();
    for (key, value) in &plugin.config {
        yield_point(frame.watch)?;
        let (key, value) = (key.as_bytes(), value.as_bytes());
        let spellable =
            !key.is_empty() && !has(frame, key, b'\0')? && !has(frame, key, b'=')? && !has(frame, value, b'\0')?;
        if spellable {
            work(key, value)?;
        }
    }
    Ok(())
}

/// True if `text`, which may be long, contains `byte`.
fn has(frame: &Frame<'_>, text: &[u8], byte: u8) -> Result<bool, Errno> {
    let mut found = false;
    in_pieces(frame.watch, text, |piece| {
        found |= piece.contains(&byte);
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn environ_sizes_get(frame: Frame<'_>, count: u32, bytes: u32) -> Result0 {
    let (mut variables, mut total) = (0, 0);
    each_variable(&frame, |key, value| {
        variables += 1;
        total += key.len() + value.len() + 2;
        Ok(())
    })?;
    frame.memory.write_length(count, variables)?;
    frame.memory.write_length(bytes, total)
}

pub(crate) fn environ_get(frame: Frame<'_>, pointers: u32, text: u32) -> Result0 {
    let mut to = Texts { frame: &frame, pointer: pointers, text };
    each_variable(&frame, |key, value| to.add(&[key, b"=", value]))
}

/// The current time of one of the two clocks, in nanoseconds.
pub(crate) fn now(clock: u32) -> Result<u64, Errno> {
    // The origin of the monotonic clock, which may be any moment.
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let elapsed = match clock {
        REALTIME => SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| Errno::OVERFLOW)?,
        MONOTONIC => START.elapsed(),
        _ => return Err(Errno::INVAL),
    };
    u64::try_from(elapsed.as_nanos()).map_err(|_| Errno::OVERFLOW)
}

pub(crate) fn clock_res_get(frame: Frame<'_>, clock: u32, to: u32) -> Result0 {
    now(clock)?;
    frame.memory.write_u64(to, 1)
}

pub(crate) fn clock_time_get(frame: Frame<'_>, clock: u32, _precision: u64, to: u32) -> Result0 {
    frame.memory.write_u64(to, now(clock)?)
}

pub(crate) fn random_get(frame: Frame<'_>, to: u32, length: u32) -> Result0 {
    frame.memory.range(to, length)?;
    let mut chunk = [0; 4096];
    let mut done = 0;
    while done < length {
        yield_point(frame.watch)?;
        let now = &mut chunk[..(length - done).min(4096) as usize];
        getrandom::fill(now).map_err(|_| Errno::IO)?;
        frame.memory.write(to.checked_add(done).ok_or(Errno::FAULT)?, now)?;
        done += now.len() as u32;
    }
    Ok(())
}

pub(crate) fn sched_yield(_: Frame<'_>) -> Result0 {
    thread::yield_now();
    Ok(())
}

pub(crate) fn proc_raise(_: Frame<'_>) -> Result0 {
    Err(Errno::NOTSUP)
}

/// The exit status with which a plugin ends its call, like a trap.
#[derive(Debug, Error)]
#[error("Exited with i32 exit status {0}")]
pub(super) struct Exit(i32);

pub(super) fn proc_exit(status: i32) -> Result<(), Exit> {
    Err(Exit(status))
}

/// The plugin's exit status, if `proc_exit` has stopped it.
pub(crate) fn exit_code(error: &RuntimeError) -> Option<i32> {
    error.downcast_ref::<Exit>().map(|exit| exit.0)
}
