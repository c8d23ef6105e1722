//! The locks that threads share for moments. The holder of a [`Mutex`] or [`RwLock`] is inside the gate of `fork.rs`.
//!
//! All build on the standard library's: plain numbers, which stay valid in a forked process. Others, such as
//! parking_lot's, keep lists of waiting threads, and those threads do not exist in the new process.

use std::ops::{Deref, DerefMut};
use std::panic;
use std::sync::{self, LockResult, PoisonError, TryLockResult};
use std::time::{Duration, Instant};

use crate::fork::{self, Inside};

/// A lock that threads share. Its holder is inside the gate of `fork.rs`, so that no fork happens while it is held; it
/// must be held for a short time only. A panic does not poison it.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// A [`Mutex`] with shared access for readers.
#[derive(Debug, Default)]
pub struct RwLock<T>(sync::RwLock<T>);

/// A held lock. Dropping it unlocks.
#[derive(Debug)]
pub struct Guard<G> {
    // Dropped first: the lock is released inside the gate.
    guard: G,
    _inside: Inside,
}

impl<T> Mutex<T> {
    /// A lock around `value`, held by nobody.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<sync::MutexGuard<'_, T>> {
        lock(|| self.0.lock(), || self.0.try_lock())
    }

    /// Waits for the lock, at most for `patience`; `None` if that is not enough.
    pub(crate) fn try_lock_for(&self, patience: Duration) -> Option<Guard<sync::MutexGuard<'_, T>>> {
        let _inside = fork::enter();
        let guard = fork::until(Instant::now() + patience, || fork::taken(self.0.try_lock()))?;
        Some(Guard { guard, _inside })
    }
}

impl<T> RwLock<T> {
    /// A lock around `value`, held by nobody.
    pub const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    /// Waits until nobody writes.
    pub fn read(&self) -> Guard<sync::RwLockReadGuard<'_, T>> {
        lock(|| self.0.read(), || self.0.try_read())
    }

    /// Waits until nobody else reads or writes.
    pub fn write(&self) -> Guard<sync::RwLockWriteGuard<'_, T>> {
        lock(|| self.0.write(), || self.0.try_write())
    }
}

fn lock<G>(wait: impl FnOnce() -> LockResult<G>, mut ask: impl FnMut() -> TryLockResult<G>) -> Guard<G> {
    let _inside = fork::enter();
    if !fork::has_lost() {
        return Guard { guard: wait().unwrap_or_else(PoisonError::into_inner), _inside };
    }
    let guard = fork::until(Instant::now() + PATIENCE, || fork::taken(ask()));
    // Unwinds without running the panic hook, which would print to standard error. The C boundary catches it.
    let lost = || panic::resume_unwind(Box::new(LOST));
    Guard { guard: guard.unwrap_or_else(lost), _inside }
}

/// The time to wait for a lock that may be lost: its holder may not exist in this forked process.
const PATIENCE: Duration = Duration::from_millis(200);

const LOST: &str =
    "the process was forked while another thread had a lock of the library's, for longer than a fork waits";

impl<G: Deref> Deref for Guard<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Guard<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// A lock outside the gate, held for moments only. Another lock, which a fork waits for, must protect the value too: a
/// fork then finds this one held only together with the other.
#[derive(Debug, Default)]
pub(crate) struct InnerMutex<T>(sync::Mutex<T>);

impl<T> InnerMutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
