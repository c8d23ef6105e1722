//! Calls that are stopped: at their deadline and by other threads, in whatever they are doing.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::host::{Context, Plugin, manifest};
use crate::linking::modules;
use crate::noise::noise;

/// Functions that never end, and one that does.
pub(crate) const ENDLESS: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_free" (func $free (param i64)))
    (import "env" "extism_input_load_u8" (func $input (param i64) (result i32)))
    (memory 16)
    (global $g (mut i32) (i32.const 0))
    (table 2 funcref) (elem $step (i32.const 0) func $step $step)
    (data $data "data")
    (type $step (func))
    (func $step (global.set $g (i32.add (global.get $g) (i32.const 1))))
    (func (export "nothing") (loop (br 0)))
    (func (export "arithmetic") (local $x i64)
        (loop (local.set $x (i64.xor (i64.shl (local.get $x) (i64.const 3)) (i64.const 12345))) (br 0)))
    (func (export "memory") (local $at i32)
        (loop
            (i32.store (i32.and (local.get $at) (i32.const 0xfffc)) (local.get $at))
            (local.set $at (i32.add (local.get $at) (i32.load (i32.and (local.get $at) (i32.const 0xfff0)))))
            (br 0)))
    (func (export "calls") (loop (call $step) (br 0)))
    (func (export "indirect_calls") (loop (call_indirect (type $step) (i32.const 1)) (br 0)))
    (func $down (param $n i32) (result i32)
        (if (result i32) (local.get $n) (then (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
            (else (i32.const 0))))
    (func (export "recursion") (loop (drop (call $down (i32.const 1000))) (br 0)))
    (func (export "host_calls") (loop (call $free (call $alloc (i64.const 100))) (br 0)))
    (func (export "inlined_calls") (loop (drop (call $input (i64.const 0))) (br 0)))
    (func (export "fills") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000000)) (br 0)))
    (func (export "tables")
        (loop
            (table.set 0 (i32.const 1) (table.get 0 (i32.const 0))) (table.set 0 (i32.const 0) (ref.func $step))
            (drop (table.size 0)) (elem.drop $step) (drop (table.grow 0 (ref.null func) (i32.const 0))) (br 0)))
    (func (export "memories") (loop (drop (memory.grow (i32.const 0))) (drop (memory.size)) (data.drop $data) (br 0)))
    (func (export "copies") (loop (memory.copy (i32.const 0) (i32.const 100) (i32.const 500000)) (br 0)))
    (func (export "ends") (result i32) (global.set $g (i32.const 5)) (global.get $g)))"#;

pub(crate) const LOOPS: [&str; 12] = [
    "nothing",
    "arithmetic",
    "memory",
    "calls",
    "indirect_calls",
    "recursion",
    "host_calls",
    "inlined_calls",
    "tables",
    "memories",
    "fills",
    "copies",
];

pub(crate) fn with(manifest: &str, key: &str, value: Value) -> String {
    let mut manifest: Value = serde_json::from_str(manifest).expect("JSON");
    manifest[key] = value;
    manifest.to_string()
}

pub(crate) fn timed(module: &str, timeout_ms: u64) -> String {
    with(&manifest(module, ""), "timeout_ms", json!(timeout_ms))
}

const TIMEOUT: &str = "Call failed\n\nCaused by:\n    timeout: it has taken more than 20ms (timeout_ms)";
const CANCELLED: &str = "Call failed\n\nCaused by:\n    cancelled by another thread";

/// What a machine may be late by that does much else.
const LATE: Duration = Duration::from_secs(2);

#[test]
fn a_timeout_stops_every_loop() {
    let context = Context::new();
    let plugin = context.plugin(timed(ENDLESS, 20));
    for name in LOOPS {
        let start = Instant::now();
        let answer = plugin.call(name, "input");
        let took = start.elapsed();
        assert_eq!((answer.code, answer.error()), (-1, TIMEOUT), "{name}");
        assert!(took >= Duration::from_millis(20) && took < LATE, "{name}: {took:?}");
        assert_eq!((plugin.call_only("ends", b""), plugin.context.error(plugin.id)), (5, None), "after {name}");
    }
}

