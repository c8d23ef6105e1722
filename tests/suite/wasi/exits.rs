//! `proc_exit`, wherever it is called.

use super::{REACTORS, refusal, wasi};
use crate::host::{Context, fixture};
use crate::linking::modules;

/// Exit codes, and the result and error of a call that ends with them.
const EXITS: [(i32, i32, Option<&str>); 11] = [
    (0, 0, None),
    (1, 1, Some("Exited with i32 exit status 1")),
    (3, 3, Some("Exited with i32 exit status 3")),
    (125, 125, Some("Exited with i32 exit status 125")),
    (126, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 126")),
    (255, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 255")),
    (256, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 256")),
    (65536, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 65536")),
    (-1, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): -1")),
    (
        i32::MIN,
        -1,
        Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): -2147483648"),
    ),
    (
        i32::MAX,
        -1,
        Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 2147483647"),
    ),
];

#[test]
fn exits() {
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = wasi(&context, fixture(reactor));
        for (status, code, error) in EXITS {
            let answer = plugin.call("exit", status.to_string());
            assert_eq!((answer.code, answer.error.as_deref()), (code, error), "{reactor}: {status}");
            assert_eq!(plugin.answer("counter", ""), "1", "in a new instance");
        }
    }
}

/// `proc_exit` beside the plugin's own error and output; tests replace PART by code that calls it elsewhere.
const EXITING: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store (param i64 i32)))
    (import "env" "extism_error_set" (func $error_set (param i64)))
    (import "env" "extism_output_set" (func $output_set (param i64 i64)))
    (memory (export "memory") 1)
    (func $x (result i64) (local $block i64)
        (call $store (local.tee $block (call $alloc (i64.const 1))) (i32.const 120)) (local.get $block))
    (func (export "error_0") (call $error_set (call $x)) (call $exit (i32.const 0)))
    (func (export "error_3") (call $error_set (call $x)) (call $exit (i32.const 3)))
    (func (export "error_200") (call $error_set (call $x)) (call $exit (i32.const 200)))
    (func (export "output_4") (result i32) (call $output_set (call $x) (i64.const 1)) (call $exit (i32.const 4))
        (i32.const 55))
    (func (export "fine") (result i32) (i32.const 9))
    PART)"#;

#[test]
fn exits_beside_errors_and_output() {
    let context = Context::new();
    let plugin = wasi(&context, EXITING.replace("PART", ""));
    let invalid = "x\n\nCall failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 200";
    let cases = [("error_0", 0, "x", ""), ("error_3", 3, "x", ""), ("error_200", -1, invalid, ""), ("fine", 9, "", "")];
    for (function, code, error, output) in cases {
        let answer = plugin.call(function, "");
        assert_eq!((answer.code, answer.error(), answer.text().as_str()), (code, error, output), "{function}");
    }
    let answer = plugin.call("output_4", "");
    assert_eq!((answer.code, answer.text().as_str()), (4, "x"), "output that was set before counts");
}

#[test]
fn exits_outside_of_the_function_called() {
    let initialiser = |status| format!("(func (export \"_initialize\") (call $exit (i32.const {status})))");
    for (status, code, error) in EXITS {
        let context = Context::new();
        let plugin = wasi(&context, EXITING.replace("PART", &initialiser(status)));
        for _ in 0..2 {
            let answer = plugin.call("fine", "");
            assert_eq!((answer.code, answer.error.as_deref()), (code, error), "in an initialiser: {status}");
        }
        let start = format!("(func $s (call $exit (i32.const {status}))) (start $s)");
        let error = refusal(EXITING.replace("PART", &start));
        assert!(error.starts_with("module `main` failed at its start"), "{error}");
        assert!(error.contains(&format!("Exited with i32 exit status {status}")), "in a start section: {error}");
    }
}

#[test]
fn exits_in_libraries() {
    let main = r#"(module (import "lib" "leave" (func $leave (result i32)))
        (func (export "run") (result i32) (drop (call $leave)) (i32.const 55))
        (func (export "own") (result i32) (i32.const 3)))"#;
    for (status, code, error) in EXITS {
        let leave = format!("(func (export \"leave\") (result i32) (call $exit (i32.const {status})) (i32.const 1))");
        for kind in ["", "(func (export \"_start\"))"] {
            let library = EXITING.replace("PART", &format!("{leave} {kind}"));
            let context = Context::new();
            let plugin = wasi(&context, modules([("lib", library.as_str()), ("main", main)]));
            for _ in 0..2 {
                let answer = plugin.call("run", "");
                assert_eq!((answer.code, answer.error.as_deref()), (code, error), "{status} {kind}");
                assert_eq!(plugin.call_only("own", b""), 3);
            }
        }
    }
}
