//! Hosts that have handlers of their own for the signals that the library uses.
#![expect(unsafe_code, reason = "signals are the system's")]

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{ENDLESS, TIMEOUT, timed};
use crate::child;
use crate::faults::limit;
use crate::host::Context;

pub(super) type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// For each signal, the handler that one of those here has replaced; 0, the default action, if there was none.
pub(super) struct Before([AtomicUsize; 65]);

impl Before {
    pub(super) const fn new() -> Self {
        Self([const { AtomicUsize::new(0) }; 65])
    }

    fn of(&self, signal: i32) -> &AtomicUsize {
        &self.0[signal as usize]
    }

    /// Installs a handler of the kind that the flags say.
    pub(super) fn install(&self, signal: i32, flags: i32, handler: usize) {
        // SAFETY: all zeros are a valid value of this type.
        let zeros: libc::sigaction = unsafe { mem::zeroed() };
        let (mut new, mut old) = (zeros, zeros);
        new.sa_sigaction = handler;
        new.sa_flags = flags | libc::SA_ONSTACK;
        // SAFETY: the handler is of the kind that the flags say.
        assert_eq!(unsafe { libc::sigaction(signal, &raw const new, &raw mut old) }, 0);
        self.of(signal).store(old.sa_sigaction, Ordering::Relaxed);
    }

    /// Passes a signal on to the replaced handler, unless that is `own`. Returns whether there was one.
    fn pass_on(&self, own: Handler, signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) -> bool {
        let before = self.of(signal).load(Ordering::Relaxed);
        let is_handler = before != libc::SIG_DFL && before != libc::SIG_IGN && before != own as usize;
        if is_handler {
            // SAFETY: all handlers that signals are passed to, Rust's, the library's and those here, are of this type.
            let before = unsafe { mem::transmute::<usize, Handler>(before) };
            before(signal, info, context);
        }
        is_handler
    }
}

/// The number of times that each signal has arrived.
static SEEN: [AtomicUsize; 65] = [const { AtomicUsize::new(0) }; 65];
static BEFORE: Before = Before::new();

extern "C" fn seen(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    seen_alone(signal);
    BEFORE.pass_on(seen, signal, info, context);
}

extern "C" fn seen_alone(signal: i32) {
    SEEN[signal as usize].fetch_add(1, Ordering::Relaxed);
}

fn all_are_seen(signals: &[i32]) {
    SEEN.iter().for_each(|seen| seen.store(0, Ordering::Relaxed));
    // SAFETY: each signal has a handler.
    signals.iter().for_each(|signal| assert_eq!(unsafe { libc::raise(*signal) }, 0));
    for signal in signals {
        let seen = SEEN[*signal as usize].load(Ordering::Relaxed);
        // The library's own SIGURG may come late, and goes to the host's handler too.
        assert!(seen == 1 || seen > 1 && *signal == libc::SIGURG, "signal {signal}: {seen} times");
    }
}

/// A host's handlers, installed before and after the library's, keep working, and so do the library's.
#[test]
fn hosts_may_use_the_same_signals() {
    const TEST: &str = "stop::handlers::hosts_may_use_the_same_signals";
    let Some(case) = child::case() else {
        for case in ["before, pass on", "before, keep", "pass on", "keep"] {
            child::run(TEST, case, &[]);
            child::run(TEST, &format!("no room, {case}"), &[]);
        }
        return;
    };
    let (flags, handler) = match case.ends_with("pass on") {
        true => (libc::SA_SIGINFO, seen as Handler as usize),
        false => (0, seen_alone as extern "C" fn(i32) as usize),
    };
    let others = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGURG];
    let all: Vec<i32> = (libc::SIGRTMIN()..=libc::SIGRTMAX()).chain(others).collect();
    let install = || all.iter().for_each(|signal| BEFORE.install(*signal, flags, handler));
    // The library uses another signal if the queue of signals is full.
    let room = |room: u64| if case.starts_with("no room") { limit(libc::RLIMIT_SIGPENDING, room) } else { room };
    let some = room(0);
    if case.contains("before") {
        install();
    }
    let context = Context::new();
    let plugin = context.plugin(timed(ENDLESS, 20));
    let is_stopped = || assert_eq!(plugin.call("calls", "").error(), TIMEOUT);
    let both_get_theirs = || {
        room(some);
        all_are_seen(&all);
        room(0);
    };
    is_stopped();
    for _ in 0..2 {
        install();
        is_stopped();
        both_get_theirs();
    }
    // Installs handlers in the middle of a call too.
    thread::scope(|scope| {
        scope.spawn(is_stopped);
        install();
    });
    both_get_theirs();
}

