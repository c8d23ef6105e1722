//! Plugins that have filled their stack to the last bytes when they make the engine do something for them.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::child;
use crate::host::{Context, Plugin};

/// What is done at the bottom: most of it traps, some returns.
const DEEDS: [(&str, &str); 22] = [
    ("nothing", ""),
    ("memory.init", "(memory.init $data (i32.const 0) (i32.const 0) (i32.const 1000))"),
    ("memory.copy", "(memory.copy (i32.const -1) (i32.const 0) (i32.const 1000))"),
    ("memory.fill", "(memory.fill (i32.const -1) (i32.const 0) (i32.const 1000))"),
    ("memory.size", "(drop (memory.size))"),
    ("memory.grow", "(drop (memory.grow (i32.const 0)))"),
    ("data.drop", "(data.drop $data)"),
    ("table.init", "(table.init 0 $elements (i32.const 0) (i32.const 0) (i32.const 1000))"),
    ("table.copy", "(table.copy 0 0 (i32.const -1) (i32.const 0) (i32.const 1000))"),
    ("table.fill", "(table.fill 0 (i32.const -1) (ref.null func) (i32.const 1000))"),
    ("table.get", "(drop (table.get 0 (i32.const -1)))"),
    ("table.set", "(table.set 0 (i32.const -1) (ref.null func))"),
    ("table.size", "(drop (table.size 0))"),
    ("table.grow", "(drop (table.grow 0 (ref.null func) (i32.const 0)))"),
    ("elem.drop", "(elem.drop $elements)"),
    ("ref.func", "(table.set 0 (i32.const 0) (ref.func $type))"),
    ("unreachable", "unreachable"),
    ("division", "(global.set $g (i32.div_u (i32.const 7) (global.get $zero)))"),
    ("conversion", "(global.set $g (i32.trunc_f32_u (f32.const -5)))"),
    ("no function", "(call_indirect (type $type) (i32.const 1))"),
    ("wrong type", "(call_indirect (type $other) (i32.const 0) (i32.const 0))"),
    ("host function", "(call $host_free (i64.const 12345))"),
];

/// Each deed has a function of its name, whose input is how many functions call each other before it.
fn module() -> String {
    let functions = DEEDS.map(|(name, deed)| {
        format!(
            r#"(func $"down {name}" (param $depth i32)
                (if (local.get $depth)
                    (then
                        (call $"down {name}" (i32.sub (local.get $depth) (i32.const 1)))
                        (global.set $g (i32.xor (i32.mul (global.get $g) (i32.const 3)) (local.get $depth))))
                    (else {deed})))
            (func (export "{name}") (call $"down {name}" (i32.wrap_i64 (call $input (i64.const 0)))))"#
        )
    });
    format!(
        r#"(module
            (import "env" "extism_input_load_u64" (func $input (param i64) (result i64)))
            (import "env" "extism_free" (func $host_free (param i64)))
            (memory 1) (data $data "data")
            (global $g (mut i32) (i32.const 0)) (global $zero (mut i32) (i32.const 0))
            (type $type (func)) (type $other (func (param i32)))
            (table 2 funcref) (elem (i32.const 0) func $type) (elem $elements func $type)
            (func $type (type $type))
            {}
            (func (export "well") (result i32)
                (data.drop $data) (elem.drop $elements) (memory.fill (i32.const 0) (i32.const 1) (i32.const 9))
                (i32.load8_u (i32.const 8))))"#,
        functions.concat()
    )
}

/// What a call says with this many functions before the deed: nothing, or its trap.
fn at(plugin: &Plugin<'_>, deed: &str, depth: u64) -> String {
    plugin.call(deed, depth.to_le_bytes()).error.unwrap_or_default()
}

const EXHAUSTED: &str = "call stack exhausted";

/// How many functions fit on the stack.
fn depth(plugin: &Plugin<'_>) -> u64 {
    let (mut fits, mut is_too_deep) = (0, 1 << 20);
    while is_too_deep - fits > 1 {
        let middle = u64::midpoint(fits, is_too_deep);
        if at(plugin, "nothing", middle).contains(EXHAUSTED) {
            is_too_deep = middle;
        } else {
            fits = middle;
        }
    }
    fits
}

/// The engine's own functions run on a plugin's stack, and take locks there that would stay taken.
#[test]
fn the_engine_finds_room_or_does_not_begin() {
    child::alone("full_stack::the_engine_finds_room_or_does_not_begin", || {
        const STACK: u64 = 1 << 20;
        // In each of the last bytes, the distance of what is tried. What is looked for has 32 KiB; what walks the stack for a trap
        // needs some thousands; at the end is what finds no room even for itself. These are few, as such a walk takes its time.
        const NEAR: [(u64, u64); 3] = [(40 << 10, 2 << 10), (16 << 10, 512), (2 << 10, 64)];
        let context = Context::new();
        let plugin = context.plugin(module());
        let end = depth(&plugin);
        let functions = |bytes: u64| (bytes * end / STACK).max(1);
        let depths = |(bytes, step)| (end - functions(bytes)..end + 2).step_by(functions(step) as usize);
        for (deed, _) in DEEDS {
            for depth in NEAR.into_iter().flat_map(depths) {
                let error = at(&plugin, deed, depth);
                assert!(error.is_empty() || error.contains("wasm trap: "), "{deed} at {depth} of {end}: {error}");
            }
        }
        assert_eq!(plugin.call_only("well", b""), 1);
        // That of the traps is the process's, and not found taken by the thread that has taken it.
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let context = Context::new();
            let error = context.plugin("(module (func (export \"f\") unreachable))").call("f", "").error().to_owned();
            sender.send(error)
        });
        let error = receiver.recv_timeout(Duration::from_secs(20)).expect("another thread can trap");
        assert!(error.contains("unreachable"), "{error}");
    });
}

/// What is kept free for the engine is not much.
#[test]
fn plugins_have_most_of_their_stack() {
    let context = Context::new();
    let plugin = context.plugin(module());
    let end = depth(&plugin);
    for (deed, _) in DEEDS {
        // Functions that do more have more on the stack themselves.
        let error = at(&plugin, deed, end / 2);
        assert!(!error.contains(EXHAUSTED), "{deed}: {error}");
    }
}
