//! A lock that its thread gets again, and that a forked process can find to be lost: it may be locked for as long as a plugin runs,
//! and no fork waits for that.
#![expect(unsafe_code, reason = "the standard library's lock of this kind is not stable yet (rust-lang/rust#121440)")]

use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// A lock that its thread gets again. A panic does not poison it.
#[derive(Debug, Default)]
pub(crate) struct ReentrantMutex<T> {
    lock: Mutex<()>,
    /// The thread that has the lock, [`NOBODY`], or [`GONE`].
    owner: AtomicUsize,
    value: T,
}

// SAFETY: only the thread that has the lock gets at `value`, and what it gets is a reference that cannot leave the thread with its
// guard: as if the value were moved from thread to thread.
unsafe impl<T: Send> Sync for ReentrantMutex<T> {}

const NOBODY: usize = 0;

/// The thread that has the lock is in the process that this one was forked off from.
const GONE: usize = usize::MAX;

/// The lock is lost: the thread that has it is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

thread_local! {
    /// Its address tells threads apart that are there at the same time.
    static HERE: u8 = const { 0 };
}

fn this_thread() -> usize {
    HERE.with(|here| ptr::from_ref(here).addr())
}

impl<T> ReentrantMutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { lock: Mutex::new(()), owner: AtomicUsize::new(NOBODY), value }
    }

    /// Waits for the lock, unless this thread has it already.
    ///
    /// # Errors
    /// It is lost.
    #[inline]
    pub(crate) fn lock(&self) -> Result<ReentrantGuard<'_, T>, Lost> {
        match self.try_lock() {
            Some(guard) => Ok(guard),
            None => self.wait().map(|guard| self.taken(guard)),
        }
    }

    /// As [`lock`](Self::lock), but gives up at `deadline`, if there is one: `None` then.
    pub(crate) fn lock_until(&self, deadline: Option<Instant>) -> Option<Result<ReentrantGuard<'_, T>, Lost>> {
        /// How long to wait before the lock is tried again.
        const PAUSE: Duration = Duration::from_millis(1);
        let Some(deadline) = deadline else { return Some(self.lock()) };
        loop {
            if let Some(guard) = self.try_lock() {
                return Some(Ok(guard));
            }
            if self.owner.load(Ordering::Relaxed) == GONE {
                return Some(Err(Lost));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::sleep(left.min(PAUSE));
        }
    }

    fn try_lock(&self) -> Option<ReentrantGuard<'_, T>> {
        if self.owner.load(Ordering::Relaxed) == this_thread() {
            return Some(ReentrantGuard { mutex: self, outermost: None });
        }
        match self.lock.try_lock() {
            Ok(guard) => Some(self.taken(guard)),
            Err(TryLockError::Poisoned(error)) => Some(self.taken(error.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn taken<'a>(&'a self, guard: MutexGuard<'a, ()>) -> ReentrantGuard<'a, T> {
        self.owner.store(this_thread(), Ordering::Relaxed);
        ReentrantGuard { mutex: self, outermost: Some(guard) }
    }

    #[cold]
    fn wait(&self) -> Result<MutexGuard<'_, ()>, Lost> {
        if self.owner.load(Ordering::Relaxed) == GONE {
            return Err(Lost);
        }
        Ok(self.lock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// In a new process, before it has a second thread: the lock is lost if another thread had it. Returns whether it is.
    pub(crate) fn forked(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        // The owner is noted a moment after the lock is taken, and before it is given back.
        let is_lost = owner != this_thread() && matches!(self.lock.try_lock(), Err(TryLockError::WouldBlock));
        if is_lost {
            self.owner.store(GONE, Ordering::Relaxed);
        }
        is_lost
    }
}

/// The lock, until this is dropped; those of one thread are dropped in the order opposite to that they were made in.
#[derive(Debug)]
pub(crate) struct ReentrantGuard<'a, T> {
    mutex: &'a ReentrantMutex<T>,
    /// None if the thread had the lock before.
    outermost: Option<MutexGuard<'a, ()>>,
}

impl<T> Deref for ReentrantGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.mutex.value
    }
}

impl<T> Drop for ReentrantGuard<'_, T> {
    fn drop(&mut self) {
        if self.outermost.is_some() {
            self.mutex.owner.store(NOBODY, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lost, ReentrantMutex};
    use std::cell::Cell;
    use std::mem;
    use std::thread;

    #[test]
    fn one_thread_has_it_as_often_as_it_likes() {
        let mutex = ReentrantMutex::new(Cell::new(0));
        let add = || {
            let outer = mutex.lock().expect("not lost");
            let value = outer.get();
            thread::yield_now();
            let inner = mutex.lock().expect("not lost");
            drop(inner);
            outer.set(value + 1);
        };
        thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| (0..1000).for_each(|_| add()))));
        });
        assert_eq!(mutex.lock().expect("not lost").get(), 8000);
    }

    #[test]
    fn what_another_thread_had_is_lost() {
        let mutex = ReentrantMutex::new(());
        assert!(!mutex.forked() && mutex.lock().is_ok());
        let guard = mutex.lock().expect("not lost");
        assert!(!mutex.forked(), "this thread has it");
        drop(guard);
        thread::scope(|scope| {
            drop(scope.spawn(|| mem::forget(mutex.lock())));
        });
        assert!(mutex.forked());
        assert_eq!(mutex.lock().err(), Some(Lost));
        let again = || mutex.lock().err();
        assert_eq!(thread::scope(|scope| scope.spawn(again).join().expect("no panic")), Some(Lost));
    }
}
