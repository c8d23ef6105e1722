//! Linked modules share one I/O memory: each sees every change that another makes to it.

use super::modules;
use crate::host::{Answer, Context};

/// Functions that are inlined into linked modules, and some that are not.
const IMPORTS: &str = r#"
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_load_u8" (func $load_u8 (param i64) (result i32)))
    (import "env" "extism_load_u64" (func $load_u64 (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store_u8 (param i64 i32)))
    (import "env" "extism_store_u64" (func $store_u64 (param i64 i64)))
    (import "env" "extism_input_length" (func $input_length (result i64)))
    (import "env" "extism_input_load_u8" (func $input_load_u8 (param i64) (result i32)))
    (import "env" "extism_output_set" (func $output_set (param i64 i64)))
    (import "extism:host/env" "input_set" (func $input_set (param i64 i64)))
    (import "extism:host/env" "output_offset" (func $output_offset (result i64)))
    (import "extism:host/env" "output_length" (func $output_length (result i64)))"#;

/// Calls `run` of the main module with each input in turn.
fn answers(main: &str, library: &str, inputs: &[&str]) -> Vec<Answer> {
    let context = Context::new();
    let module = |body: &str| format!("(module {body})").replace("$IMPORTS", IMPORTS);
    let plugin = context.plugin(modules([("main", module(main)), ("library", module(library))]));
    inputs.iter().map(|input| plugin.call("run", input)).collect()
}

fn outputs(main: &str, library: &str, inputs: &[&str]) -> Vec<String> {
    let answers = answers(main, library, inputs);
    answers
        .iter()
        .for_each(|answer| assert_eq!((answer.code, answer.error.as_deref()), (0, None), "{main}\n{library}"));
    answers.iter().map(Answer::text).collect()
}

#[test]
fn what_one_writes_another_reads_also_when_it_has_grown() {
    // The library's block lies beyond the memory's first size; both modules read what the other has written.
    let library = r#"$IMPORTS (func (export "far") (param $near i64) (result i64) (local $far i64)
        (local.set $far (i64.add (call $alloc (i64.const 3000000)) (i64.const 2999992)))
        (call $store_u64 (local.get $far) (i64.add (call $load_u64 (local.get $near)) (i64.const 0x0101010101010101)))
        (local.get $far))"#;
    let main = r#"(import "library" "far" (func $far (param i64) (result i64))) $IMPORTS
        (memory 1) (func (export "run") (local $near i64) (local $far i64)
            (local.set $near (call $alloc (i64.const 8)))
            (call $store_u64 (local.get $near) (i64.const 0x4141414141414141))
            (local.set $far (call $far (local.get $near)))
            (call $store_u64 (local.get $near) (call $load_u64 (local.get $far)))
            (call $output_set (local.get $near) (i64.const 8)))"#;
    assert_eq!(outputs(main, library, &["", "again"]), ["BBBBBBBB"; 2]);
}

