//! The results of calls: values, texts, and what clears an error.

use std::ptr;

use extism_v1::ffi;

use crate::host::{Function, Plugin, caller_of_f};

const MODULE: &str = r#"(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "error_set" (func $error (param i64)))
    (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
    (memory 1)
    (func $fail (local $block i64)
        (local.set $block (call $alloc (i64.const 3)))
        (call $store (local.get $block) (i32.const 0x6f))
        (call $store (i64.add (local.get $block) (i64.const 1)) (i32.const 0x77))
        (call $store (i64.add (local.get $block) (i64.const 2)) (i32.const 0x6e))
        (call $error (local.get $block)))
    (func (export "nothing"))
    (func (export "seven") (result i32) (i32.const 7))
    (func (export "long") (result i64) (i64.const 7))
    (func (export "two") (result i32 i32) (i32.const 1) (i32.const 2))
    (func (export "takes") (param i32))
    (func (export "trap") unreachable)
    (func $deeper (export "overflow") (call $deeper))
    (func (export "loop") (loop (br 0)))
    (func (export "warn") (call $fail))
    (func (export "fail") (result i32) (call $fail) (i32.const 1))
    (func (export "fail and trap") (call $fail) unreachable)
    (func (export "fault") (call $var_set (i64.const 12345) (i64.const 0x7fff0000)))
    (global (export "global") i32 (i32.const 0)))"#;

#[test]
fn each_outcome_has_its_value_and_its_text() {
    let plugin = Plugin::new(MODULE, &[]);
    const BACKTRACE: &str = "error while executing at wasm backtrace:\n    0: main!";
    for (name, code, parts) in [
        ("nothing", 0, &[][..]),
        ("seven", 7, &[]),
        ("warn", 0, &["own"]),
        ("fail", 1, &["own"]),
        ("long", -1, &["Function long returns i64"]),
        ("two", -1, &["Function two has 2 results, expected 0 or 1"]),
        ("takes", -1, &["expected 1 arguments, got 0"]),
        ("missing", -1, &["Function not found: missing"]),
        ("global", -1, &["Function not found: global"]),
        ("trap", 134, &[BACKTRACE, "wasm trap: unreachable"]),
        ("overflow", 134, &["error while executing at wasm backtrace", "stack"]),
        ("fail and trap", -1, &["own\n\nerror while executing", "wasm trap: unreachable"]),
        ("fault", -1, &["\n\nerror while executing at wasm backtrace:\n    0: main!"]),
    ] {
        assert_eq!(plugin.call(name, b""), code, "{name}");
        let error = plugin.error().unwrap_or_default();
        assert_eq!(error.is_empty(), parts.is_empty(), "{name}: {error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{name}: {error}");
        let exact = matches!(name, "warn" | "fail").then(|| "own".to_owned());
        assert!(exact.is_none() || plugin.error() == exact);
    }
}

#[test]
fn names_and_inputs_that_cannot_be_used() {
    let plugin = Plugin::new(MODULE, &[]);
    #[expect(unsafe_code, reason = "what no safe function passes")]
    let call = |name: *const std::ffi::c_char, length| {
        // SAFETY: the library must take NULL.
        unsafe { ffi::extism_plugin_call(plugin.0, name, ptr::null(), length) }
    };
    assert_eq!(call(ptr::null(), 0), -1);
    assert_eq!(plugin.refusal(), "`func_name` is NULL");
    assert_eq!(call(c"\xff".as_ptr(), 0), -1);
    assert!(plugin.refusal().contains("UTF-8"), "{}", plugin.refusal());
    assert_eq!((call(c"seven".as_ptr(), 1 << 40), plugin.error()), (7, None), "no data is no input");
}

