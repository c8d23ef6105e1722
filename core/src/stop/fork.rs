//! Repairs the stopping of runs in a forked process, which has one thread, no timer thread, and no runs of other
//! threads.

use std::sync::MutexGuard;
use std::time::Instant;

use super::this_thread::THREAD;
use super::{signal, timer};
use crate::fork;

/// The timer's schedule, locked from before a fork until after it.
pub struct Held(MutexGuard<'static, timer::Schedule>);

/// Locks the schedule, which other threads hold for moments only. `None` if `deadline` passes: the forking thread then
/// holds it itself, in a signal handler.
pub fn hold(deadline: Instant) -> Option<Held> {
    fork::until(deadline, timer::try_hold).map(Held)
}

impl Held {
    /// In the new process: the only thread has a new kernel id, and the next deadline starts a new timer thread.
    pub fn forked(mut self) {
        THREAD.with(|thread| {
            let before = thread.number.replace(0);
            // A thread without a run is made ready later, at its next run.
            if thread.current.get().is_some() {
                thread.number.set(signal::prepare(thread));
            }
            timer::forget_threads(&mut self.0, before, thread.number.get());
        });
    }
}
