//! Code that runs before and around calls: start sections, initialisers, `_start`, and the state that instances keep.
#![expect(unsafe_code, reason = "extism_plugin_function_exists takes a pointer")]

use std::ffi::CString;

use extism::ffi;

use crate::host::{Context, Plugin, manifest};

/// The start of every module here: host functions of 0.x, and a decimal trace with a digit for each part that has run.
const HEAD: &str = r#"
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_length" (func $length (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store_u8 (param i64 i32)))
    (import "env" "extism_store_u64" (func $store_u64 (param i64 i64)))
    (import "env" "extism_output_set" (func $output_set (param i64 i64)))
    (import "env" "extism_error_set" (func $error_set (param i64)))
    (import "env" "extism_config_get" (func $config_get (param i64) (result i64)))
    (import "env" "extism_var_get" (func $var_get (param i64) (result i64)))
    (import "env" "extism_var_set" (func $var_set (param i64 i64)))
    (memory 1)
    (global $trace (mut i32) (i32.const 0))
    (func $mark (param i32)
        (global.set $trace (i32.add (i32.mul (global.get $trace) (i32.const 10)) (local.get 0))))
    (func (export "trace") (result i32) (global.get $trace))
    (func $key (result i64) (local $block i64)
        (call $store_u8 (local.tee $block (call $alloc (i64.const 1))) (i32.const 107))
        (local.get $block))
    (func $is_set (result i32) (i64.ne (call $var_get (call $key)) (i64.const 0)))
    (func $set (call $var_set (call $key) (call $key)))
    (func (export "is_set") (result i32) (call $is_set))
    (func (export "trap") (call $mark (i32.const 8)) unreachable)
    (func (export "count") (result i32) (call $mark (i32.const 1)) (global.get $trace))"#;

const START_SECTION: &str = "(func $start (call $mark (i32.const 1))) (start $start)";
const INITIALIZE: &str = "(func (export \"_initialize\") (call $mark (i32.const 2)))";
const CTORS: &str = "(func (export \"__wasm_call_ctors\") (call $mark (i32.const 3)))";
/// Marks 4 only if both arguments are 0.
const HS_INIT: &str = "(func (export \"hs_init\") (param i32 i32)
    (call $mark (i32.add (i32.const 4) (i32.or (local.get 0) (local.get 1)))))";
/// Outputs the trace as a number of 8 bytes.
const MAIN: &str = "(func (export \"_start\") (local $block i64)
    (call $mark (i32.const 5))
    (call $store_u64 (local.tee $block (call $alloc (i64.const 8))) (i64.extend_i32_u (global.get $trace)))
    (call $output_set (local.get $block) (i64.const 8))
    (call $set))";

fn module(parts: &[&str]) -> String {
    format!("(module {HEAD} {})", parts.join("\n"))
}

fn exists(plugin: Plugin<'_>, function: &str) -> bool {
    let name = CString::new(function).expect("no NUL in the name");
    // SAFETY: the name is a C string.
    unsafe { ffi::extism_plugin_function_exists(plugin.context.0, plugin.id, name.as_ptr()) }.into()
}

/// Calls each function and compares what it returns.
fn check(case: &str, parts: &[&str], calls: &[(&str, i32)]) {
    let context = Context::new();
    let plugin = context.plugin(module(parts));
    for (function, expected) in calls {
        let answer = plugin.call(function, "");
        assert_eq!((answer.code, answer.error()), (*expected, ""), "{case}: {function}");
    }
}

