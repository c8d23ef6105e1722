//! Shuttle's threads and locks with the interface of the library's `sync/`.

use std::cell::Cell;
use std::ops::Deref;

pub(crate) use shuttle::sync::Arc;
pub(crate) use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Condvar, MutexGuard};
pub(crate) use shuttle::thread::LocalKey;
use shuttle::thread::{self, ThreadId};
pub(crate) use shuttle::thread_local;

/// A panic does not poison it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a panic ends the model")
    }
}

/// A reentrant lock. It cannot be lost, because no model forks.
#[derive(Debug)]
pub(crate) struct ReentrantMutex<T> {
    owner: Mutex<Option<ThreadId>>,
    released: Condvar,
    /// The number of guards that the owner has.
    depth: Cell<u32>,
    value: T,
}

// SAFETY: only the owner, one thread at a time, gets at `depth` and `value`.
#[expect(unsafe_code, reason = "shuttle has no lock of this kind")]
unsafe impl<T: Send> Sync for ReentrantMutex<T> {}

impl<T: Default> Default for ReentrantMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> ReentrantMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { owner: Mutex::new(None), released: Condvar::new(), depth: Cell::new(0), value }
    }

    pub(crate) fn lock(&self) -> Result<ReentrantGuard<'_, T>, Lost> {
        let me = thread::current().id();
        let mut owner = self.owner.lock();
        while owner.is_some_and(|owner| owner != me) {
            owner = self.released.wait(owner).expect("a panic ends the model");
        }
        *owner = Some(me);
        self.depth.set(self.depth.get() + 1);
        Ok(ReentrantGuard(self))
    }

    pub(crate) fn forked(&self) -> bool {
        false
    }
}

/// Never made here; the library's type has the same name.
#[derive(Debug)]
pub(crate) struct Lost;

pub(crate) struct ReentrantGuard<'a, T>(&'a ReentrantMutex<T>);

impl<T> Deref for ReentrantGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Drop for ReentrantGuard<'_, T> {
    fn drop(&mut self) {
        let lock = self.0;
        lock.depth.set(lock.depth.get() - 1);
        if lock.depth.get() == 0 {
            *lock.owner.lock() = None;
            lock.released.notify_one();
        }
    }
}
