//! Chains of signal handlers: a host's handlers, installed before the library's, keep receiving their own signals.
#![expect(unsafe_code, reason = "a handler reads what was put there for it, and the kernel's information")]

use std::iter;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::action::{self, Handler};
use super::info::Info;

/// The handlers that one signal had before the library's, newest first. Never freed, because handlers read them.
pub(crate) struct Chain(AtomicPtr<Before>);

/// One earlier handler of the signal.
struct Before {
    action: libc::sigaction,
    /// The next older handler.
    earlier: Option<&'static Self>,
}

impl Chain {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Installs the library's `handler`, and remembers the one that it replaces.
    pub(crate) fn install(&self, number: i32, handler: Handler) {
        let last = self.0.load(Ordering::Acquire);
        let before = action::current(number);
        // Recorded first: the handler may have to pass on a signal as soon as it is installed.
        if !action::is(&before, handler) {
            let same = |action: &libc::sigaction| (action.sa_sigaction, action.sa_flags);
            let known = all(last).find(|known| same(&known.action) == same(&before));
            let known = known.map(|known| ptr::from_ref(known).cast_mut());
            let new = || Box::into_raw(Box::new(Before { action: before, earlier: all(last).next() }));
            // If another thread that sends the signal was faster, it has recorded the same handler.
            let next = known.unwrap_or_else(new);
            let _ = self.0.compare_exchange(last, next, Ordering::AcqRel, Ordering::Relaxed);
        }
        action::install(number, handler, libc::SA_RESTART);
    }

    /// Passes a signal to the newest earlier handler. If that one was installed after the library's and has passed the
    /// signal back to the library's, the next older handler gets it.
    pub(crate) fn pass_on(&self, number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel passes a `siginfo_t`, which `Info` mirrors; it belongs to this signal alone, on the stack.
        let times = unsafe { &mut *info.cast::<Info>() }.pass_on();
        if let Some(before) = all(self.0.load(Ordering::Acquire)).nth(times) {
            let has_info = before.action.sa_flags & libc::SA_SIGINFO != 0;
            action::call(before.action.sa_sigaction, has_info, number, info, context);
        }
    }
}

/// The handlers from `last` on, newest first.
fn all(last: *const Before) -> impl Iterator<Item = &'static Before> {
    // SAFETY: null, or an entry that is never freed.
    iter::successors(unsafe { last.as_ref() }, |before| before.earlier)
}
