//! Targets of a plugin's standard output and error: the log, line by line, or the host's own streams if the variable
//! `EXTISM_ENABLE_WASI_OUTPUT` is set.

use std::io::{self, ErrorKind, IsTerminal as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use super::errno::Errno;
use super::yield_point::yield_point;
use crate::environment;
use crate::host::Logs;
use crate::outlet::Outlet;
use crate::stop::Watch;

/// The longest line in bytes. A longer one is logged in pieces.
const MAX_LINE: usize = 8 << 10;

/// Standard output or standard error.
pub(crate) enum Output {
    /// The host's own stream.
    Inherited {
        outlet: Outlet,
        is_terminal: bool,
    },
    Logged(Lines),
}

impl Output {
    /// Standard output, logged at level info unless it is inherited, and standard error, logged at level warn.
    pub(crate) fn both(logs: &Arc<Logs>) -> [Self; 2] {
        if environment::INHERIT_OUTPUT.value() {
            let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
            [(Outlet::Stdout, stdout), (Outlet::Stderr, stderr)]
                .map(|(outlet, is_terminal)| Self::Inherited { outlet, is_terminal })
        } else {
            [Level::Info, Level::Warn].map(|level| Self::Logged(Lines::new(level, logs)))
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Self::Inherited { is_terminal, .. } => *is_terminal,
            Self::Logged(_) => false,
        }
    }

    /// Writes `bytes` and returns how many were written: at least one, unless `bytes` is empty.
    pub(crate) fn write(&mut self, bytes: &[u8], watch: Watch) -> Result<usize, Errno> {
        match self {
            Self::Inherited { outlet, .. } => write_inherited(outlet, bytes, watch),
            Self::Logged(lines) => lines.write(bytes, watch).map(|()| bytes.len()),
        }
    }
}

/// Writes to the host's own stream. If its reader takes nothing, this waits for the reader as long as the plugin may
/// run. It holds no lock meanwhile that another plugin or the host could wait for.
fn write_inherited(outlet: &Outlet, bytes: &[u8], watch: Watch) -> Result<usize, Errno> {
    /// The longest wait without a yield point. The signal that stops the plugin ends the wait earlier.
    const WAIT: Duration = Duration::from_millis(10);
    let mut written = 0;
    while written < bytes.len() {
        match outlet.write(&bytes[written..]) {
            Ok(count @ 1..) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => outlet.wait(WAIT),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Bytes were written, so this call succeeds; the next one gets the error.
            _ if written > 0 => break,
            Ok(0) => return Err(Errno::IO),
            Err(error) => return Err(error.into()),
        }
        yield_point(watch)?;
    }
    Ok(written)
}

/// Collects bytes and logs whole lines. Text without a newline waits for more, or for the end of the instance.
pub(crate) struct Lines {
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
        // Taken before logging: if the host's logger panics, the line is not logged again.
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
