//! What a thread knows of itself, in thread-local storage.
#![expect(unsafe_code, reason = "a signal's handler needs an atomic, which holds an address")]

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::signal;
use super::record::Record;


/// Has no destructor: it is there until the very end of the thread.
pub(crate) struct ThisThread {
    /// The record of what it runs.
    pub(crate) current: Current,
    /// The kernel's number of it; 0 as long as it is not ready for the signals.
    pub(crate) number: Cell<i32>,
}

thread_local! {
    pub(crate) static THREAD: ThisThread = const { ThisThread { current: Current::new(), number: Cell::new(0) } };
}

impl ThisThread {
    /// The kernel's number of the thread. `prepare` is what else it has to do before its first run.
    pub(crate) fn number(&self, prepare: impl FnOnce()) -> i32 {
        if self.number.get() == 0 {
            self.number.set(signal::prepare(self));
            prepare();
        }
        self.number.get()
    }
}

/// A record, or none. Only its thread uses it; a signal's handler may do so between any two instructions of the same thread.
pub(crate) struct Current(AtomicPtr<Record>);

impl Current {
    const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> Option<&'static Record> {
        // SAFETY: null, or a record that `set` was given, which lives for ever.
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
