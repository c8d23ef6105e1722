//! Calls that are stopped, at their deadline and by other threads, in anything that they do.

#[cfg(target_os = "linux")]
mod handlers;
mod moments;
#[cfg(target_os = "linux")]
mod outside;
#[cfg(feature = "http")]
mod requests;
#[cfg(target_os = "linux")]
mod thread_end;
mod threads;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod ways;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::host::{Context, manifest};
use crate::linking::modules;

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

const TIMEOUT: &str = "Call failed\n\nCaused by:\n    timeout: it has taken more than 20 ms (timeout_ms)";
const CANCELLED: &str = "Call failed\n\nCaused by:\n    cancelled by another thread";

/// The delay that a busy machine may cause.
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

/// A sibling is not stopped, although it has the same code and may be on the same thread.
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

/// Making a plugin runs its code too, and so does the initialising before the first call.
#[test]
fn starts_and_initialisers_have_a_timeout() {
    let context = Context::new();
    let start = Instant::now();
    let error = context.refusal(timed("(module (func $f (loop (br 0))) (start $f))", 20));
    assert_eq!(error, "timeout: it has taken more than 20 ms (timeout_ms)");
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
    // Waits for a clock, for a thousand seconds.
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
            assert!(error.ends_with("timeout: it has taken more than 1 ms (timeout_ms)"), "{error}");
            let error = context.plugin(timed(ENDLESS, 0)).call("nothing", "").error().to_owned();
            assert!(error.ends_with("timeout: it has taken more than 0 ms (timeout_ms)"), "{error}");
        }
        "" => assert_eq!(context.plugin(ENDLESS).call_only("ends", b""), 5),
        _ => assert_eq!(context.refusal(ENDLESS), format!("EXTISM_TIMEOUT_MS: `{case}` is no number of milliseconds")),
    }
}

/// During a call of another plugin on its thread, a plugin is not stopped; it is stopped afterwards.
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
        let expected = TIMEOUT.replace("20 ms", "100 ms");
        assert_eq!(*RESULTS.lock().expect("no panic"), [expected]);
    });
}

/// The instance may have been in the middle of anything, such as its own allocator.
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

/// A call may be cancelled while the host makes a new instance, when no code runs that could be stopped.
#[test]
fn cancelling_outlasts_a_renewal() {
    crate::child::alone("stop::cancelling_outlasts_a_renewal", || {
        let context = Context::new();
        let plugin = context.plugin(manifest(ENDLESS, ""));
        let handle = plugin.cancel_handle();
        for round in 0..500 {
            let answer = thread::scope(|scope| {
                let running = scope.spawn(|| plugin.call("nothing", ""));
                while !handle.cancel() {
                    std::hint::spin_loop();
                }
                running.join().expect("no panic")
            });
            assert!(answer.error().contains("cancelled by another thread"), "{round}: {answer:?}");
        }
    });
}
