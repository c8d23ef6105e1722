//! The signals that make a thread trap in a plugin's code.
//!
//! There are two ways to send one. A real-time signal with a code of the library's own ([`SIGNAL`]) is never taken
//! for a signal of the host's. It needs a place in the kernel's queue, which is bounded per user (`RLIMIT_SIGPENDING`),
//! and a system call that some filters refuse. If it cannot be sent, a standard signal ([`URGENT`]) is: it needs no
//! place in a queue, because one pending signal stands for all. Both have the same handler (`handler.rs`).
#![expect(unsafe_code, reason = "the kernel and a signal's handler know addresses only")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::LazyLock;

use super::chain::Chain;
use super::handler::{BEFORE_REALTIME, BEFORE_URGENT, URGENT, handle, keep, key};
use super::info::Info;
use super::this_thread::ThisThread;
use super::{action, alternate_stack};

pub(crate) type Errno = i32;

/// The library's real-time signal: one that nobody uses, else the last but one. Its handler is installed on first use.
static SIGNAL: LazyLock<i32> = LazyLock::new(|| {
    let candidates = || (libc::SIGRTMIN()..libc::SIGRTMAX()).rev();
    let is_free = |number: &i32| action::current(*number).sa_sigaction == libc::SIG_DFL;
    // A blocked signal may be in use by sigwaitinfo(2) or signalfd(2).
    let blocked = Blocked::new();
    let is_unused = |number: &i32| is_free(number) && !blocked.was_blocked(*number);
    let number = candidates().find(is_unused).or_else(|| candidates().find(is_free)).unwrap_or(libc::SIGRTMAX() - 1);
    BEFORE_REALTIME.install(number, handle);
    number
});

/// Makes this thread ready for the signals; returns its kernel id, or 0 if there is no memory for that. Some hosts have
/// threads that block all signals: a trap's signal cannot wait, and would end the process there.
#[cold]
pub(crate) fn prepare(this: &ThisThread) -> i32 {
    alternate_stack::prepare();
    if !keep(this) {
        return 0;
    }
    let mut ours = MaybeUninit::zeroed();
    // SAFETY: it makes an empty set.
    unsafe { libc::sigemptyset(ours.as_mut_ptr()) };
    for signal in [*SIGNAL, URGENT, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
        // SAFETY: the set is initialised, and the number is that of a signal.
        unsafe { libc::sigaddset(ours.as_mut_ptr(), signal) };
    }
    // SAFETY: the set is initialised; the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, ours.as_ptr(), ptr::null_mut()) };
    this_number()
}

fn this_number() -> i32 {
    // SAFETY: it only asks.
    unsafe { libc::gettid() }
}

/// Sends a signal to `thread`; `false` if the thread is gone, or the system refuses both ways.
pub(crate) fn send(thread: i32) -> bool {
    let number = *SIGNAL;
    install_again(number, &BEFORE_REALTIME);
    if queue(thread, number) {
        return true;
    }
    if errno() == libc::ESRCH {
        return false;
    }
    install_again(URGENT, &BEFORE_URGENT);
    kill(thread, URGENT)
}

/// Tells whether this thread can send signals to other threads of the process.
pub(crate) fn can_send() -> Result<(), Errno> {
    if key().is_none() {
        return Err(libc::EAGAIN);
    }
    // Signal 0 runs all checks and sends nothing.
    let thread = this_number();
    if queue(thread, 0) || kill(thread, 0) { Ok(()) } else { Err(errno()) }
}

/// The host may have replaced the handler. Without one, the real-time signal would end the process.
fn install_again(number: i32, before: &Chain) {
    if !action::is(&action::current(number), handle) {
        before.install(number, handle);
    }
}

fn queue(thread: i32, number: i32) -> bool {
    let process = std::process::id().cast_signed();
    let mut info = Info::ours(number, process);
    // SAFETY: the kernel reads one `Info`; the thread belongs to this process, or does not exist.
    unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, number, &raw mut info) == 0 }
}

fn kill(thread: i32, number: i32) -> bool {
    let process = std::process::id().cast_signed();
    // SAFETY: it only sends; the thread belongs to this process, or does not exist.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, number) == 0 }
}

/// The error of the last system call.
fn errno() -> Errno {
    io::Error::last_os_error().raw_os_error().unwrap_or_default()
}

/// Blocks all signals on this thread, and on threads that it makes, until dropped.
pub(crate) struct Blocked(libc::sigset_t);

impl Blocked {
    pub(crate) fn new() -> Self {
        let (mut all, mut before) = (MaybeUninit::zeroed(), MaybeUninit::zeroed());
        // SAFETY: it makes a set of all signals.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: the set is initialised; the old one has room.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: written, or all zeros, the empty set.
        Self(unsafe { before.assume_init() })
    }

    /// True if the thread blocked this signal before.
    fn was_blocked(&self, number: i32) -> bool {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&raw const self.0, number) == 1 }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the thread's earlier mask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
