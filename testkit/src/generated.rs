//! Random modules that may call every host function that is inlined, and copies in which nothing is inlined.

use arbitrary::Unstructured;
use serde_json::{Value, json};
use wasm_encoder::reencode::{Reencode as _, RoundtripReencoder};
use wasm_encoder::{MemorySection, MemoryType, RawSection, SectionId};
use wasm_smith::{Config, Module};
use wasmparser::{Parser, Payload};

use crate::host::{Answer, Compiler, Context, base64};
use crate::visible;

/// All functions that are inlined, of both ABIs, and others that work on the same memory.
const IMPORTS: &str = r#"(module
    (import "env" "extism_load_u8" (func (param i64) (result i32)))
    (import "env" "extism_load_u64" (func (param i64) (result i64)))
    (import "env" "extism_store_u8" (func (param i64 i32)))
    (import "env" "extism_store_u64" (func (param i64 i64)))
    (import "env" "extism_input_load_u8" (func (param i64) (result i32)))
    (import "env" "extism_input_load_u64" (func (param i64) (result i64)))
    (import "env" "extism_input_length" (func (result i64)))
    (import "env" "extism_input_offset" (func (result i64)))
    (import "env" "extism_output_set" (func (param i64 i64)))
    (import "env" "extism_alloc" (func (param i64) (result i64)))
    (import "env" "extism_free" (func (param i64)))
    (import "env" "extism_length" (func (param i64) (result i64)))
    (import "extism:host/env" "load_u8" (func (param i64) (result i32)))
    (import "extism:host/env" "load_u64" (func (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func (param i64 i32)))
    (import "extism:host/env" "store_u64" (func (param i64 i64)))
    (import "extism:host/env" "input_load_u8" (func (param i64) (result i32)))
    (import "extism:host/env" "input_load_u64" (func (param i64) (result i64)))
    (import "extism:host/env" "input_length" (func (result i64)))
    (import "extism:host/env" "input_offset" (func (result i64)))
    (import "extism:host/env" "input_set" (func (param i64 i64)))
    (import "extism:host/env" "output_set" (func (param i64 i64)))
    (import "extism:host/env" "output_offset" (func (result i64)))
    (import "extism:host/env" "output_length" (func (result i64)))
    (import "extism:host/env" "reset" (func)))"#;

/// The exports of a generated module.
const EXPORTS: &str = r#"(module
    (func (export "one") (result i32) (i32.const 0)) (func (export "two"))
    (func (export "more") (param i64 i64) (result i64) (i64.const 0)) (global (export "g") (mut i64) (i64.const 0)))"#;

