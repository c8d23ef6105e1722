//! Signals that stay on their way until a thread of the model looks.

use loom::sync::Mutex;

use crate::record::Record;
use crate::{ADDRESS, Code};

loom::lazy_static! {
    /// The threads that a signal is on its way to.
    static ref SENT: Mutex<Vec<i32>> = Mutex::new(Vec::new());
}

/// There is no thread with another number.
pub(crate) const THREADS: [i32; 2] = [1, 2];

pub(crate) fn send(thread: i32) -> bool {
    let is_there = THREADS.contains(&thread);
    if is_there {
        SENT.lock().expect("a panic ends the model").push(thread);
    }
    is_there
}

/// Signals that have arrived in `thread`, which runs what `record` has: whether one of them makes it trap.
pub(crate) fn arrive(record: &Record, thread: i32) -> bool {
    (0..swallow(thread)).any(|_| record.traps(ADDRESS))
}

/// Somebody else has handled the signals that have arrived in `thread`. Says how many there were.
pub(crate) fn swallow(thread: i32) -> usize {
    let mut sent = SENT.lock().expect("a panic ends the model");
    let all = sent.len();
    sent.retain(|to| *to != thread);
    all - sent.len()
}

pub(crate) fn is_in(_: *const Code, address: usize) -> bool {
    address == ADDRESS
}
