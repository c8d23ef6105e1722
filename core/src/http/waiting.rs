//! Counts the threads that wait for the network, some of which nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the threads that wait for the network, and the bytes that they send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    threads: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    pub(crate) fn count(&self) -> usize {
        self.0.threads.load(Ordering::Relaxed)
    }

    /// The number of bytes that they hold to send.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Counts one more thread, until the returned value is dropped.
    pub(crate) fn one(&self, bytes: usize) -> OneWaiting {
        self.0.threads.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        OneWaiting { all: self.clone(), bytes }
    }
}

/// A thread counted by [`Waiting::one`].
#[derive(Debug)]
pub(crate) struct OneWaiting {
    all: Waiting,
    bytes: usize,
}

impl Drop for OneWaiting {
    fn drop(&mut self) {
        self.all.0.threads.fetch_sub(1, Ordering::Relaxed);
        self.all.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