#[test]
fn another_thread_stops_every_loop() {
    let context = Context::new();
    let plugin = context.plugin(manifest(ENDLESS, ""));
    let handle = plugin.cancel_handle();
    for name in LOOPS {
        assert!(!handle.cancel(), "nothing runs");
        thread::scope(|scope| {
            scope.spawn(|| {
                while !handle.cancel() {
                    thread::yield_now();
                }
            });
            let answer = plugin.call(name, "input");
            assert_eq!((answer.code, answer.error()), (-1, CANCELLED), "{name}");
        });
        assert_eq!((plugin.call_only("ends", b""), plugin.context.error(plugin.id)), (5, None), "after {name}");
    }
}

/// As a sibling has the same code, and may be on the same thread.
#[test]
fn nobody_else_is_stopped() {
    let context = Context::new();
    let plugins = [context.plugin(manifest(ENDLESS, "")), context.plugin(manifest(ENDLESS, ""))];
    let [one, other] = plugins.map(|plugin| plugin.cancel_handle());
    thread::scope(|scope| {
        let running = scope.spawn(|| plugins[0].call("calls", ""));
        while !one.cancel() {
            assert!(!other.cancel());
            thread::yield_now();
        }
        assert_eq!(running.join().expect("no panic").error(), CANCELLED);
        let running = scope.spawn(|| plugins[1].call("calls", ""));
        thread::sleep(Duration::from_millis(30));
        assert!(!one.cancel() && !running.is_finished());
        assert!(other.cancel());
        assert_eq!(running.join().expect("no panic").error(), CANCELLED);
    });
}

#[test]
fn a_handle_may_outlive_everything() {
    let context = Context::new();
    let plugin = context.plugin(manifest(ENDLESS, ""));
    let handle = plugin.cancel_handle();
    assert!(plugin.update(manifest(ENDLESS, ""), false));
    thread::scope(|scope| {
        let running = scope.spawn(|| plugin.call("memory", ""));
        while !handle.cancel() {
            thread::yield_now();
        }
        assert_eq!(running.join().expect("no panic").error(), CANCELLED, "after an update");
    });
    plugin.free();
    assert!(!handle.cancel());
    assert!(plugin.cancel_handle().0.is_null());
    drop(context);
    assert!(!handle.cancel());
    let stale = crate::host::CancelHandle(handle.0);
    drop(handle);
    assert!(!stale.cancel(), "freed");
}

/// Making a plugin runs code too, and so does the first call.
#[test]
fn starts_and_initialisers_have_a_timeout() {
    let context = Context::new();
    let start = Instant::now();
    let error = context.refusal(timed("(module (func $f (loop (br 0))) (start $f))", 20));
    assert_eq!(error, "timeout: it has taken more than 20ms (timeout_ms)");
    let module = r#"(module (func (export "__wasm_call_ctors") (loop (br 0))) (func (export "run")))"#;
    let plugin = context.plugin(timed(module, 20));
    assert_eq!(plugin.call("run", "").error(), TIMEOUT);
    let library = r#"(module (func (export "f") (loop (br 0))))"#;
    let main = r#"(module (import "library" "f" (func $f)) (func (export "run") (call $f)))"#;
    let linked = with(&modules([("library", library), ("main", main)]), "timeout_ms", json!(20));
    assert_eq!(context.plugin(linked).call("run", "").error(), TIMEOUT, "in a library");
    let command = r#"(module (func (export "_start")) (func (export "f") (loop (br 0))))"#;
    let linked = with(&modules([("library", command), ("main", main)]), "timeout_ms", json!(20));
    let plugin = context.plugin(linked);
    for _ in 0..3 {
        assert_eq!(plugin.call("run", "").error(), TIMEOUT, "in a command");
    }
    assert!(start.elapsed() < 8 * LATE);
}

#[cfg(feature = "wasi")]
#[test]
fn sleeping_plugins_are_stopped() {
    // Subscribes to a clock, in a thousand seconds.
    let module = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "sleep") (result i32)
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 1000000000000))
            (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200))))"#;
    let context = Context::new();
    let start = Instant::now();
    let plugin = context.create(timed(module, 20), true).expect("it is one");
    assert_eq!(plugin.call("sleep", "").error(), TIMEOUT);
    let plugin = context.create(manifest(module, ""), true).expect("it is one");
    let handle = plugin.cancel_handle();
    thread::scope(|scope| {
        let running = scope.spawn(|| plugin.call("sleep", ""));
        while !handle.cancel() {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(running.join().expect("no panic").error(), CANCELLED);
    });
    assert!(start.elapsed() < 2 * LATE);
}

