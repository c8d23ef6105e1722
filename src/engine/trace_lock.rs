//! The lock of the crate `backtrace`, which each trap takes for a moment, in Wasmer's handler of a signal. Nobody can take it but who
//! walks a stack; so this does, on a stack of its own, and stops in the middle.
#![expect(unsafe_code, reason = "a second stack on this thread")]

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;

use libc::ucontext_t;

/// The lock, until it is dropped, by the same thread.
pub(super) struct TraceLock {
    walk: *mut Walk,
}

/// The walk and who waits for it, one of which goes on at a time.
struct Walk {
    walker: MaybeUninit<ucontext_t>,
    waiting: MaybeUninit<ucontext_t>,
    /// The walk has stopped in its middle.
    has_lock: bool,
    stack: Vec<u8>,
}

/// In bytes: the unwinder needs some kilobytes.
const STACK: usize = 64 << 10;

thread_local! {
    /// The walk that is to begin.
    static WALK: Cell<*mut Walk> = const { Cell::new(ptr::null_mut()) };
}

impl TraceLock {
    /// Waits for the lock. Threads have it for as long as it takes to walk the stack of a plugin. `None` if the system refuses.
    pub(super) fn take() -> Option<Self> {
        let (walker, waiting) = (MaybeUninit::zeroed(), MaybeUninit::zeroed());
        let walk = Walk { walker, waiting, has_lock: false, stack: vec![0; STACK] };
        // From here on it stays where it is: contexts have pointers into themselves.
        let this = Self { walk: Box::into_raw(Box::new(walk)) };
        // SAFETY: it is there, and nobody else has it.
        let walk = unsafe { &mut *this.walk };
        // SAFETY: there is room for a context.
        if unsafe { libc::getcontext(walk.walker.as_mut_ptr()) } != 0 {
            return None;
        }
        let after = walk.waiting.as_mut_ptr();
        // SAFETY: written, and all zeros before that, which are a valid value of it.
        let walker = unsafe { walk.walker.assume_init_mut() };
        walker.uc_stack.ss_sp = walk.stack.as_mut_ptr().cast();
        walker.uc_stack.ss_size = walk.stack.len();
        walker.uc_link = after;
        // SAFETY: the context was made, and has a stack and a context that comes after it.
        unsafe { libc::makecontext(walker, begin, 0) };
        WALK.set(this.walk);
        this.go_on();
        // SAFETY: it is there, and the walk has stopped.
        let has_lock = unsafe { (*this.walk).has_lock };
        has_lock.then_some(this)
    }

    /// Lets the walk go on, until it stops or ends.
    fn go_on(&self) {
        let walk = self.walk;
        // SAFETY: it is there; only its field is named.
        let waiting = unsafe { &raw mut (*walk).waiting };
        // SAFETY: as above.
        let walker = unsafe { &raw const (*walk).walker };
        // SAFETY: the walk has a context, which was made or in which it has stopped; it comes back to the one that is written here.
        unsafe { libc::swapcontext(waiting.cast(), walker.cast()) };
    }
}

impl Drop for TraceLock {
    fn drop(&mut self) {
        // SAFETY: it is there, and the walk does not run.
        if unsafe { (*self.walk).has_lock } {
            self.go_on();
        }
        // SAFETY: it came from a box, and the walk has ended.
        drop(unsafe { Box::from_raw(self.walk) });
    }
}

/// Where the walk begins, and ends.
extern "C" fn begin() {
    let walk = WALK.replace(ptr::null_mut());
    backtrace::trace(|_| {
        stop(walk);
        false
    });
}

/// Stops the walk with the lock taken, until who waits lets it go on.
fn stop(walk: *mut Walk) {
    // SAFETY: it is there as long as the walk has not ended, and who waits does not use it.
    unsafe { (*walk).has_lock = true };
    // SAFETY: as above; only its field is named.
    let walker = unsafe { &raw mut (*walk).walker };
    // SAFETY: as above.
    let waiting = unsafe { &raw const (*walk).waiting };
    // SAFETY: who waits has written its context.
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
            // This thread may: it has the lock.
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
