//! A plugin reads and writes its own memory and no other, whoever calls its functions, and in whatever way.

use serde_json::{Value, json};

use super::usable;
use crate::host::{Compiler, Context, manifest};
use crate::linking::modules;

/// `manifest` with the key `compiler` set.
fn with(compiler: Compiler, manifest: &str) -> String {
    let mut manifest: Value = serde_json::from_str(manifest).expect("JSON");
    manifest["compiler"] = json!(compiler.name());
    manifest.to_string()
}

/// Functions of a library that use its memory, which begins with 42: name, body and answer.
const LIBRARY: [(&str, &str, i32); 8] = [
    ("load", "(i32.load8_u (i32.const 0))", 42),
    ("load_far", "(i32.load8_u offset=65535 (i32.const 0))", 0),
    ("store", "(i32.store (i32.const 8) (i32.const 5)) (i32.load (i32.const 8))", 5),
    ("grow", "(drop (memory.grow (i32.const 3))) (i32.load8_u (i32.const 0))", 42),
    ("copy", "(memory.copy (i32.const 16) (i32.const 0) (i32.const 4)) (i32.load8_u (i32.const 16))", 42),
    ("fill", "(memory.fill (i32.const 24) (i32.const 6) (i32.const 2)) (i32.load16_u (i32.const 24))", 0x606),
    ("init", "(memory.init 1 (i32.const 32) (i32.const 0) (i32.const 1)) (i32.load8_u (i32.const 32))", 9),
    ("indirect", "(call_indirect (result i32) (i32.const 0))", 42),
];

const SIMD: [(&str, &str, i32); 1] = [("simd", "(i8x16.extract_lane_u 1 (v128.load (i32.const 0)))", 43)];

fn library(functions: &[(&str, &str, i32)]) -> String {
    let functions: String =
        functions.iter().map(|(name, body, _)| format!("(func (export \"{name}\") (result i32) {body})")).collect();
    format!(
        r#"(module (memory 1) (data (i32.const 0) "\2a\2b") (data "\09") (table 1 funcref) (elem (i32.const 0) $first)
            (func $first (result i32) (i32.load8_u (i32.const 0))) {functions})"#
    )
}