/// Work that ends, and leaves a number: a wrong one in an instance where some was begun and not ended.
const WORK: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_free" (func $free (param i64)))
    (import "env" "extism_store_u64" (func $store (param i64 i64)))
    (import "env" "extism_load_u64" (func $load (param i64) (result i64)))
    (import "env" "extism_input_load_u64" (func $input (param i64) (result i64)))
    MIX
    (memory 4)
    (table 8 funcref) (elem (i32.const 0) $mix $mix) (elem $turn func $turn)
    (type $mix (func (param i64) (result i64)))
    (func $turn (param $x i64) (result i64) (i64.rotl (local.get $x) (i64.const 17)))
    (func $deep (param $n i32) (param $x i64) (result i64)
        (if (result i64) (local.get $n)
            (then (call $mix (call $deep (i32.sub (local.get $n) (i32.const 1)) (local.get $x))))
            (else (local.get $x))))
    (func $rounds (result i64) (call $input (i64.const 0)))
    (global $begun (mut i32) (i32.const 0))
    (func $done (param $x i64) (result i32)
        (global.set $begun (i32.sub (global.get $begun) (i32.const 1)))
        (i32.add (global.get $begun) (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 20))) (i32.const 0xffff))))
    LOOPS)"#;

/// Part of the module that does the work, or all of a library's that it calls.
const MIX: &str = r#"(func $mix (export "mix") (param $x i64) (result i64)
    (i64.mul (i64.add (local.get $x) (i64.const 1)) (i64.const 0x5851f42d4c957f2d)))"#;

/// Name and what a round makes of `$x`.
const ROUNDS: [(&str, &str); 7] = [
    ("calls", "(call $mix (local.get $x))"),
    ("indirect", "(call_indirect (type $mix) (local.get $x) (i32.const 1))"),
    ("recursion", "(call $deep (i32.const 50) (local.get $x))"),
    (
        "memory",
        "(i64.store (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0x3fff8)) (local.get $x))
         (call $mix (i64.load (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0x3fff8))))",
    ),
    (
        "host",
        "(local.set $block (call $alloc (i64.const 64))) (call $store (local.get $block) (local.get $x))
         (call $mix (call $load (local.get $block))) (call $free (local.get $block))",
    ),
    (
        // The last of the bytes that are copied, to a place that depends on it.
        "copies",
        "(local.set $to (i32.add (i32.const 0x20000) (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0xffff))))
         (i64.store offset=20000 (i32.const 0) (local.get $x))
         (memory.copy (local.get $to) (i32.const 0) (i32.const 20008))
         (call $mix (i64.load offset=20000 (local.get $to)))",
    ),
    (
        // Through one of two functions, which `$x` chooses, and a new one.
        "tables",
        "(table.init 0 $turn (i32.const 2) (i32.const 0) (i32.const 1))
         (table.set (i32.const 3) (table.get (i32.add (i32.const 1) (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 63))))))
         (table.copy (i32.const 4) (i32.const 2) (i32.const 2))
         (table.fill (i32.const 2) (ref.null func) (i32.const 2))
         (drop (table.grow (ref.null func) (i32.const 0)))
         (call_indirect (type $mix) (call_indirect (type $mix) (local.get $x) (i32.const 5)) (i32.const 0))",
    ),
];

/// Modules that do the work: one, and one with a library.
fn works() -> [String; 2] {
    let functions = ROUNDS.map(|(name, round)| {
        format!(
            r#"(func (export "{name}") (result i32) (local $x i64) (local $left i64) (local $block i64) (local $to i32)
                (global.set $begun (i32.add (global.get $begun) (i32.const 1)))
                (local.set $left (call $rounds))
                (loop
                    {round} (local.set $x)
                    (br_if 0 (i64.ne (local.tee $left (i64.sub (local.get $left) (i64.const 1))) (i64.const 0))))
                (call $done (local.get $x)))"#
        )
    });
    let work = WORK.replace("LOOPS", &functions.concat());
    let import = r#"(import "library" "mix" (func $mix (param i64) (result i64)))"#;
    let linked = [("library", format!("(module {MIX})")), ("main", work.replace("MIX", import))];
    [manifest(work.replace("MIX", MIX), ""), modules(linked)]
}

