//! Log lines of plugins.

use log::Level;

use super::{Env, HostResult, handle_bytes, live_block};
use crate::log as sink;

/// Under which target plugins' lines are logged.
const TARGET: &str = "extism::plugin";

fn line(level: Level, text: &[u8]) {
    sink::record(level, TARGET, format_args!("{}", String::from_utf8_lossy(text)));
}

pub(in crate::guest) mod v0 {
    use super::{Env, HostResult, Level, line, live_block};

    fn log(mut env: Env<'_>, level: Level, handle: u64) -> HostResult<()> {
        let (guest, store) = env.data_and_store_mut();
        let text = live_block(guest, &store, handle)?;
        line(level, &text);
        Ok(())
    }

    pub(in crate::guest) fn error(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Error, handle)
    }

    pub(in crate::guest) fn warn(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Warn, handle)
    }

    pub(in crate::guest) fn info(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Info, handle)
    }

    pub(in crate::guest) fn debug(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Debug, handle)
    }
}

pub(in crate::guest) mod v1 {
    use super::{Env, HostResult, Level, handle_bytes, line, sink};

    fn log(mut env: Env<'_>, level: Level, handle: u64) -> HostResult<()> {
        let text = handle_bytes(&mut env, handle, "log message")?;
        env.data_mut().io.release(handle);
        line(level, &text);
        Ok(())
    }

    pub(in crate::guest) fn error(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Error, handle)
    }

    pub(in crate::guest) fn warn(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Warn, handle)
    }

    pub(in crate::guest) fn info(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Info, handle)
    }

    pub(in crate::guest) fn debug(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Debug, handle)
    }

    pub(in crate::guest) fn trace(env: Env<'_>, handle: u64) -> HostResult<()> {
        log(env, Level::Trace, handle)
    }

    /// The lowest level that is logged: trace 0, debug 1, info 2, warn 3, error 4, nothing `i32::MAX`.
    pub(in crate::guest) fn get_log_level(_env: Env<'_>) -> i32 {
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
