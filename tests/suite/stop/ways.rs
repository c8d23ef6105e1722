//! Hosts where the usual stop signal cannot be sent: another is used, or the library says that it can keep no timeout.
#![expect(unsafe_code, reason = "limits, filters and signals are the system's")]

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{CANCELLED, ENDLESS, LATE, TIMEOUT, timed};
use crate::child;
use crate::faults::limit;
use crate::host::{Context, manifest};

/// Makes these system calls fail with EPERM, in this thread and those that it starts, or in the whole process.
fn refuse(calls: &[i64], in_all_threads: bool) {
    let line =
        |code: u32, yes: u8, no: u8, value: u32| libc::sock_filter { code: code as u16, jt: yes, jf: no, k: value };
    let (load, equal, answer) =
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ, libc::BPF_RET);
    let refused = calls.iter().flat_map(|call| {
        [line(equal, 0, 1, *call as u32), line(answer, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32)]
    });
    let allowed = line(answer, 0, 0, libc::SECCOMP_RET_ALLOW);
    let mut code: Vec<_> = [line(load, 0, 0, 0)].into_iter().chain(refused).chain([allowed]).collect();
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let flags = if in_all_threads { libc::SECCOMP_FILTER_FLAG_TSYNC } else { 0 };
    // SAFETY: reads the program, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

const QUEUE: i64 = libc::SYS_rt_tgsigqueueinfo;
const KILL: i64 = libc::SYS_tgkill;

/// Does `work` on a thread of its own, and fails if it does not end soon.
fn soon(work: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        work();
        sender.send(())
    });
    receiver.recv_timeout(10 * LATE).expect("each call is stopped");
}

fn all_is_stopped() {
    let context = Context::new();
    let plugin = context.plugin(timed(ENDLESS, 20));
    for name in ["nothing", "host_calls", "recursion", "fills"] {
        assert_eq!(plugin.call(name, "").error(), TIMEOUT, "{name}");
        assert_eq!(plugin.call_only("ends", b""), 5, "after {name}");
    }
    let plugin = context.plugin(manifest(ENDLESS, ""));
    let handle = plugin.cancel_handle();
    for _ in 0..20 {
        thread::scope(|scope| {
            let running = scope.spawn(|| plugin.call("nothing", ""));
            while !handle.cancel() {
                thread::yield_now();
            }
            assert_eq!(running.join().expect("no panic").error(), CANCELLED);
        });
    }
}

/// Whether this thread can queue a signal of its own.
fn has_room() -> bool {
    let signal = libc::SIGRTMIN() + 3;
    super::threads::block_signals();
    // SAFETY: the signal is blocked, and discarded with the thread.
    unsafe { libc::raise(signal) == 0 }
}

#[test]
fn there_is_another_way() {
    const TEST: &str = "stop::ways::there_is_another_way";
    let Some(case) = child::case() else {
        child::run(TEST, "no room", &[]);
        child::run(TEST, "no queueing", &[]);
        // Pending signals of this process count for all processes of this user.
        let filler = thread::spawn(|| {
            for _ in 0..64 {
                assert!(has_room());
            }
            child::run(TEST, "filled by another process", &[]);
        });
        return filler.join().expect("no panic");
    };
    match case.as_str() {
        "no room" => drop(limit(libc::RLIMIT_SIGPENDING, 0)),
        "filled by another process" => drop(limit(libc::RLIMIT_SIGPENDING, 32)),
        _ => refuse(&[QUEUE], false),
    }
    let has_room = thread::spawn(has_room).join().expect("no panic");
    assert_eq!(has_room, case == "no queueing");
    soon(all_is_stopped);
}

/// Whether the plugin runs.
static RUNS: AtomicBool = AtomicBool::new(false);

/// Logs as it begins, and never ends.
const LOUD: &str = r#"(module (import "env" "extism_log_info" (func $log (param i64)))
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (func (export "run") (call $log (call $alloc (i64.const 1))) (loop (br 0)))
    (func (export "ends") (result i32) (i32.const 5)))"#;

