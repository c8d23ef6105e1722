//! The log of a plugin, which has a limit for each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use log::Level;

use crate::log as sink;
use crate::log::Origin;

/// The bytes that a plugin may log in one call, counted as the log shows them. Its guest and its WASI streams share one
/// value.
#[derive(Debug)]
pub(crate) struct Logs {
    max: u64,
    /// The number of bytes that the current call may still log.
    left: AtomicU64,
    /// The plugin's id, which its lines end with. `None` in the 0.1 face, whose lines have none.
    label: Option<Arc<str>>,
}

impl Logs {
    /// A log of at most `max` bytes a call, with 16 MiB as the default.
    pub(crate) fn new(max: Option<u64>, label: Option<Arc<str>>) -> Self {
        /// The limit in bytes if the manifest has none.
        const MAX: u64 = 16 << 20;
        let max = max.unwrap_or(MAX);
        Self { max, left: AtomicU64::new(max), label }
    }

    /// Begins a call: resets what may be logged.
    pub(crate) fn begin(&self) {
        self.left.store(self.max, Ordering::Relaxed);
    }

    /// Logs a message, unless this call has reached its limit.
    pub(crate) fn record(&self, level: Level, message: &str) {
        /// About how many bytes a line has in addition to the message.
        const AROUND: u64 = 64;
        let left = self.left.load(Ordering::Relaxed);
        if level > sink::max_level() || left == 0 {
            return;
        }
        // Counted as it is written: escapes make a message longer.
        let line = sink::Line::of(message);
        match left.checked_sub(line.len() as u64 + AROUND) {
            Some(left) => {
                self.left.store(left, Ordering::Relaxed);
                sink::record_line(level, self.origin(sink::PLUGIN_TARGET), &line);
            }
            None => {
                self.left.store(0, Ordering::Relaxed);
                let max = self.max;
                let line =
                    format_args!("the plugin has logged {max} bytes (memory.max_log_bytes): this call logs no more");
                sink::record_of(Level::Warn, self.origin(sink::TARGET), line);
            }
        }
    }

    fn origin<'a>(&'a self, target: &'a str) -> Origin<'a> {
        Origin { target, plugin: self.label.as_deref() }
    }
}

#[cfg(test)]
mod tests {
    use log::Level;
    use log::LevelFilter;

    use super::{Logs, sink};
    use crate::log::{Destination, Format, drain, set};

    #[test]
    fn lines_end_with_the_id_of_their_plugin() {
        // The one test of this crate that sets the log, which the process has one of.
        set(Destination::Buffer, Format::V1, LevelFilter::Warn).expect("a buffer is no file");
        let logs = Logs::new(Some(100), Some("the-id".into()));
        logs.record(Level::Error, "one\ntwo\0\x1b");
        logs.record(Level::Info, "above the level");
        logs.record(Level::Warn, &"x".repeat(100));
        logs.record(Level::Warn, "beyond the limit");
        Logs::new(None, None).record(Level::Warn, "of the-id's neighbour");
        sink::record(Level::Warn, sink::TARGET, format_args!("about the-id"));
        let mut lines = Vec::new();
        // Other tests may log meanwhile.
        drain(|line| {
            lines.extend(line.split_once("Z ").filter(|_| line.contains("the-id")).map(|(_, text)| text.to_owned()))
        });
        assert_eq!(
            lines,
            [
                "ERROR extism::pdk: one\\ntwo\\x00\\x1b plugin=\"the-id\"\n",
                " WARN extism: the plugin has logged 100 bytes (memory.max_log_bytes): this call logs no more plugin=\"the-id\"\n",
                " WARN extism::pdk: of the-id's neighbour\n",
                " WARN extism: about the-id\n",
            ]
        );
    }
}
