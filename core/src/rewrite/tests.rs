use super::{EstimatedCompiler, Inlining, Libcalls, RewriteOptions, rewrite};
use crate::host::{HOST_MODULE, can_be_replaced};
use crate::module::reserved::{FUNCTION_EXPORT, IO_MEMORY_EXPORT, MEMORY_EXPORT, REWRITE_VERSION, START_EXPORT};
use wasmer::sys::Features;
use wasmparser::{Operator, Parser, Payload, Validator};

static FEATURES: Features = Features {
    threads: false,
    reference_types: true,
    simd: true,
    bulk_memory: true,
    multi_value: true,
    tail_call: true,
    module_linking: false,
    multi_memory: true,
    memory64: false,
    exceptions: true,
    relaxed_simd: true,
    extended_const: true,
    wide_arithmetic: true,
};
pub(crate) const USUAL: RewriteOptions<'_> = RewriteOptions {
    features: &FEATURES,
    inlining: Inlining::Alone,
    libcalls: Libcalls::Seen,
    estimated: EstimatedCompiler::Cranelift,
    fuel: false,
};
pub(crate) const COUNTED: RewriteOptions<'_> = RewriteOptions { fuel: true, ..USUAL };
const UNSEEN: RewriteOptions<'_> = RewriteOptions { libcalls: Libcalls::Unseen, ..USUAL };

fn rewritten(wat: &str) -> Vec<u8> {
    rewritten_for(wat, USUAL)
}

fn rewritten_for(wat: &str, options: RewriteOptions<'_>) -> Vec<u8> {
    let wasm = rewrite("main", &wat::parse_str(wat).expect("WAT"), options).expect("a module").wasm;
    Validator::new().validate_all(&wasm).expect("still valid");
    wasm
}

/// The names and indices of a module's exports.
fn exports(wasm: &[u8]) -> Vec<(&str, u32)> {
    let mut all = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(exports) = payload.expect("valid") {
            all.extend(
                exports.into_iter().map(|export| export.expect("valid")).map(|export| (export.name, export.index)),
            );
        }
    }
    all
}

fn export_names(wasm: &[u8]) -> Vec<&str> {
    exports(wasm).into_iter().map(|(name, _)| name).collect()
}

/// The instructions of each of a module's functions.
fn bodies(wasm: &[u8]) -> Vec<Vec<Operator<'_>>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.expect("valid") {
            let operators = body.get_operators_reader().expect("valid").into_iter();
            bodies.push(operators.map(|operator| operator.expect("valid")).collect());
        }
    }
    bodies
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

