//! The gate that makes `fork` safe. A forked process has one thread, a copy of the one that forked. A lock that another
//! thread held stays locked there for ever, and data that it was changing stays half changed.
//!
//! A thread enters the gate before it takes a lock that threads share, or lets Wasmer take one, and leaves after
//! releasing it. The thread that forks closes the gate, waits until no other thread is inside, and opens it again in
//! both processes. No thread inside may wait for anything that takes long: it runs no plugin, compiles and fetches
//! nothing, and does not call the host's logger. Closing the gate therefore mostly takes microseconds.
//!
//! `Mutex` and `RwLock` of `sync/` enter by themselves. Entering writes to memory that all threads share, so a plain
//! call does not enter. A lock that may be held for long, such as a plugin's, can be lost instead
//! (`sync/reentrant.rs`). `capi/src/fork.rs` lists the steps before and after a fork.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError, TryLockResult};
use std::thread;
use std::time::{Duration, Instant};

/// The number of threads inside.
static INSIDE: AtomicU32 = AtomicU32::new(0);

/// True while the gate is closed, because a thread is about to fork.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Locked by the forking thread while the gate is closed: threads that want to enter wait for it.
static CLOSING: Mutex<()> = Mutex::new(());

/// The number of forks between the first process that used this library and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// This process was forked while another thread stayed inside for too long: its locks may be lost.
static HAS_LOST: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Nesting depth of this thread's entries.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Keeps this thread inside until it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Inside {
    /// Makes the type neither `Send` nor `Sync`.
    _here: PhantomData<*const ()>,
}

/// Enters the gate. Waits while another thread is about to fork, unless this thread is inside already.
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
        // Either this thread sees the closed gate, or the thread that closes it sees this one inside.
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if !IS_CLOSED.load(Ordering::SeqCst) {
            return;
        }
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        drop(CLOSING.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// First field of a struct whose last is [`LeaveWhenDropped`]: the fields between them are dropped inside the gate.
#[derive(Debug, Default)]
pub(crate) struct EnterWhenDropped;

impl Drop for EnterWhenDropped {
    fn drop(&mut self) {
        mem::forget(enter());
    }
}

/// Leaves the gate that [`EnterWhenDropped`] has entered.
#[derive(Debug, Default)]
pub(crate) struct LeaveWhenDropped;

impl Drop for LeaveWhenDropped {
    fn drop(&mut self) {
        drop(Inside { _here: PhantomData });
    }
}

/// Runs `work`, which may take long or call anything, such as the host, outside the gate even if this thread is inside.
/// The thread must hold no lock of `sync/`.
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

/// The number of forks that lead to this process.
#[cfg(any(feature = "compiler", feature = "http"))]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// True if locks whose holders do not exist may be locked in this process.
pub(crate) fn has_lost() -> bool {
    HAS_LOST.load(Ordering::Relaxed)
}

/// The closed gate, from before a fork until after it; opens when dropped.
pub struct Closed {
    /// `None` if another thread kept the lock past the deadline.
    closing: Option<MutexGuard<'static, ()>>,
    /// No other thread was inside.
    is_empty: bool,
}

/// Closes the gate and waits, at most until `deadline`, for other threads to leave.
///
/// Only for the steps around a fork (`capi/src/fork.rs`): until it is opened, other threads wait.
pub fn close(deadline: Instant) -> Closed {
    let closing = until(deadline, || taken(CLOSING.try_lock()));
    // If another thread has closed the gate, that thread opens it.
    let is_empty = closing.is_some() && {
        IS_CLOSED.store(true, Ordering::SeqCst);
        until(deadline, || (INSIDE.load(Ordering::SeqCst) <= own()).then_some(())).is_some()
    };
    Closed { closing, is_empty }
}

impl Closed {
    /// Opens the gate in the new process.
    ///
    /// Only for the steps around a fork: in a process with other threads it takes state from under them.
    pub fn open_forked(self) {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        HAS_LOST.store(!self.is_empty || has_lost(), Ordering::Relaxed);
        // Threads that were inside or about to enter do not exist in this process.
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

/// This thread's share of [`INSIDE`]: it may fork while it is inside, in a signal handler.
fn own() -> u32 {
    u32::from(DEPTH.get() > 0)
}

/// Calls `ask` until it returns a value, or `deadline` has passed.
pub(crate) fn until<T>(deadline: Instant, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    const PAUSE: Duration = Duration::from_micros(20);
    loop {
        match ask() {
            None if Instant::now() < deadline => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

/// The guard if the lock was free.
pub(crate) fn taken<G>(asked: TryLockResult<G>) -> Option<G> {
    match asked {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
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

    /// Other tests enter and leave at the same time.
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
            // A thread that is inside may enter again.
            drop(enter());
            drop(nested);
            may_leave.store(true, Ordering::SeqCst);
            drop(inside);
            closed.join().expect("no panic");
        });
        assert!(is_inside.load(Ordering::SeqCst));
        // Closing gives up at its deadline, and does not wait for threads in `outside`.
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
