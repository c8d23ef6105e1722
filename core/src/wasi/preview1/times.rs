//! The times of files that plugins set.

use std::fs::FileTimes;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::Dir;

use super::errno::{Errno, Result0};
use super::opening::open_for_any_access;

/// The times to set; `None` leaves one as it is.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) accessed: Option<SystemTime>,
    pub(super) modified: Option<SystemTime>,
}

impl Times {
    /// From two values and `fstflags`, which have two bits for each.
    pub(super) fn new(accessed: u64, modified: u64, flags: u32) -> Result<Self, Errno> {
        let accessed = time_to_set(accessed, flags & 1 != 0, flags & 2 != 0)?;
        let modified = time_to_set(modified, flags & 4 != 0, flags & 8 != 0)?;
        Ok(Self { accessed, modified })
    }

    pub(super) fn of_file(self) -> FileTimes {
        let times = FileTimes::new();
        let times = self.accessed.map_or(times, |time| times.set_accessed(time));
        self.modified.map_or(times, |time| times.set_modified(time))
    }

    /// Sets the times of the regular file or directory at `path`. Follows links.
    ///
    /// cap-std has a function for this, which is not used: it opens for writing and without `O_NONBLOCK`, and so waits
    /// until somebody reads a FIFO.
    pub(super) fn set(self, dir: &Dir, path: &str) -> Result0 {
        Ok(open_for_any_access(dir, path)?.set_times(self.of_file())?)
    }
}

/// The time to set, from a value and its two bits of `fstflags`.
fn time_to_set(value: u64, set: bool, now: bool) -> Result<Option<SystemTime>, Errno> {
    match (set, now) {
        (true, true) => Err(Errno::INVAL),
        (true, false) => Ok(UNIX_EPOCH.checked_add(Duration::from_nanos(value))),
        (false, true) => Ok(Some(SystemTime::now())),
        (false, false) => Ok(None),
    }
}
