//! The number of instructions that a call may execute.

use serde_json::{Value, json};

use crate::host::{Compiler, Context, Plugin, manifest};
use crate::linking::modules;

/// A loop of one round for each byte of the input, a loop and a recursion that never end, and a counter of calls.
const LOOPS: &str = r#"(module (import "env" "extism_input_length" (func $length (result i64)))
    (global $calls (mut i32) (i32.const 0))
    (func (export "count") (result i32) (local $left i64)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (local.set $left (call $length))
        (block (loop
            (br_if 1 (i64.eqz (local.get $left)))
            (local.set $left (i64.sub (local.get $left) (i64.const 1)))
            (br 0)))
        (i32.const 0))
    (func (export "forever") (loop (br 0)))
    (func $deep (export "deep") (call $deep))
    (func (export "calls") (result i32) (global.get $calls)))"#;

fn with_fuel(manifest: &str, fuel: u64) -> String {
    let mut manifest: Value = serde_json::from_str(manifest).expect("JSON");
    manifest["fuel"] = json!(fuel);
    manifest.to_string()
}

fn loops(context: &Context, fuel: u64) -> Plugin<'_> {
    context.plugin(with_fuel(&manifest(LOOPS, ""), fuel))
}

fn out_of(function: &str, fuel: u64) -> String {
    format!(
        "Call failed\n\nCaused by:\n    \
         out of fuel: the call of `{function}` has not ended within the {fuel} instructions that it may execute (fuel)"
    )
}

#[test]
fn a_call_ends_when_it_has_none_left() {
    let context = Context::new();
    let plugin = loops(&context, 10_000);
    for function in ["forever", "deep"] {
        let answer = plugin.call(function, "");
        assert_eq!((answer.code, answer.error()), (-1, out_of(function, 10_000).as_str()), "{function}");
        // Each call has fuel of its own.
        assert_eq!(plugin.call("count", "x".repeat(500)).code, 0);
    }
    assert_eq!(plugin.call("count", "x".repeat(10_000)).error(), out_of("count", 10_000));
    assert_eq!(plugin.call_only("calls", b""), 0, "what was ended in the middle is not used again");
    let trap =
        Context::new().plugin(with_fuel(&manifest("(module (func (export \"f\") unreachable))", ""), 9)).call("f", "");
    assert!(trap.error().contains("wasm trap: unreachable"), "{}", trap.error());
}

#[test]
fn what_was_used_can_be_asked_for() {
    let context = Context::new();
    let plugin = loops(&context, 10_000);
    assert_eq!(plugin.fuel_used(), 0, "before the first call");
    let used = |input: &[u8]| {
        assert_eq!(plugin.call_only("count", input), 0);
        plugin.fuel_used()
    };
    let (none, ten, twenty) = (used(b""), used(b"0123456789"), used(b"01234567890123456789"));
    assert!(none > 0 && ten > none && twenty - ten == ten - none, "{none} {ten} {twenty}");
    assert_eq!(used(b"0123456789"), ten);
    let exact = loops(&context, ten);
    assert_eq!((exact.call_only("count", b"0123456789"), exact.fuel_used()), (0, ten));
    let error = plugin.call("forever", "").error().to_owned();
    assert_eq!(plugin.fuel_used(), 10_000);
    assert_eq!(context.error(plugin.id).as_deref(), None, "the output was asked for, which clears it: {error}");
    assert_eq!(plugin.call_only("forever", b""), -1);
    assert_eq!((plugin.fuel_used(), context.error(plugin.id)), (10_000, Some(error)), "errors stay");
    let unmetered = context.plugin(manifest(LOOPS, ""));
    assert_eq!((unmetered.call_only("count", b""), unmetered.fuel_used()), (0, 0));
    unmetered.free();
    assert_eq!(unmetered.fuel_used(), 0);
}

/// The same number of instructions is enough, or too few, every time.
#[test]
fn fuel_is_counted_exactly() {
    let context = Context::new();
    let enough = |fuel: u64| loops(&context, fuel).call_only("count", b"0123456789") == 0;
    let least = (1..1000).find(|fuel| enough(*fuel)).expect("some are enough");
    assert!(least > 60, "{least}");
    for _ in 0..20 {
        assert_eq!([enough(least - 1), enough(least), enough(least + 1)], [false, true, true]);
    }
    assert!(!enough(0) && enough(u64::MAX));
}