#[test]
fn initialisers_run_once_by_the_rule_of_0_5() {
    let other_types = "(func (export \"_initialize\") (result i32) (call $mark (i32.const 2)) (i32.const 0))
        (func (export \"__wasm_call_ctors\") (param i32) (call $mark (i32.const 3)))
        (func (export \"hs_init\") (call $mark (i32.const 4)))";
    let bad_initialize = "(func (export \"_initialize\") (param i32) (call $mark (i32.const 2)))";
    let bad_ctors = "(func (export \"__wasm_call_ctors\") (result i32) (call $mark (i32.const 3)) (i32.const 1))";
    let bad_hs_inits = [
        "(func (export \"hs_init\") (param i32) (call $mark (i32.const 4)))",
        "(func (export \"hs_init\") (param i32 i64) (call $mark (i32.const 4)))",
        "(func (export \"hs_init\") (param i32 i32) (result i32) (call $mark (i32.const 4)) (i32.const 0))",
    ];
    let no_functions = "(global (export \"_initialize\") i32 (i32.const 0))
        (export \"__wasm_call_ctors\" (memory 0)) (table (export \"hs_init\") 1 funcref)";
    let cases: &[(&str, &[&str], i32)] = &[
        ("none", &[], 0),
        ("_initialize", &[INITIALIZE], 2),
        ("constructors", &[CTORS], 3),
        ("constructors before _initialize", &[INITIALIZE, CTORS], 3),
        ("Haskell", &[HS_INIT], 4),
        ("Haskell after _initialize", &[HS_INIT, INITIALIZE], 24),
        ("Haskell, no constructors", &[HS_INIT, CTORS], 4),
        ("all of them", &[HS_INIT, CTORS, INITIALIZE], 24),
        ("a start section", &[START_SECTION], 1),
        ("a start section and _initialize", &[INITIALIZE, START_SECTION], 12),
        ("_start is not called", &[MAIN], 0),
        ("_start is not called, _initialize is", &[MAIN, INITIALIZE], 2),
        ("other types", &[other_types], 0),
        ("_initialize of another type and constructors", &[bad_initialize, CTORS], 3),
        ("constructors of another type and _initialize", &[bad_ctors, INITIALIZE], 2),
        ("_initialize of another type and Haskell", &[bad_initialize, HS_INIT], 4),
        ("hs_init with one parameter, constructors", &[bad_hs_inits[0], CTORS], 3),
        ("hs_init with an i64, _initialize", &[bad_hs_inits[1], INITIALIZE], 2),
        ("hs_init with a result, _initialize", &[bad_hs_inits[2], INITIALIZE], 2),
        ("exports that are no functions", &[no_functions], 0),
        ("one that is no function, and one that is", &["(global (export \"hs_init\") i32 (i32.const 0))", CTORS], 3),
    ];
    for (case, parts, expected) in cases {
        check(case, parts, &[("trace", *expected), ("trace", *expected), ("trace", *expected)]);
    }
}

/// A first call of an initialiser, or of the function that runs all of them, runs it once and no other.
#[test]
fn initialisers_called_by_name() {
    let cases: &[(&str, &[&str], &[(&str, i32)])] = &[
        ("_initialize", &[INITIALIZE], &[("_initialize", 0), ("trace", 2)]),
        ("constructors", &[CTORS, INITIALIZE], &[("__wasm_call_ctors", 0), ("trace", 3)]),
        ("_initialize beside constructors", &[CTORS, INITIALIZE], &[("_initialize", 0), ("trace", 2)]),
        ("_initialize beside Haskell", &[HS_INIT, INITIALIZE], &[("_initialize", 0), ("trace", 2)]),
        ("later it is a function like others", &[INITIALIZE], &[("trace", 2), ("_initialize", 0), ("trace", 22)]),
    ];
    for (case, parts, calls) in cases {
        check(case, parts, calls);
    }
    let context = Context::new();
    let plugin = context.plugin(module(&[MAIN, INITIALIZE, START_SECTION]));
    assert_eq!(plugin.call("_start", "").output, 15_u64.to_le_bytes(), "_start runs them itself");
    assert_eq!(plugin.call_only("trace", b""), 12, "the next instance is initialised again");
}

#[test]
fn initialisers_wait_for_the_first_call() {
    let fails_first = "(func (export \"_initialize\")
        (if (call $is_set) (then (call $mark (i32.const 2))) (else (call $set) unreachable)))";
    let context = Context::new();
    let plugin = context.plugin(module(&[fails_first]));
    assert!(exists(plugin, "trace"));
    let missing = plugin.call("missing", "");
    assert_eq!((missing.code, missing.error()), (-1, "Function not found: missing"));
    let parameters = "(func (export \"parameters\") (param i32))";
    let refused = context.plugin(module(&[fails_first, parameters])).call("parameters", "");
    assert!(refused.error().contains("expected 1 arguments, got 0"), "{refused:?}");

    let failed = plugin.call("count", "");
    assert_eq!(failed.code, -1);
    assert!(failed.error().starts_with("Call failed\n\nCaused by:\n    wasm trap: unreachable"), "{failed:?}");
    assert!(failed.error().contains("_initialize") || failed.error().contains("main!"), "{failed:?}");
    assert_eq!(plugin.call_only("trace", b""), 2, "a new instance, initialised again, with the variable of the first");
    assert_eq!(plugin.call_only("trace", b""), 2);
}

#[test]
fn start_sections_can_use_the_host() {
    // No handle is used twice: in the 1.x ABI the host takes handles over.
    let body = r#"
        (func $key (result i64) (local $block i64)
            (call $store (local.tee $block (call $alloc (i64.const 1))) (i32.const 107))
            (local.get $block))
        (func $start
            (call $log (call $config_get (call $key)))
            (call $var_set (call $key) (call $config_get (call $key)))
            (call $error_set (call $key))
            (global.set $input (call $input_length)))
        (start $start)
        (global $input (mut i64) (i64.const 99))
        (func (export "var") (result i32) (local $block i64)
            (local.set $block (call $var_get (call $key)))
            (call $output_set (local.get $block) (call $length (local.get $block)))
            (i32.wrap_i64 (global.get $input)))"#;
    for (module, prefix) in [("env", "extism_"), ("extism:host/env", "")] {
        let imports: String = [
            ("alloc", "(param i64) (result i64)"),
            ("store", "(param i64 i32)"),
            ("length", "(param i64) (result i64)"),
            ("input_length", "(result i64)"),
            ("config_get", "(param i64) (result i64)"),
            ("var_get", "(param i64) (result i64)"),
            ("var_set", "(param i64 i64)"),
            ("output_set", "(param i64 i64)"),
            ("error_set", "(param i64)"),
            ("log", "(param i64)"),
        ]
        .iter()
        .map(|(name, ty)| {
            let full = match *name {
                "store" => "store_u8",
                "log" => "log_info",
                other => other,
            };
            format!("(import \"{module}\" \"{prefix}{full}\" (func ${name} {ty}))")
        })
        .collect();
        let context = Context::new();
        let plugin = context.plugin(manifest(format!("(module {imports} {body})"), "\"config\": {\"k\": \"hello\"}"));
        assert_eq!(context.error(plugin.id), None, "{module}");
        assert_eq!(plugin.output(), b"", "{module}");
        let answer = plugin.call("var", "some input");
        assert_eq!((answer.code, answer.error(), answer.text()), (0, "", "hello".to_owned()), "{module}");
    }
}

#[test]
fn start_sections_that_trap_fail_the_creation() {
    let cases = [
        ("(func $start unreachable) (start $start)", "wasm trap: unreachable"),
        (
            "(func $start (drop (i32.div_u (i32.const 1) (i32.const 0)))) (start $start)",
            "wasm trap: integer divide by zero",
        ),
        ("(func $start (drop (i32.load (i32.const -4)))) (start $start)", "wasm trap: out of bounds memory access"),
        ("(func $start (call $start)) (start $start)", "wasm trap: call stack exhausted"),
        ("(func $start (drop (call $length (i64.const 77)))) (start $start)", "Unable to find length for offset 77"),
    ];
    for (start, expected) in cases {
        let context = Context::new();
        let error = context.refusal(module(&[start]));
        let first = format!("module `main` failed at its start\n\nCaused by:\n    {expected}");
        assert!(error.starts_with(&first), "{error}");
        // The engine's backtrace of a stack overflow has no frames.
        assert!(error.contains("main!start") || expected.contains("stack"), "the function is named: {error}");
        assert!(error.lines().count() < 50, "{error}");
        assert_eq!(context.plugin(module(&[])).call_only("count", b""), 1, "the context is as good as before");
    }
}

#[test]
fn segments_that_do_not_fit_fail_the_creation() {
    for part in ["(data (i32.const 65536) \"x\")", "(table 1 funcref) (elem (i32.const 1) $key)"] {
        let error = Context::new().refusal(module(&[part]));
        assert!(
            error.starts_with("module `main` could not be instantiated") && error.contains("out of bounds"),
            "{error}"
        );
    }
}

#[test]
fn start_uses_its_instance_up() {
    let config = "(func (export \"config\") (result i32) (i64.ne (call $config_get (call $key)) (i64.const 0)))";
    let context = Context::new();
    let plugin = context.plugin(module(&[MAIN, config]));
    assert!(plugin.configure("{\"k\": \"v\"}"));
    assert_eq!(plugin.call_only("count", b""), 1);
    assert_eq!(plugin.call_only("count", b""), 11);

    let answer = plugin.call("_start", "");
    assert_eq!((answer.code, answer.error()), (0, ""));
    assert_eq!(answer.output, 115_u64.to_le_bytes(), "it ran on the instance that was there");
    assert_eq!(plugin.output(), 115_u64.to_le_bytes(), "its output stays until the next call");
    assert!(exists(plugin, "count"));
    assert_eq!(plugin.output(), 115_u64.to_le_bytes());

    assert_eq!(plugin.call_only("count", b""), 1, "a new instance");
    assert_eq!(plugin.output(), b"");
    assert_eq!(plugin.call_only("count", b""), 11, "which stays");
    assert_eq!(plugin.call_only("is_set", b""), 1, "variables stay");
    assert_eq!(plugin.call_only("config", b""), 1, "the configuration stays");
    for _ in 0..3 {
        plugin.call_only("_start", b"");
        assert_eq!(plugin.call("_start", "").output, 5_u64.to_le_bytes(), "each _start has its own");
    }
}

#[test]
fn start_that_traps_uses_its_instance_up_too() {
    let main = "(func (export \"_start\") (result i32) (call $mark (i32.const 5)) unreachable)";
    let context = Context::new();
    let plugin = context.plugin(module(&[main]));
    assert_eq!(plugin.call_only("count", b""), 1);
    let answer = plugin.call("_start", "");
    assert!(answer.code == -1 && answer.error().contains("wasm trap: unreachable"), "{answer:?}");
    assert_eq!(plugin.call_only("count", b""), 1);
}

/// The start section traps while the configuration has a `k`.
#[test]
fn an_instance_that_cannot_be_made_anew() {
    let start = "(func $start (if (i64.ne (call $config_get (call $key)) (i64.const 0)) (then unreachable)))
        (start $start)";
    let context = Context::new();
    let plugin = context.plugin(module(&[start, MAIN]));
    assert_eq!(plugin.call_only("_start", b""), 0);
    assert!(plugin.configure("{\"k\": \"v\"}"));
    for _ in 0..3 {
        let answer = plugin.call("count", "");
        assert_eq!(answer.code, -1);
        let expected = "Call failed: the plugin could not be instantiated anew\n\nCaused by:\n    module `main` failed";
        assert!(answer.error().starts_with(expected) && answer.error().contains("unreachable"), "{answer:?}");
    }
    assert!(plugin.configure("{\"k\": null}"));
    assert_eq!(plugin.call_only("is_set", b""), 1, "nothing is lost");
    assert_eq!(plugin.call_only("count", b""), 1);
}

#[test]
fn an_instance_stays_over_calls_and_traps() {
    let more = "(func $deep (export \"deep\") (result i32) (i32.add (call $deep) (i32.const 1)))
        (func (export \"store\") (i32.store (i32.const 100) (i32.const 42)))
        (func (export \"load\") (result i32) (i32.load (i32.const 100)))
        (func (export \"grow\") (result i32) (memory.grow (i32.const 3)))
        (global $n (mut i32) (i32.const 0))
        (func (export \"next\") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))";
    let context = Context::new();
    for (after_trap, is_kept) in [("", false), (r#""after_trap": "keep""#, true)] {
        let plugin = context.plugin(manifest(module(&[more, INITIALIZE]), after_trap));
        for expected in 1..=1000 {
            assert_eq!(plugin.call_only("next", b""), expected);
        }
        assert_eq!(plugin.call_only("trace", b""), 2, "initialised once");
        assert_eq!(plugin.call_only("store", b""), 0);
        assert_eq!(plugin.call_only("grow", b""), 1);
        let (mut pages, mut count) = (4, 1000);
        for failing in ["missing", "trap", "deep", "missing", "trap"] {
            assert_eq!(plugin.call_only(failing, b""), -1);
            if !is_kept && failing != "missing" {
                (pages, count) = (1, 0);
            }
            let stored = if pages == 1 || count < 1000 { 0 } else { 42 };
            assert_eq!(plugin.call_only("load", b""), stored, "after {failing}");
            assert_eq!(plugin.call_only("grow", b""), pages, "after {failing}");
            assert_eq!(plugin.call_only("next", b""), count + 1, "after {failing}");
            (pages, count) = (pages + 3, count + 1);
        }
        let traced = if is_kept { 288 } else { 2 };
        assert_eq!(plugin.call_only("trace", b""), traced, "what ran before the traps has run");
    }
}

#[test]
fn which_functions_exist() {
    let context = Context::new();
    let all = "(func (export \"parameters\") (param i32)) (func (export \"\") (result i64) (i64.const 0))
        (func (export \"é\")) (global (export \"global\") i32 (i32.const 0)) (export \"memory\" (memory 0))
        (table (export \"table\") 1 funcref)";
    let plugin = context.plugin(module(&[all, START_SECTION, INITIALIZE]));
    let cases = [
        ("trace", true),
        ("_initialize", true),
        ("parameters", true),
        ("", true),
        ("é", true),
        ("Trace", false),
        ("trace ", false),
        ("global", false),
        ("memory", false),
        ("table", false),
        ("start", false),
        ("extism_alloc", false),
        ("extism-wasmer:start", false),
        ("extism-wasmer:memory", false),
    ];
    for (name, expected) in cases {
        assert_eq!(exists(plugin, name), expected, "{name}");
    }
}

/// No module may export the names that the rewrite adds.
#[cfg(feature = "compiler")]
#[test]
fn reserved_exports() {
    for name in ["extism-wasmer:start", "extism-wasmer:memory"] {
        let exports = [
            format!("(func (export \"{name}\"))"),
            format!("(global (export \"{name}\") i32 (i32.const 0))"),
            format!("(export \"{name}\" (memory 0))"),
        ];
        for export in exports {
            let error = Context::new().refusal(module(&[&export]));
            assert_eq!(error, format!("module `main`: the export name `{name}` is reserved"));
        }
        let context = Context::new();
        let answer = context.plugin(module(&[START_SECTION])).call(name, "");
        assert_eq!((answer.code, answer.error()), (-1, format!("Function not found: {name}").as_str()));
    }
}
