//! Loom's threads and atomics with the interface of the library's `sync/`.

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering, fence};
pub(crate) use loom::sync::{Arc, MutexGuard};
pub(crate) use loom::thread::{Thread, current};

/// Stores are exchanges: after a plain store, Loom lets a thread see the result of a compare-and-exchange of an earlier
/// value. By C++20, 6.9.2.1 [intro.races], that result directly follows the replaced value, and so precedes the store.
#[derive(Debug)]
pub(crate) struct AtomicU64(loom::sync::atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn new(value: u64) -> Self {
        Self(loom::sync::atomic::AtomicU64::new(value))
    }

    pub(crate) fn load(&self, ordering: Ordering) -> u64 {
        self.0.load(ordering)
    }

    pub(crate) fn store(&self, value: u64, ordering: Ordering) {
        self.0.swap(value, ordering);
    }

    pub(crate) fn swap(&self, value: u64, ordering: Ordering) -> u64 {
        self.0.swap(value, ordering)
    }

    pub(crate) fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.0.compare_exchange(old, new, success, failure)
    }
}

/// A panic does not poison it.
#[derive(Debug)]
pub(crate) struct InnerMutex<T>(loom::sync::Mutex<T>);

impl<T> InnerMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a panic ends the model")
    }
}
