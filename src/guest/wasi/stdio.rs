//! Where a plugin's standard output and error go: line by line to the log, or to the host's own when the variable
//! `EXTISM_ENABLE_WASI_OUTPUT` is set.

use std::io::{self, ErrorKind, IsTerminal as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use super::errno::Errno;
use super::yield_point::yield_point;
use crate::environment;
use crate::guest::host::log::Logs;
use crate::interrupt::Watch;
use crate::outlet::Outlet;

/// A line longer than this is logged in pieces.
const MAX_LINE: usize = 8 << 10;

/// One of the two streams.
pub(super) enum Output {
    /// The host's own.
    Inherited {
        outlet: Outlet,
        is_terminal: bool,
    },
    Logged(Lines),
}

impl Output {
    /// Standard output: inherited, or logged as information.
    pub(super) fn stdout(logs: &Arc<Logs>) -> Self {
        if inherits() {
            Self::Inherited { outlet: Outlet::Stdout, is_terminal: io::stdout().is_terminal() }
        } else {
            Self::Logged(Lines::new(Level::Info, logs))
        }
    }

    /// Standard error: inherited, or logged as warnings.
    pub(super) fn stderr(logs: &Arc<Logs>) -> Self {
        if inherits() {
            Self::Inherited { outlet: Outlet::Stderr, is_terminal: io::stderr().is_terminal() }
        } else {
            Self::Logged(Lines::new(Level::Warn, logs))
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        match self {
            Self::Inherited { is_terminal, .. } => *is_terminal,
            Self::Logged(_) => false,
        }
    }

    /// Writes, and returns how many bytes were written: some at least, if there are any.
    pub(super) fn write(&mut self, bytes: &[u8], watch: Watch) -> Result<usize, Errno> {
        match self {
            Self::Inherited { outlet, .. } => write_inherited(outlet, bytes, watch),
            Self::Logged(lines) => lines.write(bytes, watch).map(|()| bytes.len()),
        }
    }
}

/// Writes to the host's own stream. Where its reader takes nothing, it is waited for as long as the plugin may run, without a lock
/// that another plugin or the host could wait for.
fn write_inherited(outlet: &Outlet, bytes: &[u8], watch: Watch) -> Result<usize, Errno> {
    /// How long to wait without looking whether the plugin shall stop. The signal that says so ends the wait before.
    const WAIT: Duration = Duration::from_millis(10);
    let mut written = 0;
    while written < bytes.len() {
        match outlet.write(&bytes[written..]) {
            Ok(count @ 1..) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => outlet.wait(WAIT),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // What was written counts. The next call has the error.
            _ if written > 0 => break,
            Ok(0) => return Err(Errno::IO),
            Err(error) => return Err(error.into()),
        }
        yield_point(watch)?;
    }
    Ok(written)
}

fn inherits() -> bool {
    environment::INHERIT_OUTPUT.value()
}

/// Whole lines to the log. What is not ended by a newline waits for the rest, or for the end of the instance.
pub(super) struct Lines {
    level: Level,
    line: Vec<u8>,
    logs: Arc<Logs>,
}

impl Lines {
    fn new(level: Level, logs: &Arc<Logs>) -> Self {
        Self { level, line: Vec::new(), logs: Arc::clone(logs) }
    }

    fn write(&mut self, bytes: &[u8], watch: Watch) -> Result<(), Errno> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            for chunk in text.chunks(MAX_LINE) {
                if self.line.len() + chunk.len() > MAX_LINE {
                    yield_point(watch)?;
                    self.end_line();
                }
                self.line.extend_from_slice(chunk);
            }
            if ended {
                yield_point(watch)?;
                self.end_line();
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        // Taken first: should the host's logger panic, the line is not logged again.
        let line = std::mem::take(&mut self.line);
        self.logs.record(self.level, &String::from_utf8_lossy(&line));
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            // A panic of the host's logger must not leave a destructor.
            let _ = catch_unwind(AssertUnwindSafe(|| self.end_line()));
        }
    }
}