/// Modules that call a function of `lib` in different ways, with and without a memory of their own, which begins with
/// 7.
fn callers(function: &str) -> Vec<String> {
    let import = format!("(import \"lib\" \"{function}\" (func $f (result i32)))");
    let memories = ["", "(memory 1) (data (i32.const 0) \"\\07\\07\\07\\07\\07\\07\\07\\07\\07\")", "(memory 0)"];
    let calls = [
        "(func (export \"run\") (result i32) (call $f))",
        "(table 4 funcref) (elem (i32.const 2) $own $f)
         (func $own (result i32) (i32.const 1))
         (func (export \"run\") (result i32) (call_indirect (result i32) (i32.const 3)))",
        "(table 4 funcref) (elem declare func $f)
         (func (export \"run\") (result i32) (table.set (i32.const 1) (ref.func $f))
            (call_indirect (result i32) (i32.const 1)))",
        "(export \"run\" (func $f))",
    ];
    memories.iter().flat_map(|memory| calls.map(|call| format!("(module {import} {memory} {call})"))).collect()
}

#[test]
fn a_library_uses_its_own_memory() {
    for compiler in usable() {
        let simd = if compiler == Compiler::Singlepass { &[][..] } else { &SIMD };
        let functions = [&LIBRARY, simd].concat();
        let library = library(&functions);
        for (name, _, expected) in &functions {
            for caller in callers(name) {
                let manifest = with(compiler, &modules([("lib", &library), ("main", &caller)]));
                let context = Context::new();
                let answer = context.plugin(manifest).call("run", "");
                assert_eq!((answer.code, answer.error()), (*expected, ""), "{compiler:?}: {name} for {caller}");
            }
        }
    }
}

/// A library calls back through a function that its caller put into a table.
#[test]
fn functions_that_are_passed_on_use_their_own_memory() {
    let library = r#"(module (memory 1) (data (i32.const 0) "\2a") (table (export "table") 4 funcref)
        (func (export "back") (param i32) (result i32)
            (i32.add (i32.load8_u (i32.const 0)) (call_indirect (result i32) (local.get 0)))))"#;
    let main = r#"(module (import "lib" "table" (table 4 funcref))
        (import "lib" "back" (func $back (param i32) (result i32)))
        (memory 1) (data (i32.const 0) "\07") (elem (i32.const 1) $own)
        (func $own (result i32) (i32.load8_u (i32.const 0)))
        (func (export "run") (result i32) (i32.add (call $back (i32.const 1)) (i32.load8_u (i32.const 0)))))"#;
    for compiler in usable() {
        let context = Context::new();
        let plugin = context.plugin(with(compiler, &modules([("lib", library), ("main", main)])));
        assert_eq!(plugin.call("run", "").code, 42 + 7 + 7, "{compiler:?}");
    }
}

/// Tables that mix host functions with the plugin's: how they are filled, and the expected answers by index. `$own`
/// reads byte 0 of the memory, which is 77; `$host` reads byte 0 of the input, which is 9.
const TABLES: [(&str, &str, &[(u32, i32)]); 16] = [
    ("(table 8 funcref) (elem (i32.const 3) $own $host)", "", &[(3, 77), (4, 9)]),
    ("(table 8 funcref) (elem (i32.const 3) $host $own)", "", &[(3, 9), (4, 77)]),
    ("(table 8 funcref) (elem (i32.const 0) $own $host)", "", &[(0, 77), (1, 9)]),
    ("(table funcref (elem $host $own))", "", &[(0, 9), (1, 77)]),
    ("(table 8 funcref) (elem (i32.const 1) $host) (elem (i32.const 4) $own)", "", &[(1, 9), (4, 77)]),
    ("(table 8 funcref) (elem (i32.const 1) $own) (elem (i32.const 4) $host)", "", &[(1, 77), (4, 9)]),
    ("(table 8 funcref) (elem (i32.const 0) $own $own) (elem (i32.const 1) $host)", "", &[(0, 77), (1, 9)]),
    (
        "(table 8 funcref) (elem (i32.const 0) $host) (elem declare func $own)",
        "(table.set (i32.const 1) (ref.func $own))",
        &[(0, 9), (1, 77)],
    ),
    (
        "(table 8 funcref) (elem (i32.const 0) $own) (elem declare func $host)",
        "(table.set (i32.const 1) (ref.func $host))",
        &[(0, 77), (1, 9)],
    ),
    (
        "(table 8 funcref) (elem func $host $own $host)",
        "(table.init 0 (i32.const 2) (i32.const 0) (i32.const 3))",
        &[(2, 9), (3, 77), (4, 9)],
    ),
    (
        "(table 8 funcref) (elem (i32.const 0) $own) (elem funcref (ref.func $host) (ref.null func) (ref.func $own))",
        "(table.init 1 (i32.const 5) (i32.const 0) (i32.const 3))",
        &[(0, 77), (5, 9), (7, 77)],
    ),
    (
        "(table 8 funcref) (elem (i32.const 0) $own $host)",
        "(table.copy (i32.const 3) (i32.const 1) (i32.const 1)) (table.copy (i32.const 1) (i32.const 0) (i32.const 1))",
        &[(0, 77), (1, 77), (3, 9)],
    ),
    (
        "(table (export \"table\") 1 20 funcref) (global $g funcref (ref.func $host)) (elem (i32.const 0) $own)",
        "(drop (table.grow (global.get $g) (i32.const 9)))",
        &[(0, 77), (1, 9), (9, 9)],
    ),
    (
        "(table 8 funcref) (table $two 8 funcref) (elem (table $two) (i32.const 1) func $host) (elem (i32.const 0) $own)",
        "(table.copy 0 $two (i32.const 4) (i32.const 1) (i32.const 1))",
        &[(0, 77), (4, 9)],
    ),
    (
        "(table 8 funcref) (elem (i32.const 0) $own) (elem declare func $host)
         (global $g (mut funcref) (ref.func $own))
         (func $put (param funcref) (table.set (i32.const 3) (local.get 0)))",
        "(call $put (ref.func $host)) (global.set $g (ref.func $host)) (table.set (i32.const 4) (global.get $g))",
        &[(0, 77), (3, 9), (4, 9)],
    ),
    (
        "(table 8 funcref) (export \"host\" (func $host)) (elem (i32.const 0) $own)",
        "(table.fill (i32.const 2) (ref.func $host) (i32.const 2))",
        &[(0, 77), (2, 9), (3, 9)],
    ),
];

#[test]
fn functions_in_a_table_use_the_memory_of_the_plugin() {
    let cases =
        TABLES.into_iter().flat_map(|(table, change, places)| places.iter().map(move |place| (table, change, *place)));
    for compiler in usable() {
        for (table, change, (index, expected)) in cases.clone() {
            for memory in ["(memory 1)", "(memory 1) (memory $second 1)"] {
                let plugin = format!(
                    r#"(module (import "env" "extism_input_load_u8" (func $host (param i64) (result i32)))
                        {memory} {table} (data (i32.const 0) "\4d")
                        (func $own (param i64) (result i32) (i32.load8_u (i32.wrap_i64 (local.get 0))))
                        (func (export "run") (result i32) {change}
                            (call_indirect (param i64) (result i32) (i64.const 0) (i32.const {index}))))"#
                );
                let context = Context::new();
                let answer = context.plugin(with(compiler, &manifest(&plugin, ""))).call("run", "\t");
                assert_eq!((answer.code, answer.error()), (expected, ""), "{compiler:?}: {plugin}");
            }
        }
    }
}

