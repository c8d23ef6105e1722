//! Uses of imported functions other than calling them, and imports that nobody serves.

use super::calls::entries;
use super::{Abi, BOTH, module, numbers, parse};
use crate::host::Context;

/// The error for a module with nothing but `import`.
fn refusal(import: &str) -> String {
    Context::new().refusal(parse(&format!("(module {import})")))
}

#[test]
fn an_import_of_another_type_is_refused() {
    for abi in BOTH {
        for function in abi.functions() {
            let (module, name) = (abi.module(), abi.import_name(function.name));
            for ty in ["(func (param f32))", "(memory 1)", "(global i64)", "(table 1 funcref)"] {
                let refusal = refusal(&format!("(import \"{module}\" \"{name}\" {ty})"));
                let expected = format!("incompatible import type for `{module}::{name}`");
                assert!(refusal.contains(&expected), "{ty}: {refusal}");
            }
        }
    }
}

#[test]
fn an_unknown_import_is_refused_by_name() {
    for (import, expected) in [
        ("(import \"env\" \"extism_nope\" (func))", "unknown import: `env::extism_nope` has not been defined"),
        ("(import \"env\" \"alloc\" (func))", "unknown import: `env::alloc` has not been defined"),
        ("(import \"env\" \"memory\" (memory 1))", "unknown import: `env::memory` has not been defined"),
        ("(import \"extism:host/env\" \"nope\" (func))", "Invalid function import from extism:host/env: nope"),
        ("(import \"extism:host/env\" \"memory\" (func))", "incompatible import type for `extism:host/env::memory`"),
    ] {
        let refusal = refusal(import);
        assert!(refusal.contains(expected), "{refusal}");
    }
}

