use super::Builtins;
use super::{Error, FUNCTION_EXPORT, IO_MEMORY_EXPORT, MEMORY_EXPORT, START_EXPORT, rewrite};
use crate::guest::{Inlining, REWRITE_VERSION};
use wasmparser::{Operator, Parser, Payload, Validator};

fn rewritten(wat: &str) -> Vec<u8> {
    rewritten_for(wat, Builtins::Seen)
}

fn rewritten_for(wat: &str, builtins: Builtins) -> Vec<u8> {
    let wasm = rewrite("main", &wat::parse_str(wat).expect("WAT"), Inlining::Alone, builtins).expect("a module").wasm;
    Validator::new().validate_all(&wasm).expect("still valid");
    wasm
}

fn export_names(wasm: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(exports) = payload.expect("valid") {
            names.extend(exports.into_iter().map(|export| export.expect("valid").name.to_owned()));
        }
    }
    names
}

#[test]
fn the_start_function_becomes_an_export() {
    let wasm = rewritten("(module (func $f) (start $f) (export \"g\" (func $f)))");
    assert_eq!(export_names(&wasm), ["g", START_EXPORT]);
    assert!(!Parser::new(0).parse_all(&wasm).any(|payload| matches!(payload, Ok(Payload::StartSection { .. }))));
}

#[test]
fn an_export_section_is_made_where_there_is_none() {
    for wat in [
        "(module (memory 1))",
        "(module (import \"a\" \"b\" (memory 1)))",
        "(module (memory 1) (data (i32.const 0) \"x\"))",
        "(module (memory 1) (tag) (global i32 (i32.const 1)) (table 1 funcref) (elem func))",
    ] {
        assert_eq!(export_names(&rewritten(wat)), [MEMORY_EXPORT], "{wat}");
    }
    assert_eq!(export_names(&rewritten("(module (func) (elem func 0))")), [FUNCTION_EXPORT]);
    assert_eq!(export_names(&rewritten("(module (func) (table (export \"t\") 1 funcref))")), ["t", FUNCTION_EXPORT]);
    assert!(export_names(&rewritten("(module)")).is_empty());
}

