//! The errors of a context, one for each thread that failed in it.
//!
//! Threads that share a context fail side by side, and each asks for its own error; a call therefore clears the error
//! of its own thread only. A thread without an error gets the newest of all: some callers ask on another thread than
//! the one that failed, because Go's runtime may move a goroutine between two C calls.
//!
//! Clearing costs a plain call one read of a flag while no thread has an error in the context, and one read of the
//! thread's own count otherwise.

use std::cell::Cell;
use std::collections::BTreeMap;

use extism_core::sync::{self, AtomicBool, Mutex, Ordering};

use crate::thread_number::thread_number;

/// The maximum number of errors in one context. Beyond it the oldest is dropped: threads end, but their errors stay.
const MOST: usize = 256;

sync::thread_local! {
    /// The number of contexts that may have an error of this thread. Has no destructor, so that it is valid until the
    /// thread is gone.
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

/// Aligned, so that it shares no cache line with data that is written more often.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ThreadErrors {
    /// True if any thread may have an error. Changed only under the lock.
    is_set: AtomicBool,
    errors: Mutex<Errors>,
}

#[derive(Debug, Default)]
struct Errors {
    by_thread: BTreeMap<u64, Error>,
    /// The number of errors that were ever set.
    count: u64,
}

#[derive(Debug)]
struct Error {
    /// The error's number in order of arrival: newer errors have higher ones.
    age: u64,
    text: String,
}

impl ThreadErrors {
    /// Keeps `text` as this thread's, instead of the one before.
    pub fn set(&self, text: String) {
        COUNT.with(|count| {
            let mut errors = self.errors.lock();
            self.is_set.store(true, Ordering::Release);
            if errors.set(thread_number(), text) {
                count.set(count.get().saturating_add(1));
            }
        });
    }

    /// Forgets the text of this thread.
    #[inline]
    pub fn clear(&self) {
        if self.is_set.load(Ordering::Acquire) {
            COUNT.with(|count| {
                if count.get() > 0 {
                    self.clear_own(count);
                }
            });
        }
    }

    fn clear_own(&self, count: &Cell<u32>) {
        let mut errors = self.errors.lock();
        if errors.by_thread.remove(&thread_number()).is_some() {
            count.set(count.get().saturating_sub(1));
        }
        if errors.by_thread.is_empty() {
            self.is_set.store(false, Ordering::Release);
        }
    }

    /// The text of this thread, else the newest of any.
    pub fn get(&self) -> Option<String> {
        let errors = self.errors.lock();
        let newest = || errors.by_thread.values().max_by_key(|error| error.age);
        let error = errors.by_thread.get(&thread_number()).or_else(newest)?;
        Some(error.text.clone())
    }
}

impl Errors {
    /// Returns true if the thread had no error before.
    fn set(&mut self, thread: u64, text: String) -> bool {
        self.count += 1;
        let before = self.by_thread.insert(thread, Error { age: self.count, text });
        if self.by_thread.len() > MOST
            && let Some(oldest) = self.by_thread.iter().min_by_key(|(_, error)| error.age).map(|(thread, _)| *thread)
        {
            self.by_thread.remove(&oldest);
        }
        before.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{MOST, ThreadErrors};

    fn elsewhere(work: impl FnOnce() + Send) {
        thread::scope(|scope| scope.spawn(work).join().expect("no panic"));
    }

    #[test]
    fn each_thread_has_its_own_and_else_the_newest() {
        let errors = ThreadErrors::default();
        let is = |text: Option<&str>| assert_eq!(errors.get().as_deref(), text);
        is(None);
        elsewhere(|| errors.set("first".to_owned()));
        is(Some("first"));
        elsewhere(|| {
            errors.clear();
            is(Some("first"));
            errors.set("second".to_owned());
        });
        is(Some("second"));
        errors.set("own".to_owned());
        elsewhere(|| errors.set("third".to_owned()));
        is(Some("own"));
        errors.clear();
        is(Some("third"));
    }

    #[test]
    fn the_errors_of_threads_that_have_ended_are_bounded() {
        let errors = ThreadErrors::default();
        errors.set("own".to_owned());
        for number in 0..MOST + 10 {
            elsewhere(|| errors.set(number.to_string()));
        }
        assert_eq!(errors.errors.lock().by_thread.len(), MOST);
        let newest = (MOST + 9).to_string();
        assert_eq!(errors.get(), Some(newest.clone()), "this thread's was the oldest");
        errors.clear();
        assert_eq!(errors.get(), Some(newest), "those of others stay");
        errors.set("own again".to_owned());
        assert_eq!(errors.get().as_deref(), Some("own again"));
    }

    #[test]
    fn where_nobody_has_one_there_is_nothing_to_look_at() {
        let errors = ThreadErrors::default();
        errors.set("own".to_owned());
        errors.clear();
        assert!(!errors.is_set.load(super::Ordering::Relaxed));
        assert_eq!(errors.get(), None);
    }
}
