//! Stack pointers that are restored after a trap, and those that cannot be recognised.

#[cfg(feature = "compiler")]
use crate::child;
use crate::host::Context;
#[cfg(feature = "compiler")]
use crate::host::manifest;

#[cfg(feature = "compiler")]
const KEEP: &str = r#""after_trap": "keep""#;

#[cfg(feature = "compiler")]
/// The warnings of making a plugin of `module` with `keep`, and its stack pointer after a good call, after ten calls
/// that trap with the pointer lowered, and after another good call.
fn pointers(module: &str) -> (Vec<String>, [i32; 3]) {
    let context = Context::new();
    let mut plugin = None;
    let warnings = crate::log::warnings(|| plugin = Some(context.plugin(manifest(module, KEEP))));
    let plugin = plugin.expect("made");
    let pointer = || plugin.call_only("pointer", b"");
    let first = pointer();
    (0..10).for_each(|_| assert_eq!(plugin.call_only("trap", b""), -1));
    let second = pointer();
    assert_eq!(plugin.call_only("good", b""), 0, "{:?}", context.error(plugin.id));
    (warnings, [first, second, pointer()])
}

#[cfg(feature = "compiler")]
/// A module whose function first lowers a global with the code `lower`, and then traps or raises it again.
fn module(global: &str, lower: &str) -> String {
    format!(
        r#"(module (memory 1) (global {global} (mut i32) (i32.const 4096)) (global $other (mut i32) (i32.const 7))
            (func $work (param $fails i32) (local $frame i32) (local $size i32)
                {lower}
                (if (local.get $fails) (then unreachable))
                (i32.store8 (local.get $frame) (i32.const 1))
                (global.set 0 (i32.add (local.get $frame) (i32.const 1024))))
            (func (export "pointer") (result i32) (global.get 0))
            (func (export "trap") (call $work (i32.const 1)))
            (func (export "good") (call $work (i32.const 0))))"#
    )
}

#[cfg(feature = "compiler")]
const USUAL: &str = "(global.set 0 (local.tee $frame (i32.sub (global.get 0) (i32.const 1024))))";

#[cfg(feature = "compiler")]
#[test]
fn each_way_to_tell_them() {
    child::alone("traps::pointers::each_way_to_tell_them", told);
}

#[cfg(feature = "compiler")]
fn told() {
    let counter = "(global.set 1 (i32.sub (global.get 1) (i32.const 1)))";
    for (case, global, lower) in [
        (
            "its name in the name section",
            "$__stack_pointer",
            "(local.set $frame (i32.sub (global.get 0) (i32.const 1024)))
            (block) (global.set 0 (local.get $frame))",
        ),
        (
            "the name of an export",
            "(export \"__stack_pointer\")",
            "(local.set $frame (i32.sub (global.get 0) (i32.const 1024)))
            (block) (global.set 0 (local.get $frame))",
        ),
        ("a beginning, as LLVM makes it", "", USUAL),
        ("beside a counter", "", &format!("{USUAL} {counter}")),
        (
            "without optimisation",
            "",
            "global.get 0 local.set $frame i32.const 1024 local.set $size
            local.get $frame local.get $size i32.sub local.set $frame local.get $frame global.set 0",
        ),
        (
            "aligned",
            "",
            "(local.set $frame (i32.and (i32.sub (global.get 0) (i32.const 1024)) (i32.const -16)))
            (global.set 0 (local.get $frame))",
        ),
        ("by adding", "", "(global.set 0 (local.tee $frame (i32.add (global.get 0) (i32.const -1024))))"),
    ] {
        assert_eq!(pointers(&module(global, lower)), (Vec::new(), [4096; 3]), "{case}");
    }
}

#[cfg(feature = "compiler")]
#[test]
fn what_cannot_be_told_is_said() {
    child::alone("traps::pointers::what_cannot_be_told_is_said", untold);
}

#[cfg(feature = "compiler")]
fn untold() {
    let warning = "WARN module `main`: its stack pointer cannot be told; with after_trap = \"keep\", a trap leaves it where it was";
    let after_a_branch = "(block) (global.set 0 (local.tee $frame (i32.sub (global.get 0) (i32.const 128))))
        (local.set $frame (i32.sub (local.get $frame) (i32.const 896)))";
    let by_two = format!(
        "(global.set 1 (local.tee $frame (i32.sub (global.get 1) (i32.const 16))))
        (global.set 1 (i32.add (local.get $frame) (i32.const 16))) {after_a_branch}"
    );
    for (case, lower) in [("after a branch", after_a_branch), ("another global", &by_two)] {
        let (warnings, [first, lowered, last]) = pointers(&module("", lower));
        let told = case == "another global";
        assert_eq!(warnings, if told { vec![] } else { vec![warning.to_owned()] }, "{case}");
        assert_eq!((first, lowered, last), (4096, 4096 - 10 * 128, 4096 - 10 * 128), "{case}");
    }
    let nothing = "(module (func (export \"f\") unreachable))";
    // LLVM's code counts calls in globals, so that one of them may look like a stack pointer.
    if crate::host::Compiler::in_use() != "llvm" {
        let warned = crate::log::warnings(|| Context::new().plugin(manifest(nothing, KEEP)).free());
        assert_eq!(warned, Vec::<String>::new(), "it has no stack in memory");
    }
}

/// Each module has a stack of its own, and each pointer is restored.
#[test]
fn linked_modules() {
    let library = |name: &str| {
        format!(
            r#"(module (memory 1) (global $__stack_pointer (mut i32) (i32.const 4096))
                (func (export "trap_{name}")
                    (global.set 0 (i32.sub (global.get 0) (i32.const 16))) unreachable)
                (func (export "pointer_{name}") (result i32) (global.get 0)))"#
        )
    };
    let main = r#"(module
        (import "a" "trap_a" (func $trap_a)) (import "b" "trap_b" (func $trap_b))
        (import "a" "pointer_a" (func $pointer_a (result i32))) (import "b" "pointer_b" (func $pointer_b (result i32)))
        (memory 1) (global $__stack_pointer (mut i32) (i32.const 8192))
        (func $lower (global.set 0 (i32.sub (global.get 0) (i32.const 16))))
        (func (export "a") (call $lower) (call $trap_a))
        (func (export "b") (call $lower) (call $trap_b))
        (func (export "pointer_a") (result i32) (call $pointer_a))
        (func (export "pointer_b") (result i32) (call $pointer_b))
        (func (export "pointer") (result i32) (global.get 0)))"#;
    let (a, b, main) = (library("a"), library("b"), main.to_owned());
    let linked = crate::linking::modules([("a", &a), ("b", &b), ("main", &main)]);
    let context = Context::new();
    let plugin = context.plugin(crate::stop::with(&linked, "after_trap", "keep".into()));
    for function in ["a", "b", "a", "b"] {
        assert_eq!(plugin.call_only(function, b""), -1);
        let pointers = ["pointer", "pointer_a", "pointer_b"].map(|function| plugin.call_only(function, b""));
        assert_eq!(pointers, [8192, 4096, 4096], "{function}");
    }
}