/// Functions of both ABIs on one memory, each with the rules of its ABI.
const MIXED: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_free" (func $free (param i64)))
    (import "env" "extism_store_u64" (func $store_u64 (param i64 i64)))
    (import "env" "extism_load_u8" (func $load_u8_v0 (param i64) (result i32)))
    (import "env" "extism_length" (func $length_v0 (param i64) (result i64)))
    (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
    (import "extism:host/env" "load_u8" (func $load_u8_v1 (param i64) (result i32)))
    (import "extism:host/env" "length" (func $length_v1 (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
    (global $block (mut i64) (i64.const 0))
    (func (export "copy")
      (global.set $block (call $alloc (i64.const 24)))
      (call $store_u64 (global.get $block) (call $length_v1 (global.get $block)))
      (call $store_u64 (i64.add (global.get $block) (i64.const 8)) (call $load_u64 (global.get $block)))
      (call $store_u64
        (i64.add (global.get $block) (i64.const 16))
        (i64.extend_i32_u (call $load_u8_v1 (i64.const -1))))
      (call $output_set (global.get $block) (i64.const 24)))
    (func (export "load_outside_v0") (drop (call $load_u8_v0 (i64.const -1))))
    (func (export "load_outside_v1") (result i32) (call $load_u8_v1 (i64.const -1)))
    (func (export "length_of_freed_v0")
      (global.set $block (call $alloc (i64.const 8)))
      (call $free (global.get $block))
      (drop (call $length_v0 (global.get $block))))
    (func (export "length_of_freed_v1") (result i32)
      (global.set $block (call $alloc (i64.const 8)))
      (call $free (global.get $block))
      (i32.wrap_i64 (call $length_v1 (global.get $block)))))"#;

#[test]
fn one_module_may_use_both_abis() {
    let context = Context::new();
    let plugin = context.plugin(parse(MIXED));
    assert_eq!(numbers(&plugin, "copy", &[]), [24, 24, 0]);
    for (function, reason) in
        [("load_outside_v0", "out of bounds memory access"), ("length_of_freed_v0", "Unable to find length for offset")]
    {
        let failed = plugin.call(function, []);
        assert!(failed.code == -1 && failed.error().contains(reason), "{function}: {failed:?}");
    }
    plugin.answer("load_outside_v1", []);
    plugin.answer("length_of_freed_v1", []);
}

/// The same import twice, functions as values, and a function that enters a table only at run time.
const REFERENCES: &str = r#"
    (type $load (func (param i64) (result i32)))
    (type $store (func (param i64 i32)))
    (table $table 3 funcref)
    (global $in_a_global funcref (ref.func $load_u8))
    (elem declare func $store_u8 $load_u8)
    (func (export "through_references") (local $block i64)
      (local.set $block (call $alloc (i64.const 8)))
      (table.set $table (i32.const 0) (global.get $in_a_global))
      (table.set $table (i32.const 1) (ref.func $store_u8))
      (table.copy $table $table (i32.const 2) (i32.const 1) (i32.const 1))
      (call_indirect $table (type $store) (local.get $block) (i32.const 7) (i32.const 1))
      (call_indirect $table (type $store) (i64.add (local.get $block) (i64.const 1)) (i32.const 8) (i32.const 2))
      (call $answer (i64.add
        (i64.extend_i32_u (call_indirect $table (type $load) (local.get $block) (i32.const 0)))
        (i64.extend_i32_u (call $load_u8 (i64.add (local.get $block) (i64.const 1)))))))
    (func (export "of_another_type")
      (table.set $table (i32.const 0) (ref.func $load_u8))
      (call_indirect $table (type $store) (i64.const 0) (i32.const 7) (i32.const 0)))
"#;

#[test]
fn functions_are_values() {
    for abi in BOTH {
        let context = Context::new();
        let again = format!(
            "(import \"{}\" \"{}\" (func $load_again (param i64) (result i32))) {REFERENCES}
             (func (export \"imported_twice\") (result i32)
               (call $store_u8 (i64.const 0) (i32.const 9))
               (i32.ne (call $load_again (i64.const 0)) (call $load_u8 (i64.const 0))))",
            abi.module(),
            abi.import_name("load_u8"),
        );
        let plugin = context.plugin(module(abi, &again));
        assert_eq!(numbers(&plugin, "through_references", &[]), [15], "{abi:?}");
        plugin.answer("imported_twice", []);
        let failed = plugin.call("of_another_type", []);
        assert!(failed.error().contains("indirect call type mismatch"), "{abi:?}: {failed:?}");
    }
}

#[test]
fn an_export_may_be_a_function_of_the_host() {
    for abi in BOTH {
        let context = Context::new();
        let exports = r#"(export "status" (func $http_status_code)) (export "get" (func $alloc))
            (export "size" (func $input_length))"#;
        let plugin = context.plugin(module(abi, exports));
        assert_eq!(plugin.answer("status", "input"), "", "{abi:?}");
        for (function, reason) in
            [("get", "expected 1 arguments, got 0"), ("size", "Function size returns i64, expected i32")]
        {
            let failed = plugin.call(function, []);
            assert!(failed.code == -1 && failed.error().contains(reason), "{abi:?}: {failed:?}");
        }
    }
    let context = Context::new();
    let body = r#"(export "reset" (func $reset)) (func (export "load") (drop (call $input_load_u8 (i64.const 0))))"#;
    let plugin = context.plugin(module(Abi::V1, body));
    assert_eq!(plugin.answer("reset", "input"), "");
    assert_eq!(plugin.answer("load", "input"), "");
}

#[test]
fn the_start_function_may_use_the_host() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(module(
            abi,
            r#"
            (func $start (local $block i64)
              (local.set $block (call $alloc (i64.const 8)))
              (call $store_u64 (local.get $block) (call $input_length))
              (call $store_u64 (i64.const 0) (i64.const -1))
              (call $var_set (call $key) (local.get $block))
              (call $output_set (local.get $block) (i64.const 8))
              (call $error_set (call $key)))
            (start $start)
            (func $key (result i64) (local $block i64)
              (local.set $block (call $alloc (i64.const 1)))
              (call $store_u8 (local.get $block) (i32.const 0x6b))
              (local.get $block))
            (func (export "var") (call $answer (call $load_u64 (call $var_get (call $key)))))
            (func (export "first") (call $answer (call $load_u64 (i64.const 0))))"#,
        ));
        assert_eq!(numbers(&plugin, "first", &[1]), [0], "{abi:?}: nothing it stored or said is left");
        assert_eq!(numbers(&plugin, "var", &[1]), [0], "{abi:?}: the variable is");
    }
    let context = Context::new();
    context.plugin(module(Abi::V1, "(start $reset)")).free();
    let refusal = context.refusal(module(Abi::V0, "(func $f (drop (call $load_u8 (i64.const -1)))) (start $f)"));
    assert!(refusal.contains("out of bounds memory access"), "{refusal}");
}

/// A plugin's own memories keep their indices and their bytes, and hold no blocks.
const OWN_MEMORIES: &str = r#"
    (memory $first 1)
    (memory $second 2)
    (data (memory $first) (i32.const 64) "first!!!")
    (data (memory $second) (i32.const 64) "second!!")
    (func (export "own") (local $block i64)
      (local.set $block (call $alloc (i64.const 32)))
      (call $store_u64 (local.get $block) (i64.const -1))
      (call $store_u64 (i64.const 64) (i64.const -1))
      (call $store_u64 (i64.add (local.get $block) (i64.const 8)) (i64.load $first (i32.const 64)))
      (call $store_u64 (i64.add (local.get $block) (i64.const 16)) (i64.load $second (i32.const 64)))
      (call $store_u64
        (i64.add (local.get $block) (i64.const 24))
        (i64.extend_i32_u (i32.add (memory.size $first) (i32.mul (i32.const 10) (memory.size $second)))))
      (memory.fill $first (i32.const 1024) (i32.const 0x5a) (i32.const 60000))
      (memory.fill $second (i32.const 1024) (i32.const 0x5a) (i32.const 120000))
      (call $output_set (local.get $block) (i64.const 32)))
    (func (export "grow")
      (drop (memory.grow $first (i32.const 5)))
      (call $answer (i64.extend_i32_u (i32.add (memory.size $first) (i32.mul (i32.const 10) (memory.size $second))))))
"#;

#[test]
fn a_plugins_own_memories_are_not_the_hosts() {
    for abi in BOTH {
        let own = module(abi, OWN_MEMORIES);
        let library = module(abi, "(memory 1) (func (export \"size\") (result i32) (memory.size))");
        let user = module(abi, &format!("(import \"library\" \"size\" (func (result i32))) {OWN_MEMORIES}"));
        for manifest in [entries(&[("main", own)], ""), entries(&[("library", library), ("main", user)], "")] {
            let context = Context::new();
            let plugin = context.plugin(manifest);
            let text = |text: &[u8; 8]| u64::from_le_bytes(*text);
            for _ in 0..2 {
                let seen = numbers(&plugin, "own", &[]);
                assert_eq!(seen[1..], [text(b"first!!!"), text(b"second!!"), 21], "{abi:?}");
            }
            assert_eq!(numbers(&plugin, "grow", &[]), [26], "{abi:?}");
        }
    }
}