#[test]
fn nothing_of_an_earlier_call_is_left_by_either() {
    let library = r#"$IMPORTS (func (export "sum") (param $at i64) (result i32) (local $left i32) (local $sum i32)
        (local.set $left (i32.const 1000))
        (loop $next
            (local.set $sum (i32.add (local.get $sum) (call $load_u8 (local.get $at))))
            (call $store_u8 (local.get $at) (i32.const 1))
            (local.set $at (i64.add (local.get $at) (i64.const 1)))
            (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (local.get $sum))"#;
    let main = r#"(import "library" "sum" (func $sum (param i64) (result i32))) $IMPORTS
        (func (export "run") (result i32) (call $sum (call $alloc (i64.const 1000))))"#;
    let codes: Vec<_> = answers(main, library, &["", "input", ""]).iter().map(|answer| answer.code).collect();
    assert_eq!(codes, [0, 0, 0]);
}

#[test]
fn input_and_output_are_those_of_the_plugin() {
    // The library sets input and output, and both modules see them.
    let library = r#"$IMPORTS
        (func (export "first") (result i32) (call $input_load_u8 (i64.const 0)))
        (func (export "skip") (param $length i64)
            (call $input_set (i64.const 65) (local.get $length)) (call $output_set (i64.const 66) (i64.const 2)))"#;
    let main = r#"(import "library" "first" (func $first (result i32))) (import "library" "skip" (func $skip (param i64)))
        $IMPORTS (func (export "run") (local $block i64)
            (local.set $block (call $alloc (i64.const 5)))
            (call $store_u8 (local.get $block) (call $first))
            (call $skip (i64.sub (call $input_length) (i64.const 1)))
            (call $store_u8 (i64.add (local.get $block) (i64.const 1)) (call $first))
            (call $store_u8 (i64.add (local.get $block) (i64.const 2)) (i32.add (i32.const 48) (i32.wrap_i64 (call $input_length))))
            (call $store_u8 (i64.add (local.get $block) (i64.const 3)) (call $load_u8 (call $output_offset)))
            (call $store_u8 (i64.add (local.get $block) (i64.const 4)) (i32.add (i32.const 48) (i32.wrap_i64 (call $output_length))))
            (call $output_set (local.get $block) (i64.const 5)))"#;
    assert_eq!(outputs(main, library, &["abcd", "wxyz"]), ["ab3c2", "wx3y2"]);
}

/// Each call of a command's function has a new instance, which sees the input and the blocks of the plugin's call.
#[test]
fn commands_have_it_too() {
    let library = r#"$IMPORTS (func (export "_start"))
        (func (export "copy") (param $to i64) (param $at i64)
            (call $store_u8 (i64.add (local.get $to) (local.get $at)) (call $input_load_u8 (local.get $at))))"#;
    let main = r#"(import "library" "copy" (func $copy (param i64 i64))) $IMPORTS
        (func (export "run") (local $block i64)
            (local.set $block (call $alloc (i64.const 3)))
            (call $copy (local.get $block) (i64.const 0))
            (call $copy (local.get $block) (i64.const 1))
            (call $store_u8 (i64.add (local.get $block) (i64.const 2)) (call $input_load_u8 (i64.const 2)))
            (call $output_set (local.get $block) (i64.const 3)))"#;
    assert_eq!(outputs(main, library, &["abc", "xyz", "123"]), ["abc", "xyz", "123"]);
}

/// A module of 1.x may import the memory itself, and make it larger.
#[test]
fn beside_one_that_imports_it() {
    let library = r#"(import "extism:host/env" "memory" (memory 1)) (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (func (export "far") (param $near i64) (result i64) (local $far i32)
            (local.set $far (i32.wrap_i64 (call $alloc (i64.const 8))))
            (i64.store (local.get $far) (i64.add (i64.load (i32.wrap_i64 (local.get $near))) (i64.const 0x0101010101010101)))
            (drop (memory.grow (i32.const 7)))
            (i64.extend_i32_u (local.get $far)))"#;
    let main = r#"(import "library" "far" (func $far (param i64) (result i64))) $IMPORTS
        (memory 1) (func (export "run") (local $near i64)
            (local.set $near (call $alloc (i64.const 8)))
            (call $store_u64 (local.get $near) (i64.const 0x4141414141414141))
            (call $store_u64 (local.get $near) (call $load_u64 (call $far (local.get $near))))
            (call $output_set (local.get $near) (i64.const 8)))"#;
    assert_eq!(outputs(main, library, &["", "again"]), ["BBBBBBBB"; 2]);
}

/// All modules have the same bounds, which are those of the one memory to the byte.
#[test]
fn bounds_are_those_of_the_one_memory() {
    let library = r#"$IMPORTS (func (export "load") (param $at i64) (result i64) (call $load_u64 (local.get $at)))"#;
    for (at, expected) in [("65528", Ok(0)), ("65529", Err(())), ("4294967296", Err(())), ("-1", Err(()))] {
        let main = format!(
            r#"(import "library" "load" (func $load (param i64) (result i64)))
                (func (export "run") (result i32) (i32.wrap_i64 (call $load (i64.const {at}))))"#
        );
        let [answer] = &answers(&main, library, &[""])[..] else { panic!("one call") };
        let out_of_bounds = answer.error().contains("out of bounds memory access");
        assert_eq!((answer.code, out_of_bounds), (expected.unwrap_or(-1), expected.is_err()), "{at}");
    }
}