/// The count is of the plugin's own instructions, however its calls of the host are compiled: it is the same on each
/// compiler and beside another module.
#[test]
fn a_plugin_needs_as_much_everywhere() {
    let main = r#"(module (import "env" "extism_input_load_u8" (func $load (param i64) (result i32))) (memory 1)
        (table 1 funcref) (elem $e func $load)
        (func (export "run") (drop (call $load (i64.const 0))) (drop (call $load (i64.const 1)))
            (memory.fill (i32.const 0) (i32.const 0) (i32.const 9)) (table.init $e (i32.const 0) (i32.const 0) (i32.const 1))
            (drop (call_indirect (param i64) (result i32) (i64.const 0) (i32.const 0)))))"#;
    let alone = with_fuel(&modules([("main", main)]), 1000);
    let beside = with_fuel(&modules([("main", main), ("beside", "(module)")]), 1000);
    let compilers = Compiler::ALL.into_iter().filter(Compiler::is_built_in).map(|compiler| json!(compiler.name()));
    for compiler in compilers.chain([Value::Null]) {
        for manifest in [&alone, &beside] {
            let mut manifest: Value = serde_json::from_str(manifest).expect("JSON");
            manifest["compiler"] = compiler.clone();
            let context = Context::new();
            let plugin = context.plugin(manifest.to_string());
            assert_eq!((plugin.call_only("run", b"ab"), plugin.fuel_used()), (0, 19), "{compiler}");
        }
    }
}

#[test]
fn what_runs_before_the_first_call_is_counted_too() {
    let forever = "(func $forever (loop (br 0)))";
    let error = Context::new().refusal(with_fuel(&manifest(format!("(module {forever} (start $forever))"), ""), 1000));
    assert!(error.contains("failed at its start") && error.contains("out of fuel: it has not ended "), "{error}");
    let context = Context::new();
    let plugin = format!("(module {forever} (export \"_initialize\" (func $forever)) (func (export \"f\")))");
    assert_eq!(context.plugin(with_fuel(&manifest(plugin, ""), 1000)).call("f", "").error(), out_of("f", 1000));
}

/// All modules that a call reaches share its fuel.
#[test]
fn libraries_are_counted() {
    let main = r#"(module (import "lib" "f" (func $f)) (func (export "run") (call $f))
        (func (export "often") (local $left i32) (local.set $left (i32.const 200))
            (loop (call $f) (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;
    for start in ["", "(func (export \"_start\"))"] {
        let plugin = |context, function: &str| {
            let library = format!("(module {start} (func (export \"f\") {function}))");
            Context::plugin(context, with_fuel(&modules([("lib", library.as_str()), ("main", main)]), 2000))
        };
        let context = Context::new();
        assert_eq!(plugin(&context, "(loop (br 0))").call("run", "").error(), out_of("run", 2000), "{start}");
        let plugin = plugin(&context, "nop nop nop");
        // Each call of the library is four instructions in the library, and seven in the main module.
        assert_eq!(plugin.call("often", "").error(), out_of("often", 2000), "{start}");
        assert_eq!((plugin.call_only("run", b""), plugin.fuel_used()), (0, 6), "{start}");
    }
}

/// A module can neither import the fuel counter nor replace it by a library's global.
#[cfg(feature = "compiler")]
#[test]
fn fuel_is_out_of_reach() {
    for (import, complaint) in [("fuel", "reserved"), ("more", "unknown import")] {
        let greedy = format!(
            r#"(module (import "extism-wasmer" "{import}" (global $g (mut i64)))
                (func (export "run") (global.set $g (i64.const 1000000000000))))"#
        );
        let error = Context::new().refusal(with_fuel(&manifest(&greedy, ""), 1000));
        assert!(error.contains(complaint), "{error}");
        let library = r#"(module (global (export "fuel") (export "more") (mut i64) (i64.const 0)))"#;
        let linked = modules([("extism-wasmer", library), ("main", greedy.as_str())]);
        let context = Context::new();
        match import {
            "fuel" => assert!(context.refusal(with_fuel(&linked, 1000)).contains(complaint)),
            _ => assert_eq!(context.plugin(with_fuel(&linked, 1000)).call_only("run", b""), 0),
        }
    }
}
