//! Loom's threads and memory, in the shape of those that the library uses.

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering, fence};
pub(crate) use loom::sync::{Arc, MutexGuard};
pub(crate) use loom::thread::{Thread, current};

/// Stores are exchanges: after a store, Loom lets a thread find what a compare-and-exchange of a value before it has written. That
/// one stands directly after the value that it replaces (C++20, 6.9.2.1 [intro.races]), so before the store.
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

/// What a panic leaves behind is not poisoned.
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
