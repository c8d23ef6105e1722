//! The time at which the timer thread next looks at the records. A beginning run wakes it only if that is too late.

use crate::sync::{AtomicU64, Ordering, fence};

/// In nanoseconds of `timer::nanoseconds`. Written under the schedule's lock, read by all.
pub(crate) struct Next(pub(crate) AtomicU64);

impl Next {
    pub(crate) const NEVER: u64 = u64::MAX;

    /// True if the next look is no later than `at`.
    pub(crate) fn is_by(&self, at: u64) -> bool {
        // With the fence in `look`: either this load sees the value set there, or `look` sees the run begun before.
        fence(Ordering::SeqCst);
        at >= self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, at: u64) {
        self.0.store(at, Ordering::Relaxed);
    }

    /// Takes the looks at all records, each of which returns when the next one at this record is due; returns the
    /// earliest of these times. `looks` must be lazy: a look that is taken before this call may miss a run.
    pub(crate) fn look(&self, looks: impl Iterator<Item = u64>) -> u64 {
        // A run that begins from here on, and is not seen below, makes its thread wait for the schedule's lock.
        self.set(Self::NEVER);
        fence(Ordering::SeqCst);
        let next = looks.min().unwrap_or(Self::NEVER);
        self.set(next);
        next
    }
}