/// A host function as the start function keeps its meaning through the rewrite.
#[test]
fn the_start_function_can_be_the_hosts() {
    let plugin = r#"(module (import "extism:host/env" "reset" (func $reset)) (start $reset)
        (memory 1) (data (i32.const 0) "\4d") (table 2 funcref) (elem (i32.const 0) $own) (elem declare func $reset)
        (func $own (i32.store8 (i32.const 1) (i32.load8_u (i32.const 0))))
        (func (export "run") (result i32) (table.set (i32.const 1) (ref.func $reset))
            (call_indirect (i32.const 1)) (call_indirect (i32.const 0)) (i32.load8_u (i32.const 1))))"#;
    for compiler in usable() {
        let context = Context::new();
        let answer = context.plugin(with(compiler, &manifest(plugin, ""))).call("run", "");
        assert_eq!((answer.code, answer.error()), (77, ""), "{compiler:?}");
    }
}

/// Tail calls, direct and through a table, to functions of the plugin and of the host.
#[test]
fn tail_calls_use_the_memory_of_the_plugin() {
    let plugin = |call: &str| {
        format!(
            r#"(module (import "env" "extism_input_load_u8" (func $host (param i64) (result i32)))
                (memory 1) (data (i32.const 0) "\4d") (table 8 funcref) (elem (i32.const 2) $own $host)
                (func $own (param i64) (result i32) (i32.load8_u (i32.wrap_i64 (local.get 0))))
                (func $through (param i64) (result i32) {call})
                (func (export "run") (result i32) (call $through (i64.const 0))))"#
        )
    };
    for compiler in usable().into_iter().filter(|compiler| *compiler == Compiler::Llvm) {
        for (call, expected) in [
            ("(return_call_indirect (param i64) (result i32) (local.get 0) (i32.const 2))", 77),
            ("(return_call_indirect (param i64) (result i32) (local.get 0) (i32.const 3))", 9),
            ("(return_call $own (local.get 0))", 77),
            ("(return_call $host (local.get 0))", 9),
        ] {
            let context = Context::new();
            let answer = context.plugin(with(compiler, &manifest(plugin(call), ""))).call("run", "\t");
            assert_eq!((answer.code, answer.error()), (expected, ""), "{call}");
        }
    }
}
