//! Simulated signals: each stays pending until a thread of the model takes it. Threads are always in a plugin's code.

use loom::sync::Mutex;

use crate::record::Record;

loom::lazy_static! {
    /// The threads that have pending signals.
    static ref SENT: Mutex<Vec<i32>> = Mutex::new(Vec::new());
}

/// The ids of all threads.
pub(crate) const THREADS: [i32; 2] = [1, 2];

/// Sends a signal to `thread`; `false` if there is no such thread.
pub(crate) fn send(thread: i32) -> bool {
    let exists = THREADS.contains(&thread);
    if exists {
        SENT.lock().expect("a panic ends the model").push(thread);
    }
    exists
}

/// Delivers the pending signals to `thread`, which runs `record`; returns true if one of them makes it trap.
pub(crate) fn arrive(record: &Record, thread: i32) -> bool {
    (0..swallow(thread)).any(|_| record.arrive(|code| !code.is_null()))
}

/// Drops the pending signals of `thread`, as if somebody else had handled them; returns how many there were.
pub(crate) fn swallow(thread: i32) -> usize {
    let mut sent = SENT.lock().expect("a panic ends the model");
    let all = sent.len();
    sent.retain(|to| *to != thread);
    all - sent.len()
}
