//! Tables that modules share: a change that one module makes counts for calls of the other.

use super::modules;
use crate::compilers::usable;
use crate::host::{Compiler, Context, manifest};
use crate::stop::with;

/// A library whose table cannot grow, and which calls functions in it.
const LIBRARY: &str = r#"(module (type $f (func (result i32)))
    (table (export "table") 2 2 funcref) (elem (i32.const 0) $zero $one)
    (func $zero (result i32) (i32.const 0)) (func $one (result i32) (i32.const 1))
    (func (export "call") (param i32) (result i32) (call_indirect (type $f) (local.get 0)))
    (func (export "grow") (result i32) (table.grow (ref.null func) (i32.const 1)))
    (func (export "size") (result i32) (table.size)))"#;

/// Parts of a module and instructions that put `$own`, which returns 77, into element 1 of the shared table.
const CHANGES: [(&str, &str); 6] = [
    ("(elem (i32.const 1) $own)", ""),
    ("(elem declare func $own)", "(table.set (i32.const 1) (ref.func $own))"),
    ("(elem $e func $own)", "(table.init $e (i32.const 1) (i32.const 0) (i32.const 1))"),
    ("(elem declare func $own)", "(table.fill (i32.const 1) (ref.func $own) (i32.const 1))"),
    (
        "(table $more 1 1 funcref) (elem (table $more) (i32.const 0) func $own)",
        "(table.copy 0 $more (i32.const 1) (i32.const 0) (i32.const 1))",
    ),
    // From a table that can grow.
    (
        "(table $more 1 funcref) (elem (table $more) (i32.const 0) func $own)",
        "(table.copy 0 $more (i32.const 1) (i32.const 0) (i32.const 1))",
    ),
];

fn on(compiler: Compiler, manifest: &str) -> String {
    with(manifest, "compiler", compiler.name().into())
}

#[test]
fn what_is_changed_in_a_table_is_called() {
    for compiler in usable() {
        for (parts, change) in CHANGES {
            let main = format!(
                r#"(module (import "lib" "table" (table 2 2 funcref)) (import "lib" "call" (func $call (param i32) (result i32)))
                    {parts} (func $own (result i32) (i32.const 77))
                    (func (export "run") (result i32) {change} (i32.add (call $call (i32.const 0)) (call $call (i32.const 1)))))"#
            );
            let context = Context::new();
            let plugin = context.plugin(on(compiler, &modules([("lib", LIBRARY), ("main", &main)])));
            let answer = plugin.call("run", "");
            assert_eq!((answer.code, answer.error()), (77, ""), "{compiler:?}: {parts} {change}");
        }
    }
}

#[test]
fn a_table_that_cannot_grow_does_not() {
    let main = r#"(module (import "lib" "table" (table $t 2 2 funcref)) (import "lib" "grow" (func $grow (result i32)))
        (import "lib" "size" (func $size (result i32))) (table $own 3 3 externref) (table $more 1 2 funcref)
        (func (export "library") (result i32) (call $grow))
        (func (export "main") (result i32) (table.grow $t (ref.null func) (i32.const 1)))
        (func (export "own") (result i32) (table.grow $own (ref.null extern) (i32.const 1)))
        (func (export "more") (result i32) (table.grow $more (ref.null func) (i32.const 1)))
        (func (export "nothing") (result i32) (table.grow $t (ref.null func) (i32.const 0)))
        (func (export "size") (result i32) (i32.add (call $size) (table.size $t))))"#;
    for compiler in usable() {
        let context = Context::new();
        let plugin = context.plugin(on(compiler, &modules([("lib", LIBRARY), ("main", main)])));
        let calls = ["library", "main", "own", "more", "more", "nothing", "size"];
        let codes = calls.map(|function| plugin.call(function, "").code);
        assert_eq!(codes, [-1, -1, -1, 1, -1, 2, 4], "{compiler:?}");
    }
}

/// A table has the type that its module declares.
#[test]
fn tables_fit_their_imports_as_ever() {
    let library = |table: &str| format!(r#"(module (table (export "table") {table}))"#);
    let main = |table: &str| format!(r#"(module (import "lib" "table" (table {table})) (func (export "run")))"#);
    for (exported, imported, fits) in [
        ("2 2 funcref", "2 2 funcref", true),
        ("2 2 funcref", "1 2 funcref", true),
        ("2 2 funcref", "0 funcref", true),
        ("2 2 funcref", "2 3 funcref", true),
        ("2 2 funcref", "3 3 funcref", false),
        ("2 2 funcref", "2 2 externref", false),
        ("2 3 funcref", "2 2 funcref", false),
        ("2 4294967295 funcref", "2 4294967294 funcref", true),
        ("2 2 externref", "2 2 externref", true),
    ] {
        let context = Context::new();
        let manifest = modules([("lib", library(exported)), ("main", main(imported))]);
        let found = context.create(&manifest, false).map(|plugin| plugin.call("run", "").code);
        assert_eq!(found.is_ok(), fits, "{exported} as {imported}: {found:?}");
    }
}

/// A table takes 8 bytes an element, whether it can grow or not.
#[test]
fn a_large_table_that_cannot_grow_takes_no_more_than_one_that_can() {
    crate::child::alone("linking::tables::a_large_table_that_cannot_grow_takes_no_more_than_one_that_can", || {
        let size = || {
            let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
            let line = status.lines().find(|line| line.starts_with("VmSize:")).expect("it is there");
            line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number")
        };
        let context = Context::new();
        let module = |table: &str| {
            let call = "(func (export \"run\") (call_indirect (i32.const 0)))";
            manifest(format!("(module (table {table} funcref) {call})"), "")
        };
        // The memory that the first plugin takes is not the table's.
        context.plugin(module("1")).free();
        let taken = |table: &str| {
            let before = size();
            let plugin = context.plugin(module(table));
            assert_eq!(plugin.call("run", "").code, -1, "nothing is in there");
            let taken = size().saturating_sub(before) >> 10;
            plugin.free();
            taken
        };
        let (grows, fixed) = (taken("10000000"), taken("10000000 10000000"));
        assert!(grows > 70 && fixed < grows + 50, "{grows} MiB, {fixed} MiB");
    });
}
