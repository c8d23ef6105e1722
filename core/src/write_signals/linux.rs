//! Holds the signals of a write off its thread.
#![expect(unsafe_code, reason = "the C library's functions about signals")]

use std::fs;
use std::mem::MaybeUninit;
use std::process;
use std::ptr;

use libc::{SIG_BLOCK, SIG_SETMASK, SIGPIPE, SIGXFSZ, c_int, siginfo_t, sigset_t, timespec};

const SIGNALS: [c_int; 2] = [SIGPIPE, SIGXFSZ];

/// Runs `write`, which may write to any file, with SIGPIPE and SIGXFSZ held off this thread. Costs four system calls.
///
/// A signal that was pending before stays pending, and one that is sent meanwhile, by another process or by this one to
/// itself, is delivered afterwards: a host that blocks these signals and waits for them misses none.
pub(crate) fn held<T>(write: impl FnOnce() -> T) -> T {
    let _held = Held::new();
    write()
}

/// Blocks both signals on this thread until it is dropped, also by a panic.
struct Held {
    /// The thread's mask as it was.
    mask: sigset_t,
    /// The signals that were not pending before. If one is pending at the end, the write has raised it.
    raisable: sigset_t,
}

impl Held {
    fn new() -> Self {
        let both = set_of(&SIGNALS);
        let mut mask = set_of(&[]);
        // SAFETY: it reads one set and writes one; it changes only this thread's mask.
        unsafe { libc::pthread_sigmask(SIG_BLOCK, &raw const both, &raw mut mask) };
        let pending = pending();
        let mut raisable = both;
        for signal in SIGNALS {
            if contains(&pending, signal) {
                remove(&mut raisable, signal);
            }
        }
        Self { mask, raisable }
    }

    /// Leaves signals pending that were sent to the whole process. The kernel sends a write's signal to the writing
    /// thread, and otherwise it looks the same as one that the process has sent to itself by `kill`.
    fn keep_those_of_the_process(&mut self) {
        let pending = pending();
        if !SIGNALS.iter().any(|signal| contains(&pending, *signal) && contains(&self.raisable, *signal)) {
            return;
        }
        // Without `/proc`, all are taken for the write's.
        let Some(own) = pending_of_this_thread() else { return };
        for signal in SIGNALS {
            if own & 1 << (signal - 1) == 0 {
                remove(&mut self.raisable, signal);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keep_those_of_the_process();
        while let Some((signal, sender)) = take_pending(&self.raisable) {
            remove(&mut self.raisable, signal);
            // The kernel names this process as the sender of a write's signal. Signals of others are sent again.
            let own = process::id().cast_signed();
            if sender != own {
                // SAFETY: it only takes numbers.
                unsafe { libc::kill(own, signal) };
            }
        }
        // SAFETY: the set is read; it is the mask that this thread had.
        unsafe { libc::pthread_sigmask(SIG_SETMASK, &raw const self.mask, ptr::null_mut()) };
    }
}

/// The pending signals that are blocked, of this thread and of the process.
pub(super) fn pending() -> sigset_t {
    let mut pending = set_of(&[]);
    // SAFETY: the set is written.
    unsafe { libc::sigpending(&raw mut pending) };
    pending
}

/// The pending signals of this thread alone, a bit each from signal 1 on.
fn pending_of_this_thread() -> Option<u64> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let pending = status.lines().find_map(|line| line.strip_prefix("SigPnd:"))?;
    u64::from_str_radix(pending.trim(), 16).ok()
}

/// Removes one pending signal of `signals`, of this thread or else of the process; returns it and its sender.
fn take_pending(signals: &sigset_t) -> Option<(c_int, libc::pid_t)> {
    let no_time = timespec { tv_sec: 0, tv_nsec: 0 };
    let mut info = MaybeUninit::<siginfo_t>::zeroed();
    // SAFETY: it reads the set and the time, and writes the information.
    let signal = unsafe { libc::sigtimedwait(ptr::from_ref(signals), info.as_mut_ptr(), &raw const no_time) };
    if signal <= 0 {
        return None;
    }
    // SAFETY: it holds numbers only, and zeros are valid.
    let info = unsafe { info.assume_init() };
    // SAFETY: the kernel fills in the sender of these signals, whatever raised them.
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