fn answer(plugin: &Plugin<'_>, name: &str, rounds: u64) -> Result<i32, String> {
    let code = plugin.call_only(name, &rounds.to_le_bytes());
    plugin.context.error(plugin.id).map_or(Ok(code), Err)
}

/// Stops at random moments: a call has its right answer or has been stopped, the next one has its right answer, and so has a
/// sibling that runs the same beside it. `make interrupts` stops 10,000 calls.
#[test]
fn at_any_moment() {
    let count = std::env::var("EXTISM_TEST_INTERRUPTS").map_or(200, |count| count.parse().expect("a number"));
    let context = Context::new();
    let works = works().map(|work| {
        let plugins: Vec<_> = (0..4).map(|_| context.plugin(&work)).collect();
        let timed = (1..4).map(|timeout| context.plugin(with(&work, "timeout_ms", json!(timeout))));
        (plugins, timed.collect::<Vec<_>>())
    });
    // How many rounds a call has at most: what takes some milliseconds, and more or less as calls end or are stopped.
    let mut most = works.each_ref().map(|(plugins, _)| {
        ROUNDS.map(|(name, _)| {
            let start = Instant::now();
            answer(&plugins[0], name, 20_000).expect("nobody stops it");
            80_000_000 / (start.elapsed().as_micros() as u64).max(1)
        })
    });
    let mut noise = noise(7);
    let mut below = |bound: u64| noise.next().expect("no end") % bound;
    let (mut stopped, mut ended) = (0_u64, 0_u64);
    while stopped < count {
        assert!(ended <= 10 * (stopped + 100), "{stopped} stopped, {ended} ended");
        let round = stopped + ended;
        let (work, which) = (below(2) as usize, below(ROUNDS.len() as u64) as usize);
        let ((plugins, timed), (name, _), most) = (&works[work], ROUNDS[which], &mut most[work][which]);
        let rounds = below(*most) + 1;
        let expected = answer(&works[0].0[0], name, rounds).expect("nobody stops it");
        let plugin = if round % 3 == 0 { &timed[below(3) as usize] } else { &plugins[1 + below(3) as usize] };
        let handle = plugin.cancel_handle();
        let delay = Duration::from_micros(below(3000));
        let (result, beside) = thread::scope(|scope| {
            let beside = (round % 2 == 0).then(|| scope.spawn(|| answer(&plugins[0], name, rounds)));
            let running = scope.spawn(|| answer(plugin, name, rounds));
            if round % 3 != 0 {
                // From the first moment on, or after a while.
                thread::sleep(if delay < Duration::from_micros(500) { Duration::ZERO } else { delay });
                while !handle.cancel() && !running.is_finished() {
                    thread::yield_now();
                }
            }
            (running.join().expect("no panic"), beside.map(|beside| beside.join().expect("no panic")))
        });
        assert!(beside.is_none_or(|answer| answer == Ok(expected)), "{name} {rounds} beside one that was stopped");
        match result {
            Ok(code) => {
                assert_eq!(code, expected, "{name} {rounds}");
                ended += 1;
                *most += *most / 4 + 1;
            }
            Err(error) => {
                if round % 3 == 0 {
                    assert!(error.starts_with("Call failed\n\nCaused by:\n    timeout: "), "{name} {rounds}: {error}");
                } else {
                    assert_eq!(error, CANCELLED, "{name} {rounds}");
                }
                stopped += 1;
                *most -= *most / 8;
            }
        }
        // Where the machine does much else, a millisecond may be too little for the shortest call.
        let is_late = |answer: &Result<i32, String>| {
            round % 3 == 0 && answer.as_ref().is_err_and(|error| error.contains("timeout: "))
        };
        let next = (0..1000).map(|_| answer(plugin, name, 1)).find(|answer| !is_late(answer));
        assert_eq!(next, Some(answer(&works[0].0[0], name, 1)), "{name} after that");
    }
    println!("{stopped} stopped, {ended} ended");
    assert!(ended * 20 > count, "{stopped} stopped, {ended} ended");
}

