//! The gate that makes `fork` safe. The new process has the thread that forked and no other: a lock that another thread had at that
//! moment stays locked there for ever, and what it was changing stays half changed.
//!
//! A thread enters before it takes a lock that threads share, or lets Wasmer take one, and leaves when it has given that back. The
//! thread that forks closes the gate, waits until no other thread is inside, and opens it again in both processes. Inside, no thread
//! waits for something that may take long: no plugin runs, nothing is compiled or fetched, and the host's logger is not called. So
//! closing it mostly takes microseconds.
//!
//! The locks of `sync.rs` enter by themselves. Entering writes to memory that all threads share, so a plain call does not enter.
//! A lock that may be held for long, such as that of a plugin, can be lost instead (`sync/reentrant.rs`). `ffi/fork.rs` lists all that
//! is done before and after a fork.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// How many threads are inside.
static INSIDE: AtomicU32 = AtomicU32::new(0);

/// Whether somebody is about to fork.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Locked by who forks, as long as the gate is closed: threads that want to enter wait for it.
static CLOSING: Mutex<()> = Mutex::new(());

/// How many forks lie between the first process with this library in it and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// This process was forked although another thread was inside for too long: locks may be lost.
static HAS_LOST: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// How often this thread has entered.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// This thread is inside as long as this lives.
#[derive(Debug)]
#[must_use]
pub(crate) struct Inside {
    /// It belongs to its thread.
    _here: PhantomData<*const ()>,
}

/// Enters. Waits if another thread is about to fork, unless this one is inside already.
pub(crate) fn enter() -> Inside {
    DEPTH.with(|depth| {
        let before = depth.get();
        depth.set(before + 1);
        if before == 0 {
            come_in();
        }
    });
    Inside { _here: PhantomData }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.with(|depth| {
            depth.set(depth.get() - 1);
            if depth.get() == 0 {
                INSIDE.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }
}

fn come_in() {
    loop {
        // Either this finds the gate closed, or who has closed it finds this thread inside.
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if !IS_CLOSED.load(Ordering::SeqCst) {
            return;
        }
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        drop(CLOSING.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// As the first field of a struct whose last one is [`LeaveWhenDropped`]: what is between them is dropped inside.
#[derive(Debug, Default)]
pub(crate) struct EnterWhenDropped;

impl Drop for EnterWhenDropped {
    fn drop(&mut self) {
        mem::forget(enter());
    }
}

/// See [`EnterWhenDropped`].
#[derive(Debug, Default)]
pub(crate) struct LeaveWhenDropped;

impl Drop for LeaveWhenDropped {
    fn drop(&mut self) {
        drop(Inside { _here: PhantomData });
    }
}

/// Does `work`, which may take long or lead anywhere, such as into the host, outside, even if this thread is inside. It must have none
/// of the locks then.
pub(crate) fn outside<T>(work: impl FnOnce() -> T) -> T {
    struct Back(u32);

    impl Drop for Back {
        fn drop(&mut self) {
            if self.0 > 0 {
                DEPTH.set(self.0);
                come_in();
            }
        }
    }

    let back = Back(DEPTH.replace(0));
    if back.0 > 0 {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
    work()
}

/// Counts the processes that were forked off, one from the other, up to this one.
#[cfg(any(feature = "compiler", feature = "http"))]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Whether locks that nobody has may be locked in this process.
pub(crate) fn has_lost() -> bool {
    HAS_LOST.load(Ordering::Relaxed)
}

/// The closed gate, from before a fork until after it: it opens when this is dropped.
pub(crate) struct Closed {
    /// Unless another thread has had it for too long.
    closing: Option<MutexGuard<'static, ()>>,
    /// Nobody else was inside.
    is_empty: bool,
}

/// Closes the gate and waits until `deadline` that nobody else is inside.
pub(crate) fn close(deadline: Instant) -> Closed {
    let closing = until(deadline, || match CLOSING.try_lock() {
        Ok(closing) => Some(closing),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    });
    // What another thread has closed is its own to open.
    let is_empty = closing.is_some() && {
        IS_CLOSED.store(true, Ordering::SeqCst);
        until(deadline, || (INSIDE.load(Ordering::SeqCst) <= own()).then_some(())).is_some()
    };
    Closed { closing, is_empty }
}

impl Closed {
    /// Opens the gate in the new process.
    pub(crate) fn open_forked(self) {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        HAS_LOST.store(!self.is_empty || has_lost(), Ordering::Relaxed);
        // Threads that were about to enter are not there any more.
        INSIDE.store(own(), Ordering::SeqCst);
        IS_CLOSED.store(false, Ordering::SeqCst);
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        if self.closing.is_some() {
            IS_CLOSED.store(false, Ordering::SeqCst);
        }
    }
}

/// What this thread has counted for itself: it may fork while it is inside, in a handler of a signal.
fn own() -> u32 {
    u32::from(DEPTH.get() > 0)
}

/// Asks until there is an answer, or `deadline` has come.
pub(crate) fn until<T>(deadline: Instant, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    const PAUSE: Duration = Duration::from_micros(20);
    loop {
        match ask() {
            None if Instant::now() < deadline => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IS_CLOSED, close, enter, outside};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// Other tests enter at the same time, and leave soon.
    #[test]
    fn who_closes_the_gate_waits_for_those_inside_and_others_for_that() {
        let (is_inside, may_leave) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let inside = enter();
            let nested = enter();
            let closed = scope.spawn(|| {
                let closed = close(soon());
                assert!(closed.is_empty && may_leave.load(Ordering::SeqCst));
                let late = scope.spawn(|| {
                    let _inside = enter();
                    is_inside.store(true, Ordering::SeqCst);
                });
                thread::sleep(Duration::from_millis(5));
                assert!(!is_inside.load(Ordering::SeqCst), "the gate is closed");
                drop(closed);
                late.join().expect("no panic");
            });
            while !IS_CLOSED.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            // Who is inside may enter again.
            drop(enter());
            drop(nested);
            may_leave.store(true, Ordering::SeqCst);
            drop(inside);
            closed.join().expect("no panic");
        });
        assert!(is_inside.load(Ordering::SeqCst));
        // Nobody waits for long, and not at all for what is done outside.
        let is_empty = |deadline| close(deadline).is_empty;
        let _inside = enter();
        thread::scope(|scope| {
            let closing = scope.spawn(|| is_empty(Instant::now() + Duration::from_millis(5)));
            assert!(!closing.join().expect("no panic"), "this thread is inside");
            let closing = || scope.spawn(|| is_empty(soon())).join().expect("no panic");
            assert!(outside(closing));
        });
    }
}
