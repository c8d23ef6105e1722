//! The error when the system refuses memory, and how a step finds out that it did.

use thiserror::Error;

use super::slot;

/// There is no memory for the work, or there was none in the middle of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NoRoom {
    #[error("{} MB must be free for that, and the system refuses them ({SETTINGS})", .0.div_ceil(1_000_000))]
    Before(usize),
    #[error("the system has refused memory in the middle of it ({SETTINGS})")]
    Meanwhile,
}

/// The settings that limit the memory of a process, for errors.
const SETTINGS: &str = "RLIMIT_AS, RLIMIT_DATA, `ulimit -v`, vm.overcommit_memory";

/// Tells whether the system has refused memory since a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusalWatch(u64);

impl RefusalWatch {
    pub(super) fn begin() -> Self {
        Self(slot::refusals())
    }

    /// Fails if the system has refused memory since then. Every later check fails too.
    pub(crate) fn check(self) -> Result<(), NoRoom> {
        if slot::refusals() == self.0 { Ok(()) } else { Err(NoRoom::Meanwhile) }
    }
}