#[test]
fn the_deadline_and_the_fuel_end_a_call() {
    let manifest = format!(r#"{{"wasm": [{{"data": "{}"}}], "timeout_ms": 30}}"#, base64(MODULE));
    let plugin = Plugin::new(&manifest, &[]);
    assert_eq!(plugin.call("loop", b""), 134);
    assert!(plugin.refusal().starts_with("timeout"), "{}", plugin.refusal());
    assert_eq!(plugin.call("seven", b""), 7);
    let plugin = Plugin::try_new(MODULE, &[], Some(1000)).expect("it starts");
    assert_eq!(plugin.call("loop", b""), -1);
    assert!(plugin.refusal().contains("fuel"), "{}", plugin.refusal());
    let consumed = ffi::extism_plugin_fuel_consumed(plugin.0);
    assert!((900..=1100).contains(&consumed), "{consumed}");
    assert_eq!((plugin.call("seven", b""), plugin.error()), (7, None), "refilled");
    let consumed = ffi::extism_plugin_fuel_consumed(plugin.0);
    assert!((1..100).contains(&consumed), "{consumed}");
}

/// Base 64 of a text, as manifests have modules.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let chunks = text.as_bytes().chunks(3).map(|chunk| {
        let number = chunk.iter().chain([&0, &0]).take(3).fold(0, |number, byte| number << 8 | usize::from(*byte));
        (0..4).map(move |place| if place > chunk.len() { '=' } else { DIGITS[number >> (18 - 6 * place) & 63].into() })
    });
    chunks.flatten().collect()
}

#[cfg(feature = "wasi")]
#[test]
fn exits_have_their_status() {
    let module = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "0") (call $exit (i32.const 0)))
        (func (export "3") (call $exit (i32.const 3)))
        (func (export "200") (call $exit (i32.const 200))))"#;
    let plugin = Plugin::new(module, &[]);
    assert_eq!((plugin.call("0", b""), plugin.error()), (0, None));
    for (name, code) in [("3", 3), ("200", -1)] {
        assert_eq!(plugin.call(name, b""), code);
        let error = plugin.refusal();
        assert!(error.starts_with("error while executing at wasm backtrace"), "{error}");
        assert!(error.ends_with(&format!("exit status {name}")), "{error}");
    }
}

#[test]
fn some_functions_clear_the_error_and_others_do_not() {
    let plugin = Plugin::new(MODULE, &[]);
    let fail = || {
        assert_eq!(plugin.call("fail", b""), 1);
        assert_eq!(plugin.refusal(), "own");
    };
    fail();
    assert!(plugin.output().is_empty() && plugin.reset() && !plugin.configure("[1]") && !plugin.has(c"\xff"));
    assert!(!ffi::extism_plugin_id(plugin.0).is_null());
    ffi::extism_plugin_allow_http_response_headers(plugin.0);
    assert_eq!(plugin.refusal(), "own");
    assert_eq!(crate::host::text(ffi::extism_error(plugin.0)), Some("own".to_owned()));
    assert!(!plugin.has(c"missing"));
    assert_eq!(plugin.error(), None);
    fail();
    assert!(plugin.configure("{}"));
    assert_eq!(plugin.error(), None);
    fail();
    assert_eq!((plugin.call("nothing", b""), plugin.error()), (0, None));
}

#[test]
fn functions_exist_that_can_be_called() {
    let plugin = Plugin::new(MODULE, &[]);
    assert!(plugin.has(c"nothing") && plugin.has(c"seven"));
    for name in [c"long", c"two", c"takes", c"global", c"missing", c"alloc", c""] {
        assert!(!plugin.has(name), "{name:?}");
    }
}

#[test]
fn reset_drops_what_was_exchanged_and_keeps_the_rest() {
    let module = caller_of_f(
        r#"(global $count (mut i32) (i32.const 0))
           (func (export "count") (result i32)
               (global.set $count (i32.add (global.get $count) (i32.const 1)))
               (global.get $count))"#,
    );
    let echo = Function::of_i64("f", |_, handle| handle);
    let plugin = Plugin::new(&module, &[&echo]);
    assert!(plugin.reset(), "before the first call, too");
    assert_eq!(plugin.call("count", b""), 1);
    assert_eq!(plugin.output_of("run", b"output"), b"output");
    assert!(plugin.reset());
    assert_eq!(plugin.output(), b"");
    assert_eq!(plugin.call("count", b""), 2);
}
