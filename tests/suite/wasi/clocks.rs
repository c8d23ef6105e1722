//! Clocks, waiting, random numbers and the command line.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::{REACTORS, wasi};
use crate::host::{Context, base64, fixture};

#[test]
fn clocks_random_and_arguments() {
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = wasi(&context, fixture(reactor));
        let clocks = || {
            let text = plugin.answer("clock", "");
            let mut numbers = text.lines().map(|line| line.parse::<u64>().expect("a number"));
            (numbers.next().expect("two clocks"), numbers.next().expect("two clocks"))
        };
        let now = || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            u64::try_from(now.as_nanos()).expect("before 2554")
        };
        let (before, first, second, after) = (now(), clocks(), clocks(), now());
        let slack = 20_000_000;
        assert!(before - slack <= first.0 && second.0 <= after + slack, "{before} {first:?} {second:?} {after}");
        assert!(first.1 < second.1, "{first:?} {second:?}");

        let random = || plugin.call("random", "").output;
        let (one, other) = (random(), random());
        assert_eq!((one.len(), other.len()), (8, 8), "{reactor}");
        assert_ne!(one, other, "{reactor}");

        assert_eq!(plugin.answer("args", ""), "1", "{reactor}: its name");
    }
}

/// Answers with its first argument and the NUL behind it, and returns the number of arguments.
const ARGUMENTS: &str = r#"(module
    (import "NAMESPACE" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "NAMESPACE" "args_get" (func $get (param i32 i32) (result i32)))
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store (param i64 i32)))
    (import "env" "extism_output_set" (func $output_set (param i64 i64)))
    (memory (export "memory") 1)
    START
    (func (export "run") (result i32) (local $block i64) (local $at i32) (local $length i32)
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $get (i32.const 16) (i32.const 1024)))
        (local.set $length (i32.load (i32.const 4)))
        (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
        (loop
            (call $store (i64.add (local.get $block) (i64.extend_i32_u (local.get $at)))
                (i32.load8_u (i32.add (i32.load (i32.const 16)) (local.get $at))))
            (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $length))))
        (call $output_set (local.get $block) (i64.extend_i32_u (local.get $length)))
        (i32.load (i32.const 0))))"#;

/// A program's name is its module's in the manifest, or else that of the module's file, or else `main`.
#[test]
fn a_program_has_a_name() {
    const LIBRARY: &str = r#"(module (import "lib" "run" (func (result i32))) (export "run" (func 0)))"#;
    for (namespace, start) in [
        ("wasi_snapshot_preview1", ""),
        ("wasi_unstable", ""),
        ("wasi_snapshot_preview1", "(func (export \"_start\"))"),
        ("wasi_unstable", "(func (export \"_start\"))"),
    ] {
        let module = ARGUMENTS.replace("NAMESPACE", namespace).replace("START", start);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tool.v1.wat");
        fs::write(&path, &module).expect("writable");
        let encoded = |text: &str| {
            let mut encoded = String::new();
            base64(text.as_bytes(), &mut encoded);
            encoded
        };
        let data = encoded(&module);
        let cases = [
            (module.clone(), "main"),
            (json!({"wasm": [{"data": data}]}).to_string(), "main"),
            (json!({"wasm": [{"data": data, "name": "tool é"}]}).to_string(), "tool é"),
            (json!({"wasm": [{"data": data, "name": ""}]}).to_string(), ""),
            (json!({"wasm": [{"data": data, "name": "a\0b"}]}).to_string(), "a"),
            (json!({"wasm": [{"path": path}]}).to_string(), "tool.v1"),
            (json!({"wasm": [{"path": path, "name": "tool"}]}).to_string(), "tool"),
            (
                json!({"wasm": [{"data": data, "name": "lib"}, {"data": encoded(LIBRARY), "name": "program"}]})
                    .to_string(),
                "lib",
            ),
        ];
        for (source, name) in cases {
            let context = Context::new();
            let answer = wasi(&context, &source).call("run", "");
            assert_eq!((answer.code, answer.text()), (1, format!("{name}\0")), "{source}");
        }
    }
}

/// The result of `work` on a thread of its own, or `None` after four seconds, when the thread is left behind.
pub(super) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(4)).ok()
}

