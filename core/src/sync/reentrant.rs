//! A reentrant lock that can be lost: it may be held for as long as a plugin runs, and a fork does not wait that long.
#![expect(unsafe_code, reason = "the standard library's lock of this kind is not stable yet (rust-lang/rust#121440)")]

use std::fmt;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crate::fork::taken;

/// A reentrant lock. A panic does not poison it.
#[derive(Default)]
pub struct ReentrantMutex<T> {
    lock: Mutex<()>,
    /// The thread that has the lock, [`NOBODY`], or [`GONE`].
    owner: AtomicUsize,
    value: T,
}

// SAFETY: only the thread that holds the lock reaches `value`, by reference, and its guard is not `Send`: as if the
// value were moved from thread to thread. The lock is held as long as any guard: guards are not `Send` and live on the
// stack of one call, and are so dropped in reverse order, the outermost last.
unsafe impl<T: Send> Sync for ReentrantMutex<T> {}

// Without `value`, which only the thread that holds the lock may read.
impl<T> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReentrantMutex").field("owner", &self.owner).finish_non_exhaustive()
    }
}

const NOBODY: usize = 0;

/// An owner that does not exist in this process: the thread that held the lock when the process was forked.
const GONE: usize = usize::MAX;

/// The lock is lost: its holder does not exist in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

thread_local! {
    /// Only the address is used: it differs between threads that exist at the same time.
    static HERE: u8 = const { 0 };
}

#[inline]
fn this_thread() -> usize {
    HERE.with(|here| ptr::from_ref(here).addr())
}

impl<T> ReentrantMutex<T> {
    /// A lock around `value`, held by nobody.
    pub const fn new(value: T) -> Self {
        Self { lock: Mutex::new(()), owner: AtomicUsize::new(NOBODY), value }
    }

    /// Waits for the lock, unless this thread holds it already.
    ///
    /// # Errors
    /// The lock is lost.
    // On the path of every call.
    #[inline(always)]
    pub fn lock(&self) -> Result<ReentrantGuard<'_, T>, Lost> {
        match self.try_lock() {
            Some(guard) => Ok(guard),
            None => self.wait().map(|guard| self.taken(guard)),
        }
    }

    /// Like [`lock`](Self::lock), but returns `None` at `deadline`, if there is one.
    pub(crate) fn lock_until(&self, deadline: Option<Instant>) -> Option<Result<ReentrantGuard<'_, T>, Lost>> {
        /// The time to wait before the lock is tried again.
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
        taken(self.lock.try_lock()).map(|guard| self.taken(guard))
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

    /// In a forked process with one thread: marks the lock as lost if another thread held it. Returns true if so.
    pub fn forked(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        // `owner` alone does not tell: it is set just after the lock is taken, and cleared just before it is released.
        let is_lost = owner != this_thread() && matches!(self.lock.try_lock(), Err(TryLockError::WouldBlock));
        if is_lost {
            self.owner.store(GONE, Ordering::Relaxed);
        }
        is_lost
    }
}

/// The held lock. The guards of one thread must be dropped in reverse order of their making.
#[derive(Debug)]
pub struct ReentrantGuard<'a, T> {
    mutex: &'a ReentrantMutex<T>,
    /// `None` if the thread held the lock already.
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
