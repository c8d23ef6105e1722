//! Replaces `signal.rs` on platforms without a tested one. No signal is sent there. Plugins stop only in host
//! functions, which check before, during and after their work. Fuel ends loops without such calls.

use super::this_thread::ThisThread;

pub(crate) type Errno = i32;

pub(crate) fn prepare(_: &ThisThread) -> i32 {
    0
}

pub(crate) fn send(_: i32) -> bool {
    false
}

/// Deadlines are accepted; the README lists what is not stopped here.
pub(crate) fn can_send() -> Result<(), Errno> {
    Ok(())
}

pub(crate) struct Blocked;

impl Blocked {
    pub(crate) fn new() -> Self {
        Self
    }
}
