//! Instances in which a call has trapped or exited: the next call gets a new one, unless the manifest has
//! `"after_trap": "keep"`. Configuration and variables stay in either case.

mod pointers;

use crate::host::{Context, Plugin, manifest};

/// `count` counts calls in a global of the instance, `set` and `is_set` use a variable. The others trap or exit in
/// different ways, with the stack pointer lowered.
const MODULE: &str = r#"(module
    (import "env" "extism_store_u8" (func $store_v0 (param i64 i32)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
    (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
    (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
    (import "extism:host/env" "error_set" (func $error_set (param i64)))
    (memory 1) (table 1 funcref)
    (global $__stack_pointer (mut i32) (i32.const 65536))
    (global $calls (mut i32) (i32.const 0))
    (func $key (result i64) (local $key i64)
        (call $store (local.tee $key (call $alloc (i64.const 1))) (i32.const 107)) (local.get $key))
    (func $lower (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 4096))))
    (func (export "stack_pointer") (result i32) (global.get $__stack_pointer))
    (func (export "count") (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
    (func (export "set") (call $var_set (call $key) (call $key)))
    (func (export "is_set") (result i32) (i64.ne (call $var_get (call $key)) (i64.const 0)))
    (func (export "is_configured") (result i32) (i64.ne (call $config_get (call $key)) (i64.const 0)))
    (func (export "unreachable") (call $lower) unreachable)
    (func (export "out_of_bounds") (call $lower) (drop (i32.load (i32.const 65536))))
    (func (export "division") (call $lower) (drop (i32.div_u (i32.const 1) (i32.const 0))))
    (func (export "indirect") (call $lower) (call_indirect (i32.const 0)))
    (func $recurse (export "overflow") (call $lower) (call $recurse))
    (func (export "host_function") (call $lower) (call $store_v0 (i64.const -1) (i32.const 0)))
    (func (export "with_output") (local $block i64)
        (call $lower) (call $store (local.tee $block (call $alloc (i64.const 1))) (i32.const 33))
        (call $output_set (local.get $block) (i64.const 1)) (call $error_set (local.get $block)) unreachable)
    (func (export "fine_with_error") (result i32) (call $error_set (call $key)) (i32.const 1)))"#;

const TRAPS: [&str; 7] =
    ["unreachable", "out_of_bounds", "division", "indirect", "overflow", "host_function", "with_output"];

fn plugin<'a>(context: &'a Context, after_trap: &str) -> Plugin<'a> {
    context.plugin(manifest(MODULE, &format!(r#""config": {{"k": "v"}}{after_trap}"#)))
}

/// Makes each trap thirty times, between calls that do not trap; `kept` says whether the instance must stay the same.
fn check(after_trap: &str, kept: bool) {
    let context = Context::new();
    let plugin = plugin(&context, after_trap);
    assert_eq!(plugin.call("set", "").error, None);
    let mut calls = 0;
    for round in 0..30 {
        for function in TRAPS {
            let trapped = plugin.call_only(function, b"");
            let error = context.error(plugin.id).unwrap_or_default();
            assert!(trapped == -1 && error.contains("Call failed"), "{after_trap} {function}: {trapped} {error}");
            calls = if kept { calls + 1 } else { 1 };
            let good = ["stack_pointer", "is_set", "is_configured", "count"].map(|name| plugin.call(name, ""));
            let errors = good.each_ref().map(|answer| answer.error());
            assert_eq!(errors, [""; 4], "{after_trap} {function}, round {round}");
            assert_eq!(good.map(|answer| answer.code), [65536, 1, 1, calls], "{after_trap} {function}, round {round}");
        }
    }
}

#[test]
fn what_trapped_is_not_used_again() {
    check("", false);
    check(r#", "after_trap": "renew""#, false);
}

#[test]
fn what_trapped_is_kept_if_asked_for() {
    check(r#", "after_trap": "keep""#, true);
}

#[test]
fn a_manifest_says_renew_or_keep() {
    let context = Context::new();
    for written in ["", "Keep", "kept", "true"] {
        let error = context.refusal(manifest("(module)", &format!(r#""after_trap": "{written}""#)));
        assert_eq!(error, format!("after_trap: `{written}` is neither `renew` nor `keep`"));
    }
    assert!(context.refusal(manifest("(module)", r#""after_trap": 1"#)).contains("after_trap"));
    let mut data = String::new();
    crate::host::base64(b"(module (func (export \"f\")))", &mut data);
    context.plugin(format!("after_trap = \"keep\"\n[[wasm]]\ndata = \"{data}\"\n")).free();
    context.plugin(manifest("(module)", r#""after_trap": null"#)).free();
}

/// Output and error of a failed call stay until the next call.
#[test]
fn output_and_error_of_a_failed_call_stay() {
    let context = Context::new();
    for after_trap in ["", r#", "after_trap": "keep""#] {
        let plugin = plugin(&context, after_trap);
        let answer = plugin.call("with_output", "");
        assert_eq!((answer.code, answer.text().as_str()), (-1, "!"), "{after_trap}");
        assert!(answer.error().starts_with("!\n\nCall failed"), "{after_trap}: {}", answer.error());
    }
}

/// An error that the plugin sets, or a call that cannot begin, is no trap.
#[test]
fn other_failures_keep_the_instance() {
    let context = Context::new();
    let plugin = plugin(&context, "");
    assert_eq!(plugin.call_only("count", b""), 1);
    assert_eq!(plugin.call("fine_with_error", "").code, 1);
    assert_eq!(plugin.call("absent", "").code, -1);
    assert_eq!(plugin.call_nameless(), -1);
    assert_eq!(plugin.call_only("count", b""), 2);
}

/// An instance is initialised once, whether it is kept or not.
#[test]
fn a_new_instance_is_initialised() {
    const MODULE: &str = r#"(module (global $trace (mut i32) (i32.const 0))
        (func $start (global.set $trace (i32.add (global.get $trace) (i32.const 1)))) (start $start)
        (func (export "_initialize") (global.set $trace (i32.add (global.get $trace) (i32.const 10))))
        (func (export "trap") unreachable) (func (export "trace") (result i32) (global.get $trace)))"#;
    let context = Context::new();
    for after_trap in [r#""after_trap": "renew""#, r#""after_trap": "keep""#] {
        let plugin = context.plugin(manifest(MODULE, after_trap));
        for function in ["trap", "trace", "trap", "trap"] {
            plugin.call_only(function, b"");
            assert_eq!(plugin.call_only("trace", b""), 11, "{after_trap} {function}");
        }
    }
}

#[cfg(feature = "wasi")]
#[test]
fn what_exited_is_not_used_again() {
    const MODULE: &str = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory 1)
        (global $calls (mut i32) (i32.const 0))
        (func (export "count") (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
        (func (export "exit_0") (call $exit (i32.const 0)))
        (func (export "exit_2") (call $exit (i32.const 2))))"#;
    let context = Context::new();
    for (after_trap, second) in [("renew", 1), ("keep", 2)] {
        for (function, code) in [("exit_0", 0), ("exit_2", 2)] {
            let module = manifest(MODULE, &format!(r#""after_trap": "{after_trap}""#));
            let plugin = context.create(module, true).expect("a plugin");
            let codes = ["count", function, "count"].map(|function| plugin.call_only(function, b""));
            assert_eq!(codes, [1, code, second], "{after_trap} {function}");
        }
    }
}

/// The instance of a stopped call is not kept: it may have been anywhere in its code.
#[test]
fn what_was_stopped_is_never_kept() {
    const MODULE: &str = r#"(module (global $calls (mut i32) (i32.const 0))
        (func (export "count") (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
        (func (export "forever") (loop (br 0))))"#;
    let context = Context::new();
    let plugin = context.plugin(manifest(MODULE, r#""after_trap": "keep", "fuel": 100000"#));
    let codes = ["count", "count", "forever", "count"].map(|function| plugin.call_only(function, b""));
    assert_eq!(codes, [1, 2, -1, 1]);
}