#[test]
fn a_default_timeout_is_for_who_has_none() {
    const TEST: &str = "stop::a_default_timeout_is_for_who_has_none";
    let Some(case) = crate::child::case() else {
        for value in ["20", "x", "-1", ""] {
            crate::child::run(TEST, value, &[("EXTISM_TIMEOUT_MS", value.as_ref())]);
        }
        return;
    };
    let context = Context::new();
    match case.as_str() {
        "20" => {
            let expected = TIMEOUT.replace("timeout_ms", "EXTISM_TIMEOUT_MS");
            assert_eq!(context.plugin(ENDLESS).call("nothing", "").error(), expected);
            let error = context.plugin(timed(ENDLESS, 1)).call("nothing", "").error().to_owned();
            assert!(error.ends_with("timeout: it has taken more than 1ms (timeout_ms)"), "{error}");
        }
        "" => assert_eq!(context.plugin(ENDLESS).call_only("ends", b""), 5),
        _ => assert_eq!(context.refusal(ENDLESS), format!("EXTISM_TIMEOUT_MS: `{case}` is no number of milliseconds")),
    }
}

/// What is running on a thread in a call of another plugin's is not stopped in that, and is afterwards.
#[test]
fn a_plugin_is_not_stopped_in_another() {
    const TEST: &str = "stop::a_plugin_is_not_stopped_in_another";
    crate::child::alone(TEST, || {
        let context: &'static Context = Box::leak(Box::new(Context::new()));
        let module = r#"(module (import "env" "extism_log_info" (func $log (param i64)))
            (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
            (func (export "run") (call $log (call $alloc (i64.const 1))) (loop (br 0))))"#;
        let inner = context.plugin(timed(ENDLESS, 100));
        static RESULTS: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
        crate::log::install(::log::LevelFilter::Info, move |_| {
            let start = Instant::now();
            let error = inner.call("nothing", "").error().to_owned();
            assert!(start.elapsed() >= Duration::from_millis(100), "stopped by the other's deadline");
            RESULTS.lock().expect("no panic").push(error);
        });
        let outer = context.plugin(timed(module, 20));
        assert_eq!(outer.call("run", "").error(), TIMEOUT);
        let expected = TIMEOUT.replace("20ms", "100ms");
        assert_eq!(*RESULTS.lock().expect("no panic"), [expected]);
    });
}

/// A thread of the host with all signals blocked and a small stack.
#[test]
fn threads_of_the_host_may_be_as_they_are() {
    let context = Context::new();
    let plugin = context.plugin(timed(ENDLESS, 20));
    thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(128 << 10);
        let running = small.spawn_scoped(scope, || {
            block_signals();
            assert!(
                context.plugin("(module (func (export \"f\") unreachable))").call("f", "").error().contains("unreach")
            );
            (plugin.call("memory", "").error().to_owned(), plugin.call_only("ends", b""))
        });
        assert_eq!(running.expect("a thread").join().expect("no panic"), (TIMEOUT.to_owned(), 5));
    });
}

#[expect(unsafe_code, reason = "the system's")]
fn block_signals() {
    let mut all = std::mem::MaybeUninit::zeroed();
    // SAFETY: it makes a set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: it is a set now.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
}

