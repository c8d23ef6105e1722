//! Cancelling from other threads.

use super::record::{Record, SOON};
use super::{signal, timer};
use crate::fork;

/// Cancels a plugin's runs. It may outlive the plugin, and then cancels nothing.
#[derive(Debug, Clone, Copy)]
pub struct Handle {
    pub(super) record: &'static Record,
    /// The number of the plugin's [`Stopper`](super::Stopper).
    pub(super) owner: u64,
}

impl Handle {
    /// Stops the plugin's current run; `false` if there is none, or if no signal reaches it.
    pub fn cancel(&self) -> bool {
        let _inside = fork::enter();
        self.record.cancel(self.owner).is_some_and(|notice| {
            let was_told = self.record.deliver(notice, signal::send);
            // Without a timer, the first notification is the only one.
            timer::look_by(timer::now() + SOON).is_ok() || was_told
        })
    }
}