/// The first of three calls writes through a command, the main module having nothing inlined; the others output what
/// they find.
#[test]
fn nothing_that_a_command_wrote_is_left() {
    let library = r#"$IMPORTS (func (export "_start"))
        (func (export "write") (param $at i64) (call $store_u64 (local.get $at) (i64.const 0x5445524345532121)))"#;
    let main = r#"(import "library" "write" (func $write (param i64)))
        (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
        (import "env" "extism_output_set" (func $output_set (param i64 i64)))
        (global $calls (mut i32) (i32.const 0))
        (func (export "run") (local $block i64)
            (local.set $block (call $alloc (i64.const 8)))
            (if (i32.eqz (global.get $calls)) (then (call $write (local.get $block))))
            (global.set $calls (i32.const 1))
            (call $output_set (local.get $block) (i64.const 8)))"#;
    assert_eq!(outputs(main, library, &["", "", ""]), ["!!SECRET", "\0\0\0\0\0\0\0\0", "\0\0\0\0\0\0\0\0"]);
}

/// A function of a command that stays in a table also works in later calls, with their input and their bound.
#[test]
fn what_is_left_of_a_command_is_kept_in_step() {
    let context = Context::new();
    let table = r#"(module (table (export "table") 1 funcref) (func (export "nothing")))"#;
    let library = format!(
        r#"(module {IMPORTS} (import "table" "table" (table 1 funcref)) (func (export "_start"))
            (func $first (param $at i64) (result i32) (call $store_u8 (local.get $at) (i32.const 88)) (call $input_load_u8 (i64.const 0)))
            (elem declare func $first)
            (func (export "leave") (drop (call $alloc (i64.const 5000))) (table.set (i32.const 0) (ref.func $first))))"#
    );
    let main = r#"(module (import "library" "leave" (func $leave)) (import "table" "table" (table 1 funcref))
        (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
        (import "env" "extism_load_u8" (func $load_u8 (param i64) (result i32)))
        (type $first (func (param i64) (result i32)))
        (func (export "leave") (call $leave))
        (func (export "use") (result i32) (call_indirect (type $first) (i64.const 1000) (i32.const 0)))
        (func (export "look") (result i32) (drop (call $alloc (i64.const 3000))) (call $load_u8 (i64.const 1000))))"#;
    let plugin = context.plugin(modules([("main", main), ("library", &library), ("table", table)]));
    let codes = [("leave", "old"), ("use", "new"), ("look", "")].map(|(name, input)| plugin.call(name, input).code);
    assert_eq!(codes, [0, i32::from(b'n'), 0]);
}

/// An instance that cannot be made leaves nothing behind that later calls write to.
#[test]
fn an_instance_that_cannot_be_made() {
    let library = r#"$IMPORTS (table 6000000 funcref) (table 6000000 funcref) (func (export "_start"))
        (func (export "f") (drop (call $input_load_u8 (i64.const 0))))"#;
    let main = r#"(import "library" "f" (func $f)) $IMPORTS
        (func (export "run") (if (i64.eqz (call $input_length)) (then (call $f))) (call $output_set (i64.const 64) (call $input_length)))"#;
    let large = "x".repeat(1 << 20);
    let answers = answers(main, library, &["", &large, "", &large]);
    let codes: Vec<_> = answers.iter().map(|answer| answer.code).collect();
    assert_eq!(codes, [-1, 0, -1, 0]);
    assert!(answers[0].error().contains("tables of more than 10000000 elements together"), "{}", answers[0].error());
    assert_eq!(answers[3].output, large.as_bytes());
}

/// Each call makes an instance, with its tables.
#[test]
fn a_command_with_a_table() {
    let library = r#"(table 1 funcref) (func (export "_start")) (func (export "f") (result i32)
        (i32.add (table.grow (ref.null func) (i32.const 10)) (table.size)))"#;
    let main = r#"(import "library" "f" (func $f (result i32))) (func (export "run") (result i32) (call $f))"#;
    let codes: Vec<_> = answers(main, library, &["", "", "", ""]).iter().map(|answer| answer.code).collect();
    assert_eq!(codes, [12; 4]);
}
