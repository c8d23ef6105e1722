//! The log's buffer: lines stay in memory until the host drains them.
//!
//! The process has one. It stays when the sink is replaced, with its lines. The oldest lines make room for new ones, so
//! that a host which never drains loses lines instead of memory. A forked process has a copy of the lines.

use std::collections::VecDeque;
use std::mem;

use log::{Level, Log, Metadata, Record};

use super::format::{Format, TARGET};
use crate::sync::Mutex;

/// The most bytes that the buffer's lines take, each counted with [`OVERHEAD`].
const MAX: usize = 16 << 20;

/// About how many bytes a line takes beside its text: its entry in the queue, and the allocator's part.
const OVERHEAD: usize = 32;

static BUFFER: Buffer = Buffer::new(MAX);

/// Takes all lines out of the buffer, then calls `work` with each, oldest first. A line ends in a newline, and contains
/// no other and no NUL. If older lines had to go, the first line says how many.
///
/// No lock is held while `work` runs: it may log, drain, and call plugins. Lines that are logged meanwhile, by it or by
/// other threads, are for the next drain. If several threads drain, each line is given to one of them.
pub fn drain(work: impl FnMut(&str)) {
    BUFFER.drain(work);
}

/// The last logger of fern's chain: adds the formatted lines to the process's buffer.
pub(super) struct BufferSink;

impl Log for BufferSink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        BUFFER.push(format!("{}\n", record.args()));
    }

    fn flush(&self) {}
}

struct Buffer {
    /// In bytes, as [`cost`] counts them.
    max: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// From the oldest to the newest.
    lines: VecDeque<Box<str>>,
    /// The sum of the lines' costs.
    bytes: usize,
    /// The number of lines that had to go since the last drain.
    lost: u64,
}

impl Buffer {
    const fn new(max: usize) -> Self {
        Self { max, held: Mutex::new(Held { lines: VecDeque::new(), bytes: 0, lost: 0 }) }
    }

    /// Adds a line. Older ones go until all fit; a line that is too long for an empty buffer goes, too.
    fn push(&self, line: String) {
        let line = line.into_boxed_str();
        let mut held = self.held.lock();
        held.bytes += cost(&line);
        held.lines.push_back(line);
        while held.bytes > self.max {
            let Some(oldest) = held.lines.pop_front() else { break };
            held.bytes -= cost(&oldest);
            held.lost += 1;
        }
    }

    fn drain(&self, mut work: impl FnMut(&str)) {
        let Held { lines, lost, .. } = mem::take(&mut *self.held.lock());
        if lost > 0 {
            let text = format_args!("lines lost before this one, for which the log's buffer had no room: {lost}");
            // Only the 1.x face has a buffer.
            work(&(Format::V1.line(Level::Warn, TARGET, &text) + "\n"));
        }
        for line in lines {
            work(&line);
        }
    }
}

/// The bytes that a line takes.
fn cost(line: &str) -> usize {
    line.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::{Buffer, MAX, OVERHEAD};

    fn drained(buffer: &Buffer) -> Vec<String> {
        let mut lines = Vec::new();
        buffer.drain(|line| lines.push(line.to_owned()));
        lines
    }

    fn push(buffer: &Buffer, numbers: std::ops::Range<usize>) {
        numbers.for_each(|number| buffer.push(format!("{number:04}\n")));
    }

    fn lines(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| format!("{number:04}\n")).collect()
    }

    /// The bytes of one line of [`lines`].
    const COST: usize = 5 + OVERHEAD;

    #[test]
    fn lines_come_once_and_oldest_first() {
        let buffer = Buffer::new(MAX);
        assert!(drained(&buffer).is_empty());
        push(&buffer, 0..100);
        assert_eq!(drained(&buffer), lines(0..100));
        assert!(drained(&buffer).is_empty());
        push(&buffer, 7..8);
        assert_eq!(drained(&buffer), lines(7..8));
    }

    #[test]
    fn the_oldest_lines_make_room_and_are_counted() {
        let buffer = Buffer::new(10 * COST);
        push(&buffer, 0..10);
        assert_eq!(drained(&buffer), lines(0..10), "ten lines fit");
        push(&buffer, 0..13);
        assert_eq!(buffer.held.lock().bytes, 10 * COST);
        let found = drained(&buffer);
        let lost = &found[0];
        assert!(lost.contains("  WARN extism: lines lost before this one, ") && lost.ends_with(": 3\n"), "{lost}");
        assert_eq!(found[1..], lines(3..13));
        // The number is told once.
        push(&buffer, 0..1);
        assert_eq!(drained(&buffer), lines(0..1));
        // A line that takes the room of two.
        push(&buffer, 0..10);
        buffer.push("x".repeat(2 * COST - OVERHEAD));
        assert_eq!(drained(&buffer)[1..9], lines(2..10));
        // A line that is too long by itself.
        push(&buffer, 0..2);
        buffer.push("x".repeat(10 * COST));
        let found = drained(&buffer);
        assert!(found.len() == 1 && found[0].ends_with(": 3\n"), "{found:?}");
        assert_eq!(buffer.held.lock().bytes, 0);
    }

    #[test]
    fn the_process_has_room_for_16_mib() {
        let buffer = Buffer::new(MAX);
        let line = "x".repeat((64 << 10) - OVERHEAD);
        for _ in 0..300 {
            buffer.push(line.clone());
        }
        let held = buffer.held.lock();
        assert_eq!((held.bytes, held.lines.len(), held.lost), (16 << 20, 256, 300 - 256));
    }

    #[test]
    fn a_drain_may_log_and_drain() {
        let buffer = Buffer::new(MAX);
        push(&buffer, 0..3);
        let mut found = Vec::new();
        buffer.drain(|line| {
            found.push(line.to_owned());
            buffer.push(format!("about {line}"));
            if found.len() == 2 {
                assert_eq!(drained(&buffer), ["about 0000\n", "about 0001\n"]);
            }
        });
        assert_eq!(found, lines(0..3));
        assert_eq!(drained(&buffer), ["about 0002\n"]);
    }

    #[test]
    fn other_threads_log_during_a_drain() {
        const LINES: usize = 5000;
        let (buffer, is_over) = (Buffer::new(MAX), AtomicBool::new(false));
        let mut found = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                push(&buffer, 0..LINES);
                is_over.store(true, Ordering::Release);
            });
            loop {
                let is_last = is_over.load(Ordering::Acquire);
                buffer.drain(|line| {
                    // A thread that logs does not wait for the one that drains.
                    if found.is_empty() {
                        scope.spawn(|| buffer.push("meanwhile\n".to_owned())).join().expect("no panic");
                    }
                    found.push(line.to_owned());
                });
                if is_last {
                    break;
                }
            }
        });
        // The first drain may have been the last.
        found.extend(drained(&buffer));
        let (mut meanwhile, mut numbered) = (0, Vec::new());
        for line in found {
            if line == "meanwhile\n" { meanwhile += 1 } else { numbered.push(line) }
        }
        assert_eq!(numbered, lines(0..LINES), "each line once, in order");
        assert_eq!(meanwhile, 1);
    }
}