/// A signal may come late, when the thread that it is for is at its end, and Wasmer has unmapped what it has given it.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "threads that Rust has nothing to do with")]
#[test]
fn threads_may_end_right_afterwards() {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;
    use std::ptr;

    const TIME: Duration = Duration::from_secs(2);
    extern "C" fn call(plugin: *mut c_void) -> *mut c_void {
        // SAFETY: who makes the thread waits for its end, and keeps the plugin.
        let plugin = unsafe { &*plugin.cast::<Plugin<'_>>() };
        let error = plugin.call("arithmetic", "").error().to_owned();
        ptr::without_provenance_mut(usize::from(error == CANCELLED || error.contains("timeout")))
    }
    /// In a thread of its own.
    fn is_stopped(plugin: &Plugin<'_>) -> bool {
        let (mut thread, mut result) = (MaybeUninit::uninit(), ptr::null_mut());
        let plugin = ptr::from_ref(plugin).cast_mut().cast();
        // SAFETY: there is room for the thread's name, and the function is of the right type.
        assert_eq!(unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), call, plugin) }, 0);
        // SAFETY: it was made.
        let thread = unsafe { thread.assume_init() };
        // SAFETY: nobody else waits for it.
        assert_eq!(unsafe { libc::pthread_join(thread, &raw mut result) }, 0);
        !result.is_null()
    }
    crate::child::alone("stop::threads_may_end_right_afterwards", || {
        let context = Context::new();
        let plugins: Vec<_> = (0..16)
            .map(|number| context.plugin(if number % 2 == 0 { timed(ENDLESS, 2) } else { manifest(ENDLESS, "") }))
            .collect();
        let start = Instant::now();
        thread::scope(|scope| {
            for plugin in &plugins {
                scope.spawn(move || {
                    while start.elapsed() < TIME {
                        assert!(is_stopped(plugin));
                    }
                });
            }
            let handles: Vec<_> = plugins.iter().map(Plugin::cancel_handle).collect();
            while start.elapsed() < TIME + Duration::from_millis(200) {
                for handle in handles.iter().skip(1).step_by(2) {
                    handle.cancel();
                }
            }
        });
    });
}

/// The handlers of a host, from before and after the library's, go on working, and the library's do.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the system's")]
#[test]
fn hosts_may_use_the_same_signals() {
    use std::mem;
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    const SIGNALS: usize = 65;
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    /// What the host has found when it installed its own.
    static BEFORE: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

    /// Passes everything on, as is the custom.
    extern "C" fn seen(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        SEEN.fetch_add(1, Ordering::Relaxed);
        let before = BEFORE[signal as usize].load(Ordering::Relaxed);
        if before != libc::SIG_DFL && before != seen as *const () as usize {
            // SAFETY: the library's is of this kind, and nobody else has installed one.
            let before = unsafe { mem::transmute::<usize, Handler>(before) };
            before(signal, info, context);
        }
    }
    extern "C" fn seen_alone(_: i32) {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }
    fn handle(signal: i32, flags: i32, handler: usize) {
        // SAFETY: all zeros are a valid value of it.
        let zeros: libc::sigaction = unsafe { mem::zeroed() };
        let (mut new, mut old) = (zeros, zeros);
        new.sa_sigaction = handler;
        new.sa_flags = flags | libc::SA_ONSTACK;
        // SAFETY: the handler is of the kind that the flags say.
        assert_eq!(unsafe { libc::sigaction(signal, ptr::from_ref(&new), ptr::from_mut(&mut old)) }, 0);
        BEFORE[signal as usize].store(old.sa_sigaction, Ordering::Relaxed);
    }
    fn all_are_seen(signals: &[i32]) {
        SEEN.store(0, Ordering::Relaxed);
        // SAFETY: each has a handler.
        signals.iter().for_each(|signal| assert_eq!(unsafe { libc::raise(*signal) }, 0));
        assert_eq!(SEEN.load(Ordering::Relaxed), signals.len(), "each one's, also of the signal that the library uses");
    }
    let pass_on = |signal: &i32| handle(*signal, libc::SA_SIGINFO, seen as *const () as usize);
    let keep = |signal: &i32| handle(*signal, 0, seen_alone as *const () as usize);
    let test = |is_before: bool, install: &dyn Fn(&i32)| {
        let all: Vec<i32> = (libc::SIGRTMIN()..=libc::SIGRTMAX()).chain([libc::SIGUSR1, libc::SIGUSR2]).collect();
        if is_before {
            all.iter().for_each(install);
        }
        let context = Context::new();
        let plugin = context.plugin(timed(ENDLESS, 20));
        let is_stopped = || assert_eq!(plugin.call("calls", "").error(), TIMEOUT);
        is_stopped();
        for _ in 0..2 {
            all.iter().for_each(install);
            is_stopped();
            all_are_seen(&all);
        }
        // Also in the middle of a call.
        thread::scope(|scope| {
            scope.spawn(is_stopped);
            all.iter().for_each(install);
        });
        all_are_seen(&all);
    };
    const TEST: &str = "stop::hosts_may_use_the_same_signals";
    let Some(case) = crate::child::case() else {
        for case in ["before, pass on", "before, keep", "pass on", "keep"] {
            crate::child::run(TEST, case, &[]);
        }
        return;
    };
    let is_before = case.starts_with("before");
    if case.ends_with("pass on") { test(is_before, &pass_on) } else { test(is_before, &keep) }
}

