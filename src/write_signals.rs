//! Writing without the signals that a failed write raises.
//!
//! The kernel raises SIGPIPE for a write to a pipe or socket whose reader is gone, and SIGXFSZ for one beyond `RLIMIT_FSIZE`.
//! Both end a process that does not handle them. Their handling belongs to the host, so the library does not change it.
//! Instead, both are blocked on the writing thread while it writes, and what the write raised is removed before the mask is
//! restored. The write itself then says EPIPE or EFBIG.
//!
//! Only the calling thread is affected: for a write, the kernel directs these signals at the thread. On systems other than Linux
//! the write is done and nothing else; a host has to ignore the signals there.

/// Runs `write`, which may write to any file, with SIGPIPE and SIGXFSZ held off this thread. Costs four system calls.
///
/// A signal that was pending before stays pending, and one that another process sends meanwhile arrives afterwards: a host
/// that blocks these signals and waits for them finds all that it would have found.
#[cfg(target_os = "linux")]
pub(crate) fn held<T>(write: impl FnOnce() -> T) -> T {
    let _held = linux::Held::new();
    write()
}

/// Runs `write`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn held<T>(write: impl FnOnce() -> T) -> T {
    write()
}

#[cfg(target_os = "linux")]
mod linux {
    #![expect(unsafe_code, reason = "the C library's functions about signals")]

    use std::mem::MaybeUninit;
    use std::process;
    use std::ptr;

    use libc::{SIG_BLOCK, SIG_SETMASK, SIGPIPE, SIGXFSZ, c_int, siginfo_t, sigset_t, timespec};

    const SIGNALS: [c_int; 2] = [SIGPIPE, SIGXFSZ];

    /// Both signals are blocked on this thread until it is dropped, after a panic too.
    pub(super) struct Held {
        /// The thread's mask as it was.
        mask: sigset_t,
        /// Those that were not pending before. If they are at the end, the write has raised them.
        raisable: sigset_t,
    }

    impl Held {
        pub(super) fn new() -> Self {
            let both = set_of(&SIGNALS);
            let mut mask = set_of(&[]);
            // SAFETY: one set is read, one is written; of the process, only this thread's mask changes.
            unsafe { libc::pthread_sigmask(SIG_BLOCK, &raw const both, &raw mut mask) };
            let mut pending = set_of(&[]);
            // SAFETY: the set is written.
            unsafe { libc::sigpending(&raw mut pending) };
            let mut raisable = both;
            for signal in SIGNALS {
                if contains(&pending, signal) {
                    remove(&mut raisable, signal);
                }
            }
            Self { mask, raisable }
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            while let Some((signal, sender)) = take_pending(&self.raisable) {
                remove(&mut self.raisable, signal);
                // The kernel names this process as the sender of what a write raises. A signal of another's is sent again.
                let own = process::id().cast_signed();
                if sender != own {
                    // SAFETY: it takes numbers only.
                    unsafe { libc::kill(own, signal) };
                }
            }
            // SAFETY: the set is read; it is the mask that this thread had.
            unsafe { libc::pthread_sigmask(SIG_SETMASK, &raw const self.mask, ptr::null_mut()) };
        }
    }

    /// Takes one of `signals` that is pending for this thread, or else for the process. Returns it and who sent it.
    fn take_pending(signals: &sigset_t) -> Option<(c_int, libc::pid_t)> {
        let no_time = timespec { tv_sec: 0, tv_nsec: 0 };
        let mut info = MaybeUninit::<siginfo_t>::zeroed();
        // SAFETY: set and time are read, the information is written.
        let signal = unsafe { libc::sigtimedwait(ptr::from_ref(signals), info.as_mut_ptr(), &raw const no_time) };
        if signal <= 0 {
            return None;
        }
        // SAFETY: numbers only, for which zeros are values too.
        let info = unsafe { info.assume_init() };
        // SAFETY: the kernel fills the sender in for these signals, whoever has raised them.
        let sender = unsafe { info.si_pid() };
        Some((signal, sender))
    }

    pub(super) fn set_of(signals: &[c_int]) -> sigset_t {
        let mut set = MaybeUninit::<sigset_t>::zeroed();
        // SAFETY: the set is written.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: it was written.
        let mut set = unsafe { set.assume_init() };
        for signal in signals {
            // SAFETY: the set is written; the numbers are signals.
            unsafe { libc::sigaddset(&raw mut set, *signal) };
        }
        set
    }

    pub(super) fn contains(set: &sigset_t, signal: c_int) -> bool {
        // SAFETY: the set is read; the number is a signal.
        unsafe { libc::sigismember(ptr::from_ref(set), signal) == 1 }
    }

    fn remove(set: &mut sigset_t, signal: c_int) {
        // SAFETY: the set is written; the number is a signal.
        unsafe { libc::sigdelset(ptr::from_mut(set), signal) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