fn config() -> Config {
    let wasm = |wat: &str| wat::parse_str(wat).expect("WAT");
    Config {
        available_imports: Some(wasm(IMPORTS)),
        exports: Some(wasm(EXPORTS)),
        allow_start_export: true,
        min_funcs: 3,
        max_funcs: 20,
        max_imports: 25,
        min_imports: 5,
        max_memories: 3,
        max_memory32_bytes: 1 << 20,
        max_tables: 3,
        max_table_elements: 1000,
        table_max_size_required: true,
        // Otherwise compilers may differ in which of two NaNs an addition returns.
        canonicalize_nans: true,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: true,
        gc_enabled: false,
        memory64_enabled: false,
        multi_value_enabled: true,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        // Singlepass has none of these.
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// A module that ends, if `noise` makes one, whose results depend on the host functions (`visible.rs`).
pub fn module(noise: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    Ok(visible::made(&plain(noise)?).expect("it is a module"))
}

/// A module that ends, if `noise` makes one.
pub fn plain(noise: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut module = Module::new(config(), noise)?;
    // Fails for function bodies of random bytes, which the configuration does not ask for.
    module.ensure_termination(2000).map_err(|_| arbitrary::Error::IncorrectFormat)?;
    Ok(module.to_bytes())
}

/// A plugin's answers to a few calls, or the error if it cannot be made.
pub type Answers = Result<Vec<Answer>, String>;

/// Runs a module with its calls inlined, alone, and linked with another one and its instructions counted; and with
/// nothing inlined. Panics if the answers differ, else returns them.
pub fn compare(wasm: &[u8]) -> Answers {
    let on_llvm = Compiler::in_use() == Compiler::Llvm.name();
    let called = run(&manifest(&not_inlined(wasm), false, None));
    let linked = run(&manifest(wasm, true, Some(FUEL)));
    assert_same(&called, &linked, on_llvm, "linked");
    let alone = run(&manifest(wasm, false, None));
    assert_same(&called, &alone, on_llvm, "alone");
    alone
}

/// The same module with one more memory, like the one that inlining adds, beside which nothing is inlined.
fn not_inlined(wasm: &[u8]) -> Vec<u8> {
    let like_io =
        MemoryType { minimum: 1, maximum: Some(65_521), memory64: false, shared: false, page_size_log2: None };
    let (mut module, mut memories) = (wasm_encoder::Module::new(), Some(MemorySection::new()));
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("a module");
        let Some((id, range)) = payload.as_section() else { continue };
        if let Payload::MemorySection(section) = &payload {
            let memories = memories.as_mut().expect("it has one of these sections");
            RoundtripReencoder.parse_memory_section(memories, section.clone()).expect("a module");
            continue;
        }
        // The memories go before the globals, which every generated module has.
        if id == SectionId::Global as u8
            && let Some(mut memories) = memories.take()
        {
            module.section(memories.memory(like_io));
        }
        module.section(&RawSection { id, data: &wasm[range.start as usize..range.end as usize] });
    }
    assert!(memories.is_none());
    module.finish()
}

/// Runs a module on each compiler that is built in, with instructions counted and without. Panics if the answers
/// differ, else returns them.
pub fn compare_compilers(wasm: &[u8]) -> Answers {
    let mut first: Option<(Answers, Counts)> = None;
    for compiler in Compiler::ALL.into_iter().filter(Compiler::is_built_in) {
        let name = compiler.name();
        let manifest = |fuel| {
            let mut manifest = manifest(wasm, false, fuel);
            manifest["compiler"] = name.into();
            manifest
        };
        let plain = run(&manifest(None));
        let (counted, counts) = run_counted(&manifest(Some(FUEL)));
        assert_same(&plain, &counted, compiler == Compiler::Llvm, &format!("{name}, counted"));
        match &first {
            None => first = Some((plain, counts)),
            Some((expected, expected_counts)) => {
                let same = assert_same(expected, &plain, Compiler::Llvm.is_built_in(), name);
                assert_eq!(expected_counts.get(..same), counts.get(..same), "{name}, instructions");
            }
        }
    }
    first.expect("a compiler is built in").0
}

/// More instructions than a generated module can execute.
const FUEL: u64 = 1 << 50;

fn manifest(wasm: &[u8], linked: bool, fuel: Option<u64>) -> Value {
    let entry = |name: &str, module: &[u8]| {
        let mut data = String::new();
        base64(module, &mut data);
        json!({"name": name, "data": data})
    };
    let mut modules = vec![entry("main", wasm)];
    if linked {
        modules.push(entry("beside", b"(module)"));
    }
    json!({"wasm": modules, "memory": {"max_pages": 200}, "fuel": fuel})
}

/// The number of instructions that each call has executed, where they are counted.
type Counts = Vec<u64>;

fn run(manifest: &Value) -> Answers {
    run_counted(manifest).0
}

fn run_counted(manifest: &Value) -> (Answers, Counts) {
    let context = Context::new();
    let plugin = match context.create(manifest.to_string(), false) {
        Ok(plugin) => plugin,
        Err(error) => return (Err(error), Vec::new()),
    };
    let inputs: [&[u8]; 4] = [b"", b"1234567", b"12345678", &[7; 3000]];
    let calls = inputs.iter().flat_map(|input| ["one", "two", visible::SEEN].map(|function| (function, input)));
    let (answers, counts) = calls.map(|(function, input)| (plugin.call(function, input), plugin.fuel_used())).unzip();
    (Ok(answers), counts)
}

/// Compares answers, and returns how many were compared. The depth that calls reach depends on the code: from the first
/// call that goes too deep, nothing can be compared. LLVM moves writes to globals across an access out of bounds: after
/// one, nothing can be compared with it.
fn assert_same(one: &Answers, other: &Answers, on_llvm: bool, how: &str) -> usize {
    let is_too_deep = |error: &str| error.contains("call stack exhausted");
    let is_vague = |error: &str| on_llvm && error.contains("out of bounds memory access");
    match (one, other) {
        (Ok(one), Ok(other)) => {
            let mut compared = 0;
            for (one, other) in one.iter().zip(other) {
                if [one, other].iter().any(|it| is_too_deep(it.error())) {
                    break;
                }
                assert_eq!(one, other, "{how}");
                if is_vague(one.error()) {
                    break;
                }
                compared += 1;
            }
            compared
        }
        (Err(error), _) | (_, Err(error)) if is_too_deep(error) => 0,
        _ => {
            assert_eq!(one, other, "{how}");
            0
        }
    }
}
