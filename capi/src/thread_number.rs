//! The number of a thread, by which others know what is its own.

use std::cell::Cell;
// From `std`, not `sync`: it only numbers threads, and no thread waits for another here.
use std::sync::atomic::{AtomicU64, Ordering};

use extism_core::sync;

sync::thread_local! {
    // Has no destructor: it stays valid until the thread is gone.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// The number of this thread, from 1 up. Never given to another, unlike the system's thread ids, but to one that stands in
/// for it.
#[inline]
pub fn thread_number() -> u64 {
    NUMBER.with(|number| if number.get() == 0 { begin(number) } else { number.get() })
}

/// Has this thread, which is new, do the work of the thread of this number, which waits for it: what is that one's own is
/// this one's.
#[allow(dead_code, reason = "the models take this file, and have no such threads")]
pub(crate) fn stand_in_for(number: u64) {
    NUMBER.with(|place| place.set(number));
}

#[cold]
fn begin(number: &Cell<u64>) -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    number.set(NUMBERS.fetch_add(1, Ordering::Relaxed));
    number.get()
}
