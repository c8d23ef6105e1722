//! Plugins whose stack is full to the last bytes when they need a function of the engine.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::child;
use crate::host::{Context, Plugin};

/// Instructions at the bottom of the stack: most of them trap, some return.
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

/// An export for each deed, whose input is the number of functions that call each other before it.
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

/// The error of a call with this many functions before the deed, empty if there is none.
fn at(plugin: &Plugin<'_>, deed: &str, depth: u64) -> String {
    plugin.call(deed, depth.to_le_bytes()).error.unwrap_or_default()
}

const EXHAUSTED: &str = "call stack exhausted";

/// The number of functions that fit on the stack.
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

/// The engine's functions run on a plugin's stack and take locks, which an overflow in their middle would leave locked.
#[test]
fn the_engine_finds_room_or_does_not_begin() {
    child::alone("full_stack::the_engine_finds_room_or_does_not_begin", || {
        const STACK: u64 = 1 << 20;
        // Bytes before the end of the stack, and the step between tries, which are few, as each trap's stack walk is
        // slow. Stack probes ask for 32 KiB, a walk needs some thousand bytes, and at the end not even a probe fits.
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
        // Traps take a lock of the process. The thread that holds it can take it again, so another thread tries.
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

/// Little of the stack is reserved for the engine.
#[test]
fn plugins_have_most_of_their_stack() {
    let context = Context::new();
    let plugin = context.plugin(module());
    let end = depth(&plugin);
    for (deed, _) in DEEDS {
        // Functions that do more have larger frames, so fewer of them fit.
        let error = at(&plugin, deed, end / 2);
        assert!(!error.contains(EXHAUSTED), "{deed}: {error}");
    }
}

/// Text is read whatever the stack of the calling thread, however deeply it is nested.
#[cfg(feature = "compiler")]
#[test]
fn nested_text_on_small_stacks() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + &close.repeat(depth);
    let expression = nested("(i32.eqz ", ")", 5000).replace("(i32.eqz )", "(i32.eqz (i32.const 1))");
    let cases = [
        ("components", nested("(component ", ")", 300), "too deep"),
        ("components, cut off", ";;\n".to_owned() + &"(component ".repeat(300), "too deep"),
        ("component types", format!("(component {})", nested("(type (component ", "))", 300)), "too deep"),
        ("option types", format!("(component (type {}))", nested("(option ", ")", 5000)), "too deep"),
        ("expressions", format!("(module (func (export \"run\") (drop {expression})))"), ""),
        ("blocks", format!("(module (func (export \"run\") {}))", nested("(block ", ")", 5000)), ""),
        ("comments", nested("(; ", ";)", 5000) + "(module (func (export \"run\")))", ""),
        ("annotations", format!("(module (@a {}) (func (export \"run\")))", nested("(", ")", 5000)), ""),
    ];
    child::alone("full_stack::nested_text_on_small_stacks", || {
        for stack in [128 << 10, 256 << 10] {
            thread::scope(|scope| {
                let read = || {
                    for (name, text, expected) in &cases {
                        let context = Context::new();
                        match context.create(text, false).map(|plugin| plugin.call_only("run", b"")) {
                            Ok(code) => assert_eq!((code, *expected), (0, ""), "{name} on {stack}"),
                            Err(error) => {
                                assert!(!expected.is_empty() && error.contains(expected), "{name} on {stack}: {error}");
                            }
                        }
                    }
                };
                thread::Builder::new().stack_size(stack).spawn_scoped(scope, read).expect("a thread");
            });
        }
    });
}
