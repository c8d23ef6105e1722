//! The end of a sink that writes to a file, or to the process's own output.
//!
//! No thread waits for a reader longer than [`PATIENCE`], because plugins log and have deadlines. A line that the file
//! does not take in that time is lost; the number of lost lines is logged once the file takes lines again.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use log::{Level, Log, Metadata, Record};

use super::format::{Format, TARGET};
use crate::outlet::Outlet;
use crate::sync::Mutex;

/// The time that a line may wait for a sink that takes nothing, such as a pipe with a slow reader. After one line has
/// waited in vain, the next ones do not wait until one gets through.
const PATIENCE: Duration = Duration::from_millis(20);

/// The time that a line may wait for other threads' lines. These wait for a reader no longer than [`PATIENCE`] all
/// together, but their threads may have to wait for a processor, and a disk may be slow.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

/// The last logger of fern's chain: writes the formatted lines.
pub(super) struct FileSink {
    /// Lines lost since the last one that got through.
    lost: AtomicU64,
    /// The last line waited in vain.
    is_stalled: AtomicBool,
    /// The form of the line about lost lines; other lines are formatted already.
    format: Format,
    file: Mutex<LogFile>,
}

struct LogFile {
    outlet: Outlet,
    /// The last write ended in the middle of a line.
    is_cut: bool,
}

impl FileSink {
    pub(super) fn new(outlet: Outlet, format: Format) -> Self {
        let file = Mutex::new(LogFile { outlet, is_cut: false });
        Self { lost: AtomicU64::new(0), is_stalled: AtomicBool::new(false), format, file }
    }

    /// Writes a line, or counts it as lost.
    fn put(&self, line: &str) {
        let patience = if self.is_stalled() { Duration::ZERO } else { LOCK_PATIENCE };
        let is_written = self.file.try_lock_for(patience).is_some_and(|mut file| {
            let is_written = self.tell_lost(&mut file) && file.write(line, self.patience());
            // Set under the lock: a thread that waits for the lock must not wait for the reader once more.
            self.is_stalled.store(!is_written, Ordering::Relaxed);
            is_written
        });
        if !is_written {
            self.is_stalled.store(true, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed)
    }

    fn patience(&self) -> Duration {
        if self.is_stalled() { Duration::ZERO } else { PATIENCE }
    }

    /// Writes the number of lost lines, if there are any. If that fails, they stay counted.
    fn tell_lost(&self, file: &mut LogFile) -> bool {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost == 0 {
            return true;
        }
        let text = format!("lines lost before this one, which the log did not take, or not in time: {lost}");
        let line = self.format.line(Level::Warn, TARGET, &format_args!("{text}")) + "\n";
        let is_told = file.write(&line, self.patience());
        if is_told {
            self.lost.fetch_sub(lost, Ordering::Relaxed);
            self.is_stalled.store(false, Ordering::Relaxed);
        }
        is_told
    }
}

impl Log for FileSink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.put(&format!("{}\n", record.args()));
    }

    fn flush(&self) {}
}

impl LogFile {
    /// Writes a line, in a single write if the file takes it, so that lines of other processes do not mix into it.
    /// Returns true if all of it was written.
    fn write(&mut self, line: &str, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        // After half a line, start a new one.
        let line = if self.is_cut { format!("\n{line}") } else { line.to_owned() };
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match self.outlet.write(rest) {
                Ok(count @ 1..) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.outlet.wait(left);
                }
                Ok(0) | Err(_) => break,
            }
        }
        let written = line.len() - rest.len();
        if let Some(last) = line.as_bytes()[..written].last() {
            self.is_cut = *last != b'\n';
        }
        rest.is_empty()
    }
}
