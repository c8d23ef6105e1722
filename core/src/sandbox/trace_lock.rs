//! Holds the lock of the crate `backtrace`, which each trap takes briefly in Wasmer's signal handler. Only a stack walk
//! can take that lock, so a [`TraceLock`] starts one, as a coroutine with its own stack, and suspends it in the middle.
#![expect(unsafe_code, reason = "a second stack on this thread")]

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;

use libc::ucontext_t;

/// The lock, held until it is dropped by the thread that took it.
pub(crate) struct TraceLock {
    walk: *mut Walk,
}

/// The coroutine that walks the stack, and the code that waits for it. One of the two runs at a time.
struct Walk {
    walker: MaybeUninit<ucontext_t>,
    waiting: MaybeUninit<ucontext_t>,
    /// Set when the walk is suspended, and so holds the lock.
    has_lock: bool,
    stack: Vec<u8>,
}

/// In bytes: the unwinder needs some kilobytes.
const STACK: usize = 64 << 10;

thread_local! {
    /// Hands the walk to [`begin`], as `makecontext` passes no pointers.
    static WALK: Cell<*mut Walk> = const { Cell::new(ptr::null_mut()) };
}

impl TraceLock {
    /// Waits for the lock. Threads hold it while they walk the stack of a plugin. `None` if the system refuses.
    pub(crate) fn take() -> Option<Self> {
        let (walker, waiting) = (MaybeUninit::zeroed(), MaybeUninit::zeroed());
        let walk = Walk { walker, waiting, has_lock: false, stack: vec![0; STACK] };
        // From here on the walk must not move: contexts have pointers into themselves.
        let this = Self { walk: Box::into_raw(Box::new(walk)) };
        // SAFETY: the box was just leaked, and nothing else refers to it.
        let walk = unsafe { &mut *this.walk };
        // SAFETY: the pointer is to memory of the size of a context.
        if unsafe { libc::getcontext(walk.walker.as_mut_ptr()) } != 0 {
            return None;
        }
        let after = walk.waiting.as_mut_ptr();
        // SAFETY: `getcontext` has written it; its other bytes are zeros, which are valid values of its fields.
        let walker = unsafe { walk.walker.assume_init_mut() };
        walker.uc_stack.ss_sp = walk.stack.as_mut_ptr().cast();
        walker.uc_stack.ss_size = walk.stack.len();
        walker.uc_link = after;
        // SAFETY: the context is initialised, and has a stack and a successor.
        unsafe { libc::makecontext(walker, begin, 0) };
        WALK.set(this.walk);
        this.go_on();
        // SAFETY: the box is alive, and the coroutine is suspended or has ended.
        let has_lock = unsafe { (*this.walk).has_lock };
        has_lock.then_some(this)
    }

    /// Resumes the walk until it is suspended or ends.
    fn go_on(&self) {
        let walk = self.walk;
        // SAFETY: the box is alive, and this only takes the address of a field.
        let waiting = unsafe { &raw mut (*walk).waiting };
        // SAFETY: as above.
        let walker = unsafe { &raw const (*walk).walker };
        // SAFETY: `walker` is from `makecontext`, or from the suspended walk, which returns to `waiting`, written here.
        unsafe { libc::swapcontext(waiting.cast(), walker.cast()) };
    }
}

impl Drop for TraceLock {
    fn drop(&mut self) {
        // SAFETY: the box is alive, and the coroutine does not run.
        if unsafe { (*self.walk).has_lock } {
            self.go_on();
        }
        // SAFETY: the pointer is from `Box::into_raw`, and the walk has ended, or never began.
        drop(unsafe { Box::from_raw(self.walk) });
    }
}

/// The function of the coroutine.
extern "C" fn begin() {
    let walk = WALK.replace(ptr::null_mut());
    backtrace::trace(|_| {
        stop(walk);
        false
    });
}

/// Suspends the walk while it holds the lock, until it is resumed.
fn stop(walk: *mut Walk) {
    // SAFETY: the box lives until the walk has ended, and the waiting code does not use it while the walk runs.
    unsafe { (*walk).has_lock = true };
    // SAFETY: as above; this only takes the address of a field.
    let walker = unsafe { &raw mut (*walk).walker };
    // SAFETY: as above.
    let waiting = unsafe { &raw const (*walk).waiting };
    // SAFETY: the waiting code wrote its context when it resumed the walk.
    unsafe { libc::swapcontext(walker.cast(), waiting.cast()) };
}

#[cfg(test)]
mod tests {
    use super::TraceLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn nobody_else_walks_a_stack_meanwhile() {
        let has_walked = AtomicBool::new(false);
        let lock = TraceLock::take().expect("a second stack");
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                backtrace::trace(|_| false);
                has_walked.store(true, Ordering::SeqCst);
            });
            // This thread holds the lock, so it can walk a stack.
            backtrace::trace(|_| false);
            thread::sleep(Duration::from_millis(5));
            assert!(!has_walked.load(Ordering::SeqCst));
            drop(lock);
            other.join().expect("no panic");
        });
        assert!(has_walked.load(Ordering::SeqCst));
        drop(TraceLock::take().expect("again"));
    }
}
