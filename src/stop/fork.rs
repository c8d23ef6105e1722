//! Stopping, in a process that was forked: it has one thread, no timer, and nothing that other threads ran.

use std::sync::MutexGuard;
use std::time::Instant;

use super::{THREAD, timer};
use crate::fork;

/// The timer's schedule, locked from before a fork until after it.
pub(crate) struct Held(MutexGuard<'static, timer::Schedule>);

/// Locks the schedule, which other threads have for moments only. `None` if that takes until `deadline`: the thread that forks
/// has it itself, in a handler of a signal.
pub(crate) fn hold(deadline: Instant) -> Option<Held> {
    fork::until(deadline, timer::try_hold).map(Held)
}

impl Held {
    /// In the new process: its only thread has another number, and the next deadline gets another timer.
    pub(crate) fn forked(mut self) {
        THREAD.with(|thread| {
            let before = thread.number.replace(0);
            // A thread that runs nothing is left as it is.
            let now = thread.current.get().map_or(0, |_| thread.number(|| ()));
            timer::forget_threads(&mut self.0, before, now);
        });
    }
}
