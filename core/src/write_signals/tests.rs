#![expect(unsafe_code, reason = "signals are raised and counted by the C library's functions")]

use std::io::{self, Write};
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{SIG_BLOCK, SIG_UNBLOCK, SIGPIPE, SIGXFSZ, c_int, sighandler_t};

use super::linux::{self, contains, held, set_of};

/// The number of handler calls.
static DELIVERED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: c_int) {
    DELIVERED.fetch_add(1, Ordering::Relaxed);
}

fn handle(signal: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: the handler does nothing but count, or is the one before.
    unsafe { libc::signal(signal, handler) }
}

fn change_mask(how: c_int, signals: &[c_int]) {
    let set = set_of(signals);
    // SAFETY: the set is read; of the process, only this thread's mask changes.
    unsafe { libc::pthread_sigmask(how, &raw const set, ptr::null_mut()) };
}

fn is_blocked(signal: c_int) -> bool {
    let mut mask = set_of(&[]);
    // SAFETY: the mask is written.
    unsafe { libc::pthread_sigmask(SIG_BLOCK, ptr::null(), &raw mut mask) };
    contains(&mask, signal)
}

/// Raises a signal on this thread, as the kernel does for a write.
fn raise(signal: c_int) {
    // SAFETY: it takes a number only.
    unsafe { libc::raise(signal) };
}

/// Sends a signal to this thread from another process, and waits for that process.
fn raise_from_outside(signal: c_int) {
    let process = process::id();
    // SAFETY: it has no arguments.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    // SAFETY: the child makes two system calls and nothing else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: it takes numbers only.
        unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
        // SAFETY: nothing is cleaned up.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
}

/// Sends a signal to this process, as opposed to this thread.
fn raise_for_process(signal: c_int) {
    // SAFETY: it takes numbers only.
    unsafe { libc::kill(process::id().cast_signed(), signal) };
}

/// The signals that are delivered in a process of one thread that does `work`. In one of several threads, another
/// thread takes those of the process at once.
fn delivered_to_one_thread(work: fn()) -> c_int {
    // SAFETY: of the child's locks, only the allocator's are needed, which the C library makes usable.
    let child = unsafe { libc::fork() };
    if child == 0 {
        DELIVERED.store(0, Ordering::Relaxed);
        held(work);
        let delivered = DELIVERED.load(Ordering::Relaxed);
        // SAFETY: nothing is cleaned up.
        unsafe { libc::_exit(c_int::try_from(delivered).unwrap_or(c_int::MAX)) };
    }
    let mut status = 0;
    // SAFETY: the status is written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "{status:#x}");
    libc::WEXITSTATUS(status)
}

fn write_to_nobody() {
    let (reader, mut writer) = io::pipe().expect("two descriptors are left");
    drop(reader);
    let error = writer.write(b"x").expect_err("nobody reads it");
    assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
}

/// A write's own signals are not delivered; all others are, once.
#[test]
fn only_what_the_write_raises_is_taken_away() {
    type Case = (&'static str, &'static [c_int], &'static [c_int], fn(), usize);
    // Name, signals blocked by the host, signals pending before, the work, how many signals are delivered in the end.
    let cases: [Case; 9] = [
        ("nothing", &[], &[], || {}, 0),
        ("a closed pipe", &[], &[], write_to_nobody, 0),
        ("a file that is too large", &[], &[], || raise(SIGXFSZ), 0),
        ("both", &[], &[], || [SIGPIPE, SIGXFSZ].map(raise).into_iter().collect(), 0),
        ("one in the other", &[], &[], || held(write_to_nobody), 0),
        ("the host blocks it", &[SIGPIPE], &[], write_to_nobody, 0),
        ("it was pending", &[SIGPIPE], &[SIGPIPE], write_to_nobody, 1),
        ("the other was pending", &[SIGXFSZ], &[SIGXFSZ], write_to_nobody, 1),
        ("it comes from outside", &[], &[], || raise_from_outside(SIGPIPE), 1),
    ];
    let before = [SIGPIPE, SIGXFSZ].map(|signal| handle(signal, count as extern "C" fn(c_int) as sighandler_t));
    for (case, blocked, pending, work, expected) in cases {
        DELIVERED.store(0, Ordering::Relaxed);
        change_mask(SIG_BLOCK, blocked);
        pending.iter().copied().for_each(raise);
        held(work);
        for signal in [SIGPIPE, SIGXFSZ] {
            assert_eq!(is_blocked(signal), blocked.contains(&signal), "{case}: mask of {signal}");
            assert_eq!(contains(&linux::pending(), signal), pending.contains(&signal), "{case}: {signal} pending");
        }
        change_mask(SIG_UNBLOCK, blocked);
        assert_eq!(DELIVERED.load(Ordering::Relaxed), expected, "{case}");
    }
    let cases: [(&str, fn(), c_int); 5] = [
        ("nothing", || {}, 0),
        ("a closed pipe", write_to_nobody, 0),
        ("the process sends it to itself", || raise_for_process(SIGPIPE), 1),
        ("both", || [raise_for_process(SIGPIPE), write_to_nobody()].into_iter().collect(), 1),
        ("one of each", || [raise_for_process(SIGXFSZ), write_to_nobody()].into_iter().collect(), 1),
    ];
    for (case, work, expected) in cases {
        assert_eq!(delivered_to_one_thread(work), expected, "{case}");
    }
    for (signal, handler) in [SIGPIPE, SIGXFSZ].into_iter().zip(before) {
        handle(signal, handler);
    }
}