/// If no signal can be sent, no plugin with a timeout is made, and cancelling returns false.
#[test]
fn what_cannot_be_kept_is_said() {
    const TEST: &str = "stop::ways::what_cannot_be_kept_is_said";
    const SAID: &str = "no timeout can be kept to, as no signal that stops a plugin can be sent (rt_tgsigqueueinfo, \
        tgkill): Operation not permitted (os error 1)";
    let Some(case) = child::case() else {
        child::run(TEST, "from the beginning", &[]);
        child::run(TEST, "by default", &[("EXTISM_TIMEOUT_MS", "20".as_ref())]);
        child::run(TEST, "later", &[]);
        child::run(TEST, "for this thread", &[]);
        return;
    };
    let context: &'static Context = Box::leak(Box::new(Context::new()));
    let refusal = |input: String| context.refusal(input);
    match case.as_str() {
        "from the beginning" => {
            refuse(&[QUEUE, KILL], false);
            assert_eq!(refusal(timed(ENDLESS, 20)), SAID);
            crate::log::install(::log::LevelFilter::Info, |_| RUNS.store(true, Ordering::SeqCst));
            let plugin = context.plugin(manifest(LOUD, ""));
            assert_eq!(plugin.call_only("ends", b""), 5);
            let handle = plugin.cancel_handle();
            thread::spawn(move || plugin.call_only("run", b""));
            while !RUNS.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            assert!(!handle.cancel(), "nothing reaches it");
        }
        "by default" => {
            refuse(&[QUEUE, KILL], false);
            assert_eq!(refusal(manifest(ENDLESS, "")), SAID);
        }
        "later" => {
            let plugin = context.plugin(timed(ENDLESS, 20));
            assert_eq!(plugin.call("nothing", "").error(), TIMEOUT);
            refuse(&[QUEUE, KILL], true);
            assert_eq!(refusal(timed(ENDLESS, 20)), SAID);
            assert_eq!(plugin.call("nothing", "").error(), format!("Call failed: {SAID}"));
        }
        // The timer thread has started before, and has no filter.
        _ => {
            context.plugin(timed(ENDLESS, 20));
            refuse(&[QUEUE, KILL], false);
            soon(move || assert_eq!(context.plugin(timed(ENDLESS, 20)).call("nothing", "").error(), TIMEOUT));
        }
    }
}

/// Signals that another process of the same user sends, made to look like the library's.
#[test]
fn a_forged_signal_does_nothing() {
    const CODE: i32 = -0x4578_7469;
    static THREAD: AtomicI32 = AtomicI32::new(0);
    child::alone("stop::ways::a_forged_signal_does_nothing", || {
        let context = Context::new();
        let plugin = context.plugin(timed(ENDLESS, 20));
        assert_eq!(plugin.call("nothing", "").error(), TIMEOUT);
        let used =
            (libc::SIGRTMIN()..libc::SIGRTMAX()).find(|signal| handler(*signal) != libc::SIG_DFL).expect("one is");
        let process = std::process::id();
        let forge = |thread: i32| {
            for record in [0_u64, 1, 0xffff_8000_0000_0000, 0x7fff_ffff_f000, 0x1000] {
                let mut info = [0_u64; 16];
                info[0] = used as u64;
                info[1] = u64::from(CODE.cast_unsigned());
                info[2] = u64::from(process);
                info[3] = record;
                // SAFETY: reads the information, which is as large as the kernel's.
                assert_eq!(unsafe { libc::syscall(QUEUE, process, thread, used, info.as_ptr()) }, 0);
            }
        };
        // SAFETY: only asks for the thread's id.
        forge(unsafe { libc::gettid() });
        let untimed = context.plugin(manifest(ENDLESS, ""));
        let handle = untimed.cancel_handle();
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                // SAFETY: only asks for the thread's id.
                THREAD.store(unsafe { libc::gettid() }, Ordering::SeqCst);
                untimed.call("nothing", "")
            });
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(50) || THREAD.load(Ordering::SeqCst) == 0 {
                match THREAD.load(Ordering::SeqCst) {
                    0 => thread::yield_now(),
                    thread => forge(thread),
                }
            }
            // The forged signals may have delayed the call: until it has begun, there is nothing to cancel.
            while !handle.cancel() {
                assert!(!running.is_finished());
                thread::yield_now();
            }
            assert_eq!(running.join().expect("no panic").error(), CANCELLED);
        });
    });
}

fn handler(signal: i32) -> usize {
    // SAFETY: all zeros are a valid value of this type.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: only asks, and writes to `action`.
    assert_eq!(unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) }, 0);
    action.sa_sigaction
}
