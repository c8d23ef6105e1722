//! A thread's own state, in thread-local storage.
#![expect(unsafe_code, reason = "a signal's handler needs an atomic, which holds an address")]

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::record::Record;

/// Has no destructor: valid until the thread is gone.
pub(crate) struct ThisThread {
    /// The record of its current run.
    pub(crate) current: Current,
    /// The thread's kernel id; 0 until `signal::prepare` has made the thread ready for the signals.
    pub(crate) number: Cell<i32>,
}

thread_local! {
    pub(crate) static THREAD: ThisThread = const { ThisThread { current: Current::new(), number: Cell::new(0) } };
}

/// True if this thread is in the middle of a run.
pub fn is_running_here() -> bool {
    THREAD.with(|thread| thread.current.get().is_some())
}

/// A record, or none. Used by its own thread only, whose signal handlers may run between any two instructions.
pub(crate) struct Current(AtomicPtr<Record>);

impl Current {
    const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> Option<&'static Record> {
        // SAFETY: null, or a record that `set` was given, which is never freed.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }

    pub(crate) fn set(&self, record: Option<&'static Record>) {
        self.0.store(record.map_or(ptr::null_mut(), |record| ptr::from_ref(record).cast_mut()), Ordering::Relaxed);
    }

    pub(crate) fn replace(&self, record: &'static Record) -> Option<&'static Record> {
        let before = self.get();
        self.set(Some(record));
        before
    }
}