/// Instructions that make libcalls are counted, whatever memories the module has, or none.
#[test]
fn what_is_not_seen_is_counted() {
    let body = r#"(table 1 funcref) (elem $e func $f) (data $d "x")
        (func $f (export "f") (param i64 externref) (local f32)
            (table.set (i32.const 0) (table.get (i32.const 0))) (drop (table.size)) (drop (ref.func $f))
            (table.init $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e) (data.drop $d)
            (drop (table.grow (ref.null func) (i32.const 1))))"#;
    for memories in ["", "(memory 1)", r#"(import "a" "b" (memory 1))"#, "(memory 1) (memory 1)"] {
        let wat = format!("(module {memories} {body})");
        let wasm = rewritten_for(&wat, UNSEEN);
        assert_eq!(growths(&wasm), 8, "{wat}");
    }
    assert_eq!(growths(&rewritten_for(r#"(module (memory 1) (func (export "f")))"#, UNSEEN)), 0);
}

/// The number of a module's instructions that ask a memory to grow.
fn growths(wasm: &[u8]) -> usize {
    bodies(wasm).iter().flatten().filter(|operator| matches!(operator, Operator::MemoryGrow { .. })).count()
}

/// If instructions are counted, all names of the module's own globals still refer to the same globals.
#[test]
fn what_names_a_global_still_does() {
    let wat = r#"(module $m
        (import "a" "zero" (global $zero i32)) (import "a" "f" (func $import)) (import "a" "one" (global $one (mut i64)))
        (memory 1) (table 9 funcref) (table 2 funcref)
        (global $own (mut i64) (i64.const 5)) (global $same i32 (global.get $zero)) (global $last (mut i64) (i64.const 6))
        (export "zero" (global $zero)) (export "own" (global $own)) (export "last" (global $last))
        (export "memory" (memory 0)) (export "g" (func $g))
        (elem (offset (global.get $zero)) $import $g) (elem $passive func $import)
        (data (offset (global.get $zero)) "text")
        (func $g (drop (global.get $zero)) (global.set $one (global.get $own)) (global.set $last (i64.const 1))))"#;
    let shape = |wasm: &[u8]| {
        let own = exports(wasm).into_iter().filter(|(name, _)| !name.starts_with("extism-wasmer:"));
        let mut shape: Vec<_> = own.map(|(name, index)| (name.to_owned(), index)).collect();
        for operator in bodies(wasm).into_iter().flatten() {
            match operator {
                Operator::GlobalGet { global_index } => shape.push(("get".to_owned(), global_index)),
                Operator::GlobalSet { global_index } => shape.push(("set".to_owned(), global_index)),
                _ => {}
            }
        }
        shape
    };
    let expected = |(what, index): (String, u32)| {
        let is_global = !matches!(what.as_str(), "memory" | "g");
        (what, if is_global && index >= 2 { index + 1 } else { index })
    };
    let before = shape(&wat::parse_str(wat).expect("WAT"));
    assert_eq!(before.len(), 9);
    for options in [COUNTED, RewriteOptions { libcalls: Libcalls::Unseen, ..COUNTED }] {
        let mut after = shape(&rewritten_for(wat, options));
        // Without the accesses to the counter.
        after.retain(|(what, index)| !(matches!(what.as_str(), "get" | "set") && *index == 2));
        assert_eq!(after, before.iter().cloned().map(expected).collect::<Vec<_>>());
    }
}

/// Each subtraction from the counter, in order: its amount, and if the counter is checked then.
fn stretches(wat: &str) -> Vec<(i64, bool)> {
    let wasm = rewritten_for(wat, COUNTED);
    let mut stretches = Vec::new();
    for body in bodies(&wasm) {
        for three in body.windows(3) {
            match three {
                [Operator::GlobalGet { .. }, Operator::I64Const { value }, Operator::I64Sub] => {
                    stretches.push((*value, false));
                }
                [Operator::I64LtS, Operator::If { .. }, Operator::Unreachable] => {
                    stretches.last_mut().expect("it is counted before").1 = true;
                }
                _ => {}
            }
        }
    }
    stretches
}

fn counts(wat: &str) -> Vec<i64> {
    stretches(wat).into_iter().map(|(count, _)| count).collect()
}

/// The counter is checked wherever a call could run for ever, and where it ends.
#[test]
fn what_has_no_end_is_checked() {
    let checked = |body: &str| {
        let wat = format!("(module (table 1 funcref) (func $f (param i32) {body}))");
        stretches(&wat).into_iter().map(|(_, checked)| checked).collect::<Vec<_>>()
    };
    assert_eq!(checked(""), [true]);
    assert_eq!(checked("(block)"), [false, true]);
    assert_eq!(checked("(block (br 0))"), [false, false, true]);
    assert_eq!(checked("(br 0)"), [true, true]);
    assert_eq!(checked("return"), [true, true]);
    assert_eq!(checked("(call $f (local.get 0))"), [true, true]);
    assert_eq!(checked("(call_indirect (param i32) (local.get 0) (local.get 0))"), [true, true]);
    assert_eq!(checked("(return_call $f (local.get 0))"), [true, true]);
    // `loop` | `br` | its `end` | the function's
    assert_eq!(checked("(loop (br 0))"), [false, true, false, true]);
    assert_eq!(checked("(loop (br_if 0 (local.get 0)))"), [false, true, false, true]);
    // `loop` | `if` | `br` | `end` | `end` | `end`
    assert_eq!(checked("(loop (if (local.get 0) (then (br 1))))"), [false, false, true, false, false, true]);
    assert_eq!(checked("(loop (if (local.get 0) (then (br 0))))"), [false, false, false, false, false, true]);
    assert_eq!(checked("(loop (br_table 0 1 (local.get 0)))"), [false, true, false, true]);
}

#[test]
fn each_instruction_is_counted_once() {
    assert_eq!(counts("(module (func))"), [1]);
    assert_eq!(counts("(module (func nop nop nop) (func nop))"), [4, 2]);
    // `local.get`, `if` | `nop`, `else` | `end` | `end`
    assert_eq!(counts("(module (func (param i32) (if (local.get 0) (then nop) (else))))"), [2, 2, 1, 1]);
    // `block`, `loop` | `local.get`, `br_if` | `br` | `end` of the loop | of the block | of the function
    let wat = "(module (func (param i32) (block (loop (br_if 1 (local.get 0)) (br 0)))))";
    assert_eq!(counts(wat), [2, 2, 1, 1, 1, 1]);
    // An inlined call counts as one instruction, the code that replaces it not at all.
    let inlined: i64 = counts(INLINED).iter().sum();
    assert_eq!(inlined as usize, bodies(&wat::parse_str(INLINED).expect("WAT"))[0].len());
}

#[test]
fn what_grows_too_large_by_counting_is_an_error() {
    let wat = format!("(module (func {}))", "(block)".repeat(800_000));
    let mut module = wat::parse_str(wat).expect("WAT");
    // A custom section (id, size, name) of 12 MiB raises the module's limit of compile time.
    module.extend([0, 0x81, 0x80, 0x80, 6, 0]);
    module.resize(module.len() + (12 << 20), 0);
    rewrite("main", &module, USUAL).expect("not too large");
    let counted = rewrite("main", &module, COUNTED).map(drop);
    let error = counted.expect_err("too large").to_string();
    assert!(error.starts_with("function 0 is too large to be stopped or to have fuel"), "{error}");
}

/// Cached code was compiled from rewritten modules, so its version has to change with them.
#[test]
fn what_comes_out_differently_has_another_version() {
    let wrapped = r#"(module $m (import "a" "b" (func $host (param i32))) (memory 1) (table 2 funcref) (start $own)
        (elem (i32.const 0) $host $own) (func $own (drop (ref.func $host))) (export "f" (func $own))
        (@custom "producers" "\00") (data (i32.const 0) "x"))"#;
    let modules =
        [rewritten(wrapped), rewritten(INLINED), rewritten_for(wrapped, UNSEEN), rewritten_for(INLINED, COUNTED)];
    let hashes = modules.map(|wasm| blake3::hash(&wasm).to_hex()[..16].to_owned());
    let found = (REWRITE_VERSION, hashes.each_ref().map(String::as_str));
    assert_eq!(
        found,
        (10, ["8ec9ca5133c8a370", "b19c35b173664886", "d648861fda782c2e", "b2680008bf0b7cd6"]),
        "if this changes, so must REWRITE_VERSION"
    );
}

/// Calls every function that is inlined.
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
        for body in bodies(wasm) {
            let mut depth = 0;
            for operator in body {
                match operator {
                    Operator::If { .. } => depth += 1,
                    Operator::End => depth -= 1,
                    Operator::Call { .. } => calls += usize::from(depth == 0),
                    _ => {}
                }
            }
        }
        calls
    };
    assert_eq!(calls(&wat::parse_str(INLINED).expect("WAT")), 11);
    assert_eq!(calls(&rewritten(INLINED)), 0);
    let linked = rewritten_for(INLINED, RewriteOptions { inlining: Inlining::Linked, ..USUAL });
    assert_eq!(calls(&linked), 3, "those of the output");
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
        assert!(!export_names(&rewritten(wat)).contains(&IO_MEMORY_EXPORT), "{wat}");
    }
}

/// Engines agreed on these limits: a rewritten module must not exceed them if the original does not.
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

/// The linker refuses host functions of these names, as code does not call them.
#[test]
fn the_linker_knows_what_is_inlined() {
    for (module, name, _) in super::inline::INLINED {
        assert!(!can_be_replaced(module, name), "{module}::{name}");
    }
    assert!(can_be_replaced(HOST_MODULE, "alloc") && can_be_replaced("env", "input_length"));
}
