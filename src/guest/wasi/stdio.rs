//! Where a plugin's standard output and error go: line by line to the log, or to the host's own when the variable
//! `EXTISM_ENABLE_WASI_OUTPUT` is set.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use log::Level;

use crate::environment;
use crate::guest::host::log::Logs;

/// A line longer than this is logged in pieces.
const MAX_LINE: usize = 8 << 10;

/// One of the two streams.
pub(super) enum Output {
    /// The host's own.
    Inherited(Box<dyn Write + Send>),
    Logged(Lines),
}

impl Output {
    /// Standard output: inherited, or logged as information.
    pub(super) fn stdout(logs: &Arc<Logs>) -> Self {
        if inherits() { Self::Inherited(Box::new(io::stdout())) } else { Self::Logged(Lines::new(Level::Info, logs)) }
    }

    /// Standard error: inherited, or logged as warnings.
    pub(super) fn stderr(logs: &Arc<Logs>) -> Self {
        if inherits() { Self::Inherited(Box::new(io::stderr())) } else { Self::Logged(Lines::new(Level::Warn, logs)) }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Inherited(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
            Self::Logged(lines) => {
                lines.write(bytes);
                Ok(())
            }
        }
    }
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

    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            for chunk in text.chunks(MAX_LINE) {
                if self.line.len() + chunk.len() > MAX_LINE {
                    self.end_line();
                }
                self.line.extend_from_slice(chunk);
            }
            if ended {
                self.end_line();
            }
        }
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