/// A handler from before the library's gets its signals even through a later one that passes them to the library's.
#[test]
fn handlers_are_a_chain() {
    static SEEN: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    static BEFORE: Before = Before::new();
    extern "C" fn first(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
        SEEN[0].fetch_add(1, Ordering::Relaxed);
    }
    extern "C" fn later(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        SEEN[1].fetch_add(1, Ordering::Relaxed);
        BEFORE.pass_on(later, signal, info, context);
    }
    child::alone("stop::handlers::handlers_are_a_chain", || {
        (libc::SIGRTMIN()..=libc::SIGRTMAX())
            .for_each(|signal| BEFORE.install(signal, libc::SA_SIGINFO, first as Handler as usize));
        let context = Context::new();
        let plugin = context.plugin(timed(ENDLESS, 20));
        let is_stopped = || assert_eq!(plugin.call("calls", "").error(), TIMEOUT);
        is_stopped();
        // The library uses this signal, as all of them have a handler.
        let used = libc::SIGRTMAX() - 1;
        for times in 1..=3 {
            BEFORE.install(used, libc::SA_SIGINFO, later as Handler as usize);
            assert_ne!(BEFORE.of(used).load(Ordering::Relaxed), first as Handler as usize, "it is the library's");
            is_stopped();
            // SAFETY: the signal has a handler.
            assert_eq!(unsafe { libc::raise(used) }, 0);
            assert_eq!(SEEN.each_ref().map(|seen| seen.load(Ordering::Relaxed)), [times, times]);
        }
    });
}

/// A signal that a host's handler swallows is sent again.
#[test]
fn no_signal_is_lost_for_good() {
    extern "C" fn swallow(_: i32) {}
    static BEFORE: Before = Before::new();
    child::alone("stop::handlers::no_signal_is_lost_for_good", || {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let context = Context::new();
            let plugin = context.plugin(timed(ENDLESS, 20));
            for _ in 0..5 {
                thread::scope(|scope| {
                    let start = Instant::now();
                    scope.spawn(move || {
                        while start.elapsed() < Duration::from_millis(50) {
                            let all = libc::SIGRTMIN()..=libc::SIGRTMAX();
                            all.for_each(|signal| BEFORE.install(signal, 0, swallow as extern "C" fn(i32) as usize));
                        }
                    });
                    assert_eq!(plugin.call("calls", "").error(), TIMEOUT);
                });
            }
            sender.send(())
        });
        receiver.recv_timeout(Duration::from_secs(20)).expect("each call is stopped");
    });
}

/// Signal, function, offset of the faulting instruction in it, and length of the instruction.
#[cfg(target_arch = "x86_64")]
const FAULTS: [(i32, extern "C" fn(), usize, usize); 3] =
    [(libc::SIGILL, illegal, 0, 2), (libc::SIGSEGV, null, 0, 8), (libc::SIGFPE, division, 2, 2)];

#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn illegal() {
    std::arch::naked_asm!("ud2", "ret")
}

#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn null() {
    std::arch::naked_asm!("mov byte ptr [0], 0", "ret")
}

#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn division() {
    std::arch::naked_asm!("xor ecx, ecx", "div ecx", "ret")
}

/// A host's handlers get the faults in the host's own code, and the library gets those in a plugin's.
#[cfg(target_arch = "x86_64")]
#[test]
fn hosts_may_handle_faults() {
    static SEEN: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    static BEFORE: [Before; 2] = [const { Before::new() }; 2];

    /// The host's handler from before the library's (0), or from after (1).
    extern "C" fn handle<const WHEN: usize>(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel passes the thread's context.
        let address = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] };
        let is_here = |(number, function, place, _): &(i32, extern "C" fn(), usize, usize)| {
            *number == signal && *address as usize == *function as usize + place
        };
        if let Some((.., length)) = FAULTS.into_iter().find(is_here) {
            SEEN[WHEN].fetch_add(1, Ordering::Relaxed);
            *address += length as i64;
        } else {
            assert!(BEFORE[WHEN].pass_on(handle::<WHEN>, signal, info, context), "a fault of nobody's");
        }
    }
    let install = |when: usize, handler: Handler| {
        for (signal, ..) in FAULTS {
            BEFORE[when].install(signal, libc::SA_SIGINFO | libc::SA_NODEFER, handler as usize);
        }
    };
    child::alone("stop::handlers::hosts_may_handle_faults", || {
        let faults = || FAULTS.iter().for_each(|(_, function, ..)| function());
        let seen = || SEEN.each_ref().map(|seen| seen.load(Ordering::Relaxed));
        install(0, handle::<0>);
        faults();
        assert_eq!(seen(), [3, 0]);
        let context = Context::new();
        let plugin = context.plugin(timed(ENDLESS, 20));
        let trapping = context.plugin(
            r#"(module (memory 1) (func (export "f") unreachable) (func $g (export "g") (call $g))
                (func (export "h") (drop (i32.load (i32.const -1))))
                (global $zero (mut i32) (i32.const 0))
                (func (export "d") (global.set $zero (i32.div_u (i32.const 1) (global.get $zero)))))"#,
        );
        let all_is_well = || {
            assert_eq!(plugin.call("calls", "").error(), TIMEOUT);
            for (name, trap) in [
                ("f", "unreachable"),
                ("g", "call stack exhausted"),
                ("h", "out of bounds memory"),
                ("d", "integer divide by zero"),
            ] {
                assert!(trapping.call(name, "").error().contains(trap), "{name}");
            }
        };
        all_is_well();
        faults();
        assert_eq!(seen(), [6, 0]);
        install(1, handle::<1>);
        all_is_well();
        faults();
        assert_eq!(seen(), [6, 3]);
    });
}
