//! Stands in the place of `signal.rs` where nobody has written and tried that yet. Plugins stop in host functions that wait.

use super::Code;
use super::this_thread::ThisThread;

/// A number of the system's for an error.
pub(super) type Errno = i32;

pub(super) fn prepare(_: &ThisThread) -> i32 {
    0
}

pub(super) fn send(_: i32) -> bool {
    false
}

/// The README says what is not stopped here.
pub(super) fn can_send() -> Result<(), Errno> {
    Ok(())
}

pub(super) fn is_in(_: *const Code, _: usize) -> bool {
    false
}

pub(super) struct Blocked;

impl Blocked {
    pub(super) fn new() -> Self {
        Self
    }
}
