//! The handlers of a signal that were there before the library's: a host's own, which go on getting what is theirs.
#![expect(unsafe_code, reason = "a handler reads what was put there for it, and the kernel's information")]

use std::iter;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::action::{self, Handler};
use super::info::Info;

/// The handlers that one signal had before the library's, the last one first. They are never freed, as handlers read them.
pub(crate) struct Chain(AtomicPtr<Before>);

/// What has handled the signal before.
struct Before {
    action: libc::sigaction,
    /// What has handled it before that, when the library's handler was installed for the first time.
    earlier: Option<&'static Self>,
}

impl Chain {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Installs the library's `handler`, and remembers the one before.
    pub(crate) fn install(&self, number: i32, handler: Handler) {
        let last = self.0.load(Ordering::Acquire);
        let before = action::current(number);
        // The handler may have to pass on a signal from the first moment.
        if !action::is(&before, handler) {
            let same = |action: &libc::sigaction| (action.sa_sigaction, action.sa_flags);
            let known = all(last).find(|known| same(&known.action) == same(&before));
            let known = known.map(|known| ptr::from_ref(known).cast_mut());
            let new = || Box::into_raw(Box::new(Before { action: before, earlier: all(last).next() }));
            // Unless another thread, which sends the signal too, has come first: it has found the same.
            let next = known.unwrap_or_else(new);
            let _ = self.0.compare_exchange(last, next, Ordering::AcqRel, Ordering::Relaxed);
        }
        action::install(number, handler, libc::SA_RESTART);
    }

    /// Gives a signal to a handler from before: to the last one, or to the one before it if that, which was installed after the
    /// library's, has passed the signal on to the library's.
    pub(crate) fn pass_on(&self, number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel passes a `siginfo_t`, which is that; it is this signal's own, on the stack.
        let times = unsafe { &mut *info.cast::<Info>() }.pass_on();
        if let Some(before) = all(self.0.load(Ordering::Acquire)).nth(times) {
            let has_info = before.action.sa_flags & libc::SA_SIGINFO != 0;
            action::call(before.action.sa_sigaction, has_info, number, info, context);
        }
    }
}

/// The last handler before the library's, and those before it.
fn all(last: *const Before) -> impl Iterator<Item = &'static Before> {
    // SAFETY: null, or one that was put there to stay.
    iter::successors(unsafe { last.as_ref() }, |before| before.earlier)
}