/// Faults in a host's own code are its handlers', and those in a plugin's the library's.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[expect(unsafe_code, reason = "faults")]
#[test]
fn hosts_may_handle_faults() {
    use std::mem;
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

    #[unsafe(naked)]
    extern "C" fn illegal() {
        std::arch::naked_asm!("ud2", "ret")
    }
    #[unsafe(naked)]
    extern "C" fn null() {
        std::arch::naked_asm!("mov byte ptr [0], 0", "ret")
    }
    #[unsafe(naked)]
    extern "C" fn division() {
        std::arch::naked_asm!("xor ecx, ecx", "div ecx", "ret")
    }
    /// Each with its signal, where in it the fault is, and how long the instruction.
    const FAULTS: [(i32, extern "C" fn(), usize, usize); 3] =
        [(libc::SIGILL, illegal, 0, 2), (libc::SIGSEGV, null, 0, 8), (libc::SIGFPE, division, 2, 2)];

    static SEEN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    static BEFORE: [[AtomicUsize; 3]; 2] = [const { [const { AtomicUsize::new(0) }; 3] }; 2];

    /// The host's handler from before the library's (0), or from after (1).
    extern "C" fn handle<const WHEN: usize>(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel passes the thread's context.
        let address = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] };
        let which = FAULTS.iter().position(|(number, ..)| *number == signal).expect("one of them");
        let (_, function, place, length) = FAULTS[which];
        if *address as usize == function as usize + place {
            SEEN[WHEN].fetch_add(1, Ordering::Relaxed);
            *address += length as i64;
            return;
        }
        let before = BEFORE[WHEN][which].load(Ordering::Relaxed);
        assert!(before != libc::SIG_DFL && before != libc::SIG_IGN, "a fault of nobody's");
        // SAFETY: both Rust's and the library's handlers are of this kind.
        let before = unsafe { mem::transmute::<usize, Handler>(before) };
        before(signal, info, context);
    }
    fn install(when: usize, handler: Handler) {
        for ((signal, ..), place) in FAULTS.into_iter().zip(&BEFORE[when]) {
            // SAFETY: all zeros are a valid value of it.
            let zeros: libc::sigaction = unsafe { mem::zeroed() };
            let (mut new, mut old) = (zeros, zeros);
            new.sa_sigaction = handler as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            // SAFETY: the handler is of the kind that the flags say.
            assert_eq!(unsafe { libc::sigaction(signal, ptr::from_ref(&new), ptr::from_mut(&mut old)) }, 0);
            place.store(old.sa_sigaction, Ordering::Relaxed);
        }
    }
    crate::child::alone("stop::hosts_may_handle_faults", || {
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

/// It may have been in the middle of anything, such as its own allocator.
#[test]
fn what_was_stopped_is_not_used_again() {
    let context = Context::new();
    let plugin = context.plugin(timed(
        r#"(module (global $busy (mut i32) (i32.const 0))
            (func (export "hold") (global.set $busy (i32.const 1)) (loop (br 0)))
            (func (export "is_busy") (result i32) (global.get $busy)))"#,
        20,
    ));
    assert_eq!(plugin.call("hold", "").error(), TIMEOUT);
    assert_eq!(plugin.call_only("is_busy", b""), 0);
}

/// A module that no other process has compiled, with functions of many types: compilers share those between threads.
fn unseen() -> String {
    let id = std::process::id();
    let functions: String = (0..20).map(|count| format!("(func (param {}))", "i32 ".repeat(count))).collect();
    format!(
        r#"(module (func (export "f") (result i32) (i32.const 7)) (func (result i32) (i32.const {id})) {functions})"#
    )
}

fn compiles(context: &Context) -> bool {
    cfg!(not(feature = "compiler")) || context.plugin(unseen()).call_only("f", b"") == 7
}

/// A forked process has one thread, its own timer, and none of the threads that compile.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the system's")]
#[test]
fn a_forked_process_has_timeouts_too() {
    const TEST: &str = "stop::a_forked_process_has_timeouts_too";
    crate::child::alone(TEST, || {
        let context = Context::new();
        let plugin = context.plugin(timed(ENDLESS, 20));
        assert_eq!(plugin.call("memory", "").error(), TIMEOUT);
        // The threads that compile are this process's.
        assert!(compiles(&context));
        for _ in 0..20 {
            // SAFETY: the child does nothing but call the library, write an exit status, and go.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let is_well = plugin.call("memory", "").error() == TIMEOUT
                    && plugin.call_only("ends", b"") == 5
                    && compiles(&context);
                // SAFETY: it ends the process.
                unsafe { libc::_exit(i32::from(!is_well)) };
            }
            let mut status = -1;
            // SAFETY: it is a child of this process.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0);
            assert_eq!(plugin.call("memory", "").error(), TIMEOUT);
        }
    });
}

