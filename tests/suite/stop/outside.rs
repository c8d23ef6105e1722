//! Signals of faults that another process sends, without a fault. They do what they would do without the library, and
//! traps still work.
#![expect(unsafe_code, reason = "signals are the system's")]

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::handlers::{Before, Handler};
use super::{CANCELLED, LATE};
use crate::child;
use crate::faults::limit;
use crate::host::{Context, Plugin};

const SIGNALS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// Functions that trap by three of the signals, and one that never ends.
const MODULE: &str = r#"(module (memory 1) (global $zero (mut i32) (i32.const 0))
    (func (export "outside") (drop (i32.load (i32.const -1))))
    (func (export "unreachable") unreachable)
    (func (export "divides") (global.set $zero (i32.div_u (i32.const 1) (global.get $zero))))
    (func (export "nothing") (loop (br 0))))"#;

/// Printed by a child before its expected end.
const WELL: &str = "all is well until now";

static BEFORE: Before = Before::new();
static SEEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn seen(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    SEEN.fetch_add(1, Ordering::SeqCst);
}

/// Restores the default action, as the handler of Rust's standard library does.
extern "C" fn seen_once(signal: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    SEEN.fetch_add(1, Ordering::SeqCst);
    // SAFETY: sets the default action.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

fn traps_are_traps(plugin: &Plugin<'_>) {
    for (name, trap) in
        [("outside", "out of bounds memory"), ("unreachable", "unreachable"), ("divides", "integer divide by zero")]
    {
        let answer = plugin.call(name, "");
        assert!(answer.error().contains(trap), "{name}: {answer:?}");
    }
}

/// Sends a signal to the whole process, as another process does.
fn send(signal: i32) {
    // SAFETY: only sends a signal.
    assert_eq!(unsafe { libc::kill(std::process::id().cast_signed(), signal) }, 0);
}

/// Runs `plugin` without end on a thread, and sends that thread a signal.
fn send_while_it_runs(plugin: &Plugin<'_>, signal: i32, until: impl Fn() -> bool) {
    let handle = plugin.cancel_handle();
    let thread = AtomicUsize::new(0);
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            // SAFETY: only asks for the thread's id.
            thread.store(unsafe { libc::pthread_self() } as usize, Ordering::SeqCst);
            plugin.call("nothing", "").error().to_owned()
        });
        while thread.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        // Time for the thread to get into the plugin's code.
        thread::sleep(Duration::from_millis(20));
        // SAFETY: the thread exists, as it is joined below.
        assert_eq!(unsafe { libc::pthread_kill(thread.load(Ordering::SeqCst) as libc::pthread_t, signal) }, 0);
        wait(until);
        assert!(!running.is_finished() && handle.cancel());
        assert_eq!(running.join().expect("no panic"), CANCELLED);
    });
}

fn wait(until: impl Fn() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < 5 * LATE, "for ever");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sets the signals' action before the library is used, then does what `case` names. Most cases end the process.
fn child(case: &str, signal: i32) {
    // No core file is wanted.
    limit(libc::RLIMIT_CORE, 0);
    let (flags, action) = match case {
        "ignored" | "a fault, ignored" => (0, libc::SIG_IGN),
        "a handler" => (libc::SA_SIGINFO, seen as Handler as usize),
        "a handler for once" => (libc::SA_SIGINFO, seen_once as Handler as usize),
        _ => (0, libc::SIG_DFL),
    };
    SIGNALS.iter().for_each(|signal| BEFORE.install(*signal, flags, action));
    let context = Context::new();
    let plugin = context.plugin(MODULE);
    traps_are_traps(&plugin);
    if case != "a handler for once" {
        println!("{WELL}");
    }
    match case {
        "while a plugin runs" => send_while_it_runs(&plugin, signal, || false),
        "a fault" | "a fault, ignored" => {
            // SAFETY: the write is invalid on purpose, and its fault ends this process.
            unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
        }
        "a handler" => {
            for times in 1..=3 {
                send(signal);
                wait(|| SEEN.load(Ordering::SeqCst) == 2 * times - 1);
                traps_are_traps(&plugin);
                send_while_it_runs(&plugin, signal, || SEEN.load(Ordering::SeqCst) == 2 * times);
                traps_are_traps(&plugin);
            }
        }
        "ignored" => {
            send(signal);
            send_while_it_runs(&plugin, signal, || true);
            traps_are_traps(&plugin);
        }
        "a handler for once" => {
            send(signal);
            wait(|| SEEN.load(Ordering::SeqCst) == 1);
            traps_are_traps(&plugin);
            println!("{WELL}");
            send(signal);
        }
        _ => send(signal),
    }
    if !matches!(case, "a handler" | "ignored") {
        thread::sleep(LATE);
    }
}

#[test]
fn they_do_what_they_did_before() {
    const TEST: &str = "stop::outside::they_do_what_they_did_before";
    if let Some(case) = child::case() {
        let (case, signal) = case.split_once(": ").expect("both");
        return child(case, signal.parse().expect("a number"));
    }
    let ends = |case: &str, signal: i32| {
        let mut command = child::command(TEST, &format!("{case}: {signal}"));
        let output = command.stdout(Stdio::piped()).output().expect("it can be run");
        let is_well = String::from_utf8_lossy(&output.stdout).contains(WELL);
        (output.status.signal(), output.status.code(), is_well)
    };
    for signal in SIGNALS {
        assert_eq!(ends("sent", signal), (Some(signal), None, true), "{signal}");
        assert_eq!(ends("while a plugin runs", signal), (Some(signal), None, true), "{signal}");
        assert_eq!(ends("a handler", signal), (None, Some(0), true), "{signal}");
        assert_eq!(ends("a handler for once", signal), (Some(signal), None, true), "{signal}");
        assert_eq!(ends("ignored", signal), (None, Some(0), true), "{signal}");
    }
    for case in ["a fault", "a fault, ignored"] {
        assert_eq!(ends(case, libc::SIGSEGV), (Some(libc::SIGSEGV), None, true), "{case}");
    }
}
