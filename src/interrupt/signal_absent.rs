//! Replaces `signal.rs` on platforms without a tested one: there, plugins stop only in host functions that wait.

use super::Code;
use super::this_thread::ThisThread;

/// A system error number.
pub(super) type Errno = i32;

pub(super) fn prepare(_: &ThisThread) -> i32 {
    0
}

pub(super) fn send(_: i32) -> bool {
    false
}

/// Deadlines are accepted; the README lists what is not stopped here.
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