/// What was asked for is given up, too: the server sees that nobody is there any more.
#[cfg(feature = "http")]
#[test]
fn requests_are_dropped() {
    use crate::server::{Server, Step};
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    let cases = [
        ("waits for the head", vec![Step::Stall]),
        ("has half of the head", vec![Step::Send(head[..20].to_vec()), Step::Stall]),
        ("waits for the body", vec![Step::Send(head.clone()), Step::Stall]),
        ("reads the body", vec![Step::Send(head), Step::Repeat(b"x".to_vec(), Duration::from_millis(10))]),
    ];
    for (case, steps) in cases {
        let server = Server::always(steps);
        let query = json!({"url": server.url("/")}).to_string();
        let mut asked = 0;
        crate::http::with_kitchens(r#""allowed_hosts": ["127.0.0.1"]"#, |abi, plugin| {
            let handle = plugin.cancel_handle();
            let start = Instant::now();
            asked += 1;
            thread::scope(|scope| {
                let running = scope.spawn(|| plugin.call("http", &query));
                while server.seen().len() < asked {
                    thread::sleep(Duration::from_millis(1));
                }
                thread::sleep(Duration::from_millis(50));
                assert!(handle.cancel());
                assert_eq!(running.join().expect("no panic").error(), CANCELLED, "{abi}: {case}");
            });
            while server.left() < asked {
                assert!(start.elapsed() < LATE, "{abi}: {case}: the connection is still there");
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(plugin.call_only("output_twice", b"x"), 0, "{abi}");
        });
    }
}

/// Nothing can end a thread that connects, or looks up a host: there are not many of them.
#[cfg(all(feature = "http", target_os = "linux"))]
#[expect(unsafe_code, reason = "the standard library does not bound what waits to be accepted")]
#[test]
fn requests_that_go_on_are_few() {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;
    // One at which nobody can connect, as nobody takes what has connected before.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    // SAFETY: it is a socket.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let address = listener.local_addr().expect("it is bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    let query = json!({"url": format!("http://{address}/")}).to_string();
    crate::http::with_kitchens(r#""allowed_hosts": ["127.0.0.1"]"#, |abi, plugin| {
        let handle = plugin.cancel_handle();
        let cancelled = || {
            thread::scope(|scope| {
                let running = scope.spawn(|| plugin.call("http", &query).error().to_owned());
                thread::sleep(Duration::from_millis(50));
                handle.cancel();
                running.join().expect("no panic")
            })
        };
        let errors: Vec<_> = (0..10).map(|_| cancelled()).collect();
        let refused = errors.iter().filter(|error| error.contains("8 threads of earlier ones")).count();
        assert_eq!((refused, errors[7].as_str()), (2, CANCELLED), "{abi}: {errors:?}");
    });
    crate::http::with_kitchens("", |abi, plugin| {
        let too_long = plugin.call("http", json!({"url": "x".repeat(2 << 20)}).to_string());
        assert!(too_long.error().contains("at most 1048576"), "{abi}: {too_long:?}");
    });
}
