//! The imports for log messages.

use log::Level;

use super::arguments::{Env, HostResult, bounded_text};
use crate::host::fault::Fault;
use crate::host::guest::Guest;
use crate::log as sink;

/// The most bytes of a message that are logged; the rest is left out.
const MOST: u64 = 64 << 10;

/// Logs the message in the block `handle`; `None` if there is no such block, even if the level is not logged.
fn log(guest: &Guest, level: Level, handle: u64) -> Option<()> {
    guest.io.length(handle)?;
    if level <= sink::max_level() {
        let text = bounded_text(guest, handle, MOST)?;
        guest.logs.record(level, &text.show());
    }
    Some(())
}

pub(crate) mod v0 {
    use super::{Env, Fault, HostResult, Level};

    fn log(env: Env<'_>, level: Level, handle: u64) -> HostResult<()> {
        Ok(super::log(env.data(), level, handle).ok_or(Fault::InvalidOffset(handle))?)
    }

    pub(crate) fn error(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Error, handle)
    }

    pub(crate) fn warn(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Warn, handle)
    }

    pub(crate) fn info(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Info, handle)
    }

    pub(crate) fn debug(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Debug, handle)
    }
}

pub(crate) mod v1 {
    use super::{Env, Fault, HostResult, Level, sink};

    /// Takes over the block of the handle; 0 is the empty message.
    fn log(mut env: Env<'_>, level: Level, handle: u64) -> HostResult<()> {
        if handle == 0 {
            env.data().logs.record(level, "");
            return Ok(());
        }
        super::log(env.data(), level, handle).ok_or(Fault::InvalidHandle("log message"))?;
        env.data_mut().io.release(handle);
        Ok(())
    }

    pub(crate) fn error(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Error, handle)
    }

    pub(crate) fn warn(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Warn, handle)
    }

    pub(crate) fn info(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Info, handle)
    }

    pub(crate) fn debug(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Debug, handle)
    }

    pub(crate) fn trace(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Trace, handle)
    }

    /// The lowest level that is logged: trace 0, debug 1, info 2, warn 3, error 4; `i32::MAX` if none is.
    pub(crate) fn get_log_level(_env: Env<'_>) -> i32 {
        match sink::max_level().to_level() {
            Some(Level::Trace) => 0,
            Some(Level::Debug) => 1,
            Some(Level::Info) => 2,
            Some(Level::Warn) => 3,
            Some(Level::Error) => 4,
            None => i32::MAX,
        }
    }
}