#[test]
fn only_name_and_producers_survive_of_the_custom_sections() {
    let wasm = rewritten(
        "(module $named (@custom \".debug_info\" \"big\") (@custom \"producers\" \"\\00\") (func $f) (@custom \"x\" (after code) \"\"))",
    );
    let customs: Vec<String> = Parser::new(0)
        .parse_all(&wasm)
        .filter_map(|payload| match payload {
            Ok(Payload::CustomSection(section)) => Some(section.name().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(customs, ["producers", "name"]);
}

/// What calls the engine is counted, in modules with memories of any kind and with none.
#[test]
fn what_is_not_seen_is_counted() {
    let body = r#"(table 1 funcref) (elem $e func $f) (data $d "x")
        (func $f (export "f") (param i64 externref) (local f32)
            (table.set (i32.const 0) (table.get (i32.const 0))) (drop (table.size)) (drop (ref.func $f))
            (table.init $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e) (data.drop $d)
            (drop (table.grow (ref.null func) (i32.const 1))))"#;
    for memories in ["", "(memory 1)", r#"(import "a" "b" (memory 1))"#, "(memory 1) (memory 1)"] {
        let wat = format!("(module {memories} {body})");
        let wasm = rewritten_for(&wat, Builtins::Unseen);
        assert_eq!(growths(&wasm), 8, "{wat}");
    }
    assert_eq!(growths(&rewritten_for(r#"(module (memory 1) (func (export "f")))"#, Builtins::Unseen)), 0);
}

/// How often a module asks a memory to grow.
fn growths(wasm: &[u8]) -> usize {
    let bodies = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload.expect("valid") {
        Payload::CodeSectionEntry(body) => Some(body.get_operators_reader().expect("valid")),
        _ => None,
    });
    let operators = bodies.flat_map(|operators| operators.into_iter().map(|operator| operator.expect("valid")));
    operators.filter(|operator| matches!(operator, Operator::MemoryGrow { .. })).count()
}

/// Compiled code that is kept is that of rewritten modules.
#[test]
fn what_comes_out_differently_has_another_version() {
    let wrapped = r#"(module $m (import "a" "b" (func $host (param i32))) (memory 1) (table 2 funcref) (start $own)
        (elem (i32.const 0) $host $own) (func $own (drop (ref.func $host))) (export "f" (func $own))
        (@custom "producers" "\00") (data (i32.const 0) "x"))"#;
    let modules = [rewritten(wrapped), rewritten(INLINED), rewritten_for(wrapped, Builtins::Unseen)];
    let hashes = modules.map(|wasm| blake3::hash(&wasm).to_hex()[..16].to_owned());
    let found = (REWRITE_VERSION, hashes.each_ref().map(String::as_str));
    assert_eq!(
        found,
        (7, ["8ec9ca5133c8a370", "03f62c4c5eb4332e", "d648861fda782c2e"]),
        "if this changes, so must REWRITE_VERSION"
    );
}

/// Every function that is inlined, called.
const INLINED: &str = r#"(module
    (import "env" "extism_load_u8" (func $load_u8 (param i64) (result i32)))
    (import "env" "extism_load_u64" (func $load_u64 (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store_u8 (param i64 i32)))
    (import "env" "extism_store_u64" (func $store_u64 (param i64 i64)))
    (import "env" "extism_input_load_u8" (func $input_load_u8 (param i64) (result i32)))
    (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
    (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
    (import "extism:host/env" "output_offset" (func $output_offset (result i64)))
    (import "extism:host/env" "output_length" (func $output_length (result i64)))
    (memory 1) (global (mut i32) (i32.const 1)) (table funcref (elem $load_u8))
    (func (export "run") (param f32) (local f64 i32)
        (call $store_u64 (call $load_u64 (i64.const 1)) (i64.extend_i32_u (call $load_u8 (i64.const 2))))
        (call $store_u8 (call $input_load_u64 (i64.const 3)) (call $input_load_u8 (i64.const 4)))
        (call $output_set (call $input_offset) (call $input_length))
        (drop (i64.add (call $output_offset) (call $output_length)))
        (drop (ref.func $load_u8)) (nop)))"#;

#[test]
fn inlined_functions_are_called_only_where_they_have_to_be() {
    let calls = |wasm: &[u8]| {
        let mut calls = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            if let Payload::CodeSectionEntry(body) = payload.expect("valid") {
                let mut depth = 0;
                for operator in body.get_operators_reader().expect("valid") {
                    match operator.expect("valid") {
                        Operator::If { .. } => depth += 1,
                        Operator::End => depth -= 1,
                        Operator::Call { .. } => calls += usize::from(depth == 0),
                        _ => {}
                    }
                }
            }
        }
        calls
    };
    assert_eq!(calls(&wat::parse_str(INLINED).expect("WAT")), 11);
    assert_eq!(calls(&rewritten(INLINED)), 0);
    for (inlining, expected) in [(Inlining::Linked, 3), (Inlining::Nothing, 12)] {
        let wasm =
            rewrite("main", &wat::parse_str(INLINED).expect("WAT"), inlining, Builtins::Seen).expect("a module").wasm;
        Validator::new().validate_all(&wasm).expect("still valid");
        assert_eq!(calls(&wasm), expected, "{inlining:?}: those of the output, or all, and the wrapper");
    }
}

#[test]
fn a_function_of_another_type_or_beside_such_memories_is_not_inlined() {
    for wat in [
        r#"(module (import "env" "extism_load_u8" (func $f (param i32) (result i32))) (func (drop (call $f (i32.const 0)))))"#,
        r#"(module (import "env" "extism_input_length" (func $f (param i64))) (func (call $f (i64.const 0))))"#,
        r#"(module (import "env" "input_length" (func $f (result i64))) (func (drop (call $f))))"#,
        r#"(module (import "extism:host/env" "memory" (memory 1))
            (import "env" "extism_input_length" (func $f (result i64))) (func (drop (call $f))))"#,
        r#"(module (import "env" "extism_input_length" (func $f (result i64))) (memory 1 65521) (func (drop (call $f))))"#,
        r#"(module (import "a" "b" (memory 1 65521))
            (import "env" "extism_input_length" (func $f (result i64))) (func (drop (call $f))))"#,
    ] {
        assert!(!export_names(&rewritten(wat)).iter().any(|name| name == IO_MEMORY_EXPORT), "{wat}");
    }
}

#[test]
fn what_is_added_is_not_for_the_plugin() {
    // By number, as text could not name what is not there: the module has two functions, no memory and no global.
    let body = |instructions: &[u8]| {
        let mut module = wat::parse_str(
            r#"(module (import "env" "extism_input_length" (func $f (result i64))) (table funcref (elem $f))
                (func (export "run") (nop) (nop) (nop) (nop) (nop) (nop)))"#,
        )
        .expect("WAT");
        let at = module.windows(6).position(|bytes| bytes == [1; 6]).expect("the body");
        module[at..at + instructions.len()].copy_from_slice(instructions);
        rewrite("main", &module, Inlining::Alone, Builtins::Seen)
    };
    body(&[0x10, 0, 0x1a]).expect("call of the import, drop");
    for (instructions, what) in [
        (&[0x10, 2][..], "function 2"),
        (&[0xd2, 2, 0x1a], "function 2"),
        (&[0x23, 0, 0x1a], "global 0"),
        (&[0x23, 3, 0x1a], "global 3"),
        (&[0x42, 0, 0x24, 5], "global 5"),
        (&[0x41, 0, 0x28, 0, 0, 0x1a], "memory 0"),
        (&[0x41, 0, 0x28, 0x40, 1, 0], "memory 1"),
        (&[0x3f, 0, 0x1a], "memory 0"),
        (&[0x41, 0, 0x40, 0, 0x1a], "memory 0"),
        (&[0xfc, 10, 0, 0], "memory 0"),
        (&[0xfc, 11, 0], "memory 0"),
        (&[0x23, 0x80, 0], "global 0"),
        (&[0x12, 2], "function 2"),
        (&[0xfd, 0, 0, 0], "memory 0"),
    ] {
        let error = body(instructions).expect_err(what).to_string();
        assert!(error.starts_with(&format!("unknown {what}:")), "{instructions:?}: {error}");
    }
}

#[test]
fn neither_exports_nor_data_reach_what_is_added() {
    let import = r#"(import "env" "extism_input_length" (func $f (result i64)))"#;
    let module = |wat: &str, from: &[u8], to: &[u8]| {
        let mut module = wat::parse_str(wat.replace("$I", import)).expect("WAT");
        let at = module.windows(from.len()).position(|bytes| bytes == from).expect("it is there");
        module[at..at + to.len()].copy_from_slice(to);
        rewrite("main", &module, Inlining::Alone, Builtins::Seen).expect_err("beyond").to_string()
    };
    let global = "(module $I (global (mut i32) (i32.const 0)) (export \"gg\" (global 0)))";
    assert!(module(global, b"\x02gg\x03\x00", b"\x02gg\x03\x01").starts_with("unknown global 1:"));
    let memory = "(module $I (memory 1) (export \"mm\" (memory 0)))";
    assert!(module(memory, b"\x02mm\x02\x00", b"\x02mm\x02\x01").starts_with("unknown memory 1:"));
    let data = "(module $I (memory 1) (memory 1) (data (memory 1) (i32.const 7) \"dd\"))";
    assert!(module(data, b"\x02\x01\x41\x07", b"\x02\x02\x41\x07").starts_with("unknown memory 2:"));
}

/// The limits are those that engines agreed on: a module within them stays so.
#[test]
fn modules_at_the_limits_stay_within_them() {
    let import = r#"(import "env" "extism_load_u8" (func $f (param i64) (result i32)))"#;
    let call = "(drop (call $f (i64.const 0)))";
    for locals in [49_996, 49_997, 49_998, 50_000] {
        let locals = "i32 ".repeat(locals);
        rewritten(&format!("(module {import} (func (local {locals}) {call}))"));
    }
    rewritten(&format!("(module {import} {} (func {call}))", "(memory 0)".repeat(100)));
    let many = rewritten(&format!("(module {import} (func {}))", call.repeat(100_000)));
    assert!(many.len() < 1_000_000, "{}", many.len());
}

#[test]
fn what_cannot_be_taken_apart_is_an_error() {
    assert!(matches!(rewrite("main", b"\0asm", Inlining::Alone, Builtins::Seen), Err(Error::Malformed(_))));
    assert!(matches!(rewrite("main", b"\0asm\x0d\0\x01\0", Inlining::Alone, Builtins::Seen), Err(Error::Component)));
    let reserved = wat::parse_str(format!("(module (func (export \"{START_EXPORT}\")))")).expect("WAT");
    assert!(matches!(rewrite("main", &reserved, Inlining::Alone, Builtins::Seen), Err(Error::ReservedExport(_))));
}