#[test]
fn sleeps() {
    for reactor in REACTORS {
        for milliseconds in [30, 1, 120, 0] {
            let slept = in_time(move || {
                let context = Context::new();
                let plugin = wasi(&context, fixture(reactor));
                let start = Instant::now();
                assert_eq!(plugin.answer("sleep_ms", milliseconds.to_string()), "");
                start.elapsed()
            });
            let slept = slept.unwrap_or_else(|| panic!("{reactor}: {milliseconds} ms do not end"));
            let least = Duration::from_millis(milliseconds);
            assert!(slept >= least && slept < Duration::from_secs(2), "{reactor}: {milliseconds} {slept:?}");
        }
    }
}

/// A plugin whose `poll` waits for `subscriptions`, 48 bytes each, and returns the number of events times 100 plus the
/// number of the first event's subscription, or -2 for an error.
fn poller(subscriptions: &[&str]) -> String {
    let stores: String = subscriptions
        .iter()
        .zip(0..)
        .map(|(what, index)| {
            let [tag, first, timeout, flags]: [&str; 4] =
                what.split(", ").collect::<Vec<_>>().try_into().expect("four of them");
            let at = 1024 + 48 * index;
            format!(
                "(i64.store (i32.const {at}) (i64.const {number})) (i32.store8 offset=8 (i32.const {at}) (i32.const {tag}))
                (i32.store offset=16 (i32.const {at}) (i32.const {first}))
                (i64.store offset=24 (i32.const {at}) {timeout})
                (i32.store16 offset=40 (i32.const {at}) (i32.const {flags}))",
                number = index + 1
            )
        })
        .collect();
    let count = subscriptions.len();
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
        (memory (export "memory") 1)
        (func $in (param $clock i32) (param $nanoseconds i64) (result i64)
            (drop (call $time (local.get $clock) (i64.const 1) (i32.const 0)))
            (i64.add (i64.load (i32.const 0)) (local.get $nanoseconds)))
        (func (export "poll") (result i32) {stores}
            (if (call $poll (i32.const 1024) (i32.const 8192) (i32.const {count}) (i32.const 16))
                (then (return (i32.const -2))))
            (i32.add (i32.mul (i32.const 100) (i32.load (i32.const 16))) (i32.load (i32.const 8192)))))"#
    )
}

#[test]
fn polls() {
    // Clock 0 is real, 1 monotonic; flag 1 means an absolute time. Tag 1 is reading from a file, 2 writing to it.
    const SOON: &str = "0, 1, (i64.const 20000000), 0";
    const LATE: &str = "0, 1, (i64.const 60000000000), 0";
    let cases: [(&str, &[&str], i32, u64); 16] = [
        ("no time", &["0, 1, (i64.const 0), 0"], 101, 0),
        ("no time, real clock", &["0, 0, (i64.const 0), 0"], 101, 0),
        ("a nanosecond", &["0, 1, (i64.const 1), 0"], 101, 0),
        ("soon", &[SOON], 101, 20),
        ("soon, real clock", &["0, 0, (i64.const 20000000), 0"], 101, 20),
        ("a moment", &["0, 1, (call $in (i32.const 1) (i64.const 20000000)), 1"], 101, 20),
        ("a moment, real clock", &["0, 0, (call $in (i32.const 0) (i64.const 20000000)), 1"], 101, 20),
        ("a moment of the past", &["0, 1, (call $in (i32.const 1) (i64.const -1000)), 1"], 101, 0),
        ("a moment of the past, real clock", &["0, 0, (call $in (i32.const 0) (i64.const -1000)), 1"], 101, 0),
        ("the beginning of time", &["0, 0, (i64.const 0), 1"], 101, 0),
        ("soon and late", &[SOON, LATE], 101, 20),
        ("late and soon", &[LATE, SOON], 102, 20),
        ("late and no time", &[LATE, "0, 1, (i64.const 0), 0"], 102, 0),
        ("input at its end, and late", &["1, 0, (i64.const 0), 0", LATE], 101, 0),
        ("late, and output", &[LATE, "2, 1, (i64.const 0), 0"], 102, 0),
        ("nothing", &[], -2, 0),
    ];
    let mut wrong = Vec::new();
    for (case, subscriptions, expected, milliseconds) in cases {
        let module = poller(subscriptions);
        let polled = in_time(move || {
            let context = Context::new();
            let plugin = wasi(&context, module);
            let start = Instant::now();
            let answer = plugin.call("poll", "");
            (answer.code, answer.error, start.elapsed())
        });
        let least = Duration::from_millis(milliseconds);
        match polled {
            Some((code, None, slept)) if code == expected && slept >= least && slept < Duration::from_secs(2) => {}
            other => wrong.push(format!("{case}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "None has no end:\n{}", wrong.join("\n"));
}
