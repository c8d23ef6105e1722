//! Simulated signals: each stays pending until a thread of the model takes it.

use loom::sync::Mutex;

use crate::record::Record;
use crate::{ADDRESS, Code};

loom::lazy_static! {
    /// The threads that have pending signals.
    static ref SENT: Mutex<Vec<i32>> = Mutex::new(Vec::new());
}

/// The ids of all threads.
pub(crate) const THREADS: [i32; 2] = [1, 2];

pub(crate) fn send(thread: i32) -> bool {
    let is_there = THREADS.contains(&thread);
    if is_there {
        SENT.lock().expect("a panic ends the model").push(thread);
    }
    is_there
}

/// Delivers the pending signals to `thread`, which runs `record`; returns true if one of them makes it trap.
pub(crate) fn arrive(record: &Record, thread: i32) -> bool {
    (0..swallow(thread)).any(|_| record.traps(ADDRESS))
}

/// Drops the pending signals of `thread`, as if somebody else had handled them; returns how many there were.
pub(crate) fn swallow(thread: i32) -> usize {
    let mut sent = SENT.lock().expect("a panic ends the model");
    let all = sent.len();
    sent.retain(|to| *to != thread);
    all - sent.len()
}

pub(crate) fn is_in(_: *const Code, address: usize) -> bool {
    address == ADDRESS
}
