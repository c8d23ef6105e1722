//! Modules in which the host's functions are inlined behave as those in which they are called: the same module, alone and
//! beside another, where nothing is inlined, has the same results, outputs and traps.

use arbitrary::Unstructured;
use serde_json::json;
use wasm_smith::{Config, Module};

use crate::host::{Answer, Context, Plugin, base64};

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

/// What a generated module exports.
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

/// Numbers that look random and are the same each time: SplitMix64.
pub(crate) fn noise(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    })
}

/// A module, if one comes out of it.
fn generate(seed: u64) -> Option<Vec<u8>> {
    let noise: Vec<u8> = noise(seed).flat_map(u64::to_le_bytes).take(3000).collect();
    let mut module = Module::new(config(), &mut Unstructured::new(&noise)).ok()?;
    module.ensure_termination(2000).ok()?;
    Some(module.to_bytes())
}

fn manifest(wasm: &[u8], beside: bool) -> String {
    let entry = |name: &str, module: &[u8]| {
        let mut data = String::new();
        base64(module, &mut data);
        json!({"name": name, "data": data})
    };
    let mut modules = vec![entry("main", wasm)];
    if beside {
        modules.push(entry("beside", b"(module)"));
    }
    json!({"wasm": modules, "memory": {"max_pages": 200}}).to_string()
}

/// What a plugin answers to a few calls.
fn answers(plugin: Plugin<'_>) -> Vec<Answer> {
    let inputs: [&[u8]; 4] = [b"", b"1234567", b"12345678", &[7; 3000]];
    inputs.iter().flat_map(|input| ["one", "two"].map(|function| plugin.call(function, input))).collect()
}

#[test]
fn generated_modules_behave_the_same() {
    let (mut run, mut good) = (0, 0);
    for seed in 0..400 {
        let Some(wasm) = generate(seed) else { continue };
        let results = [false, true].map(|beside| {
            let context = Context::new();
            context.create(manifest(&wasm, beside), false).map(answers)
        });
        assert_eq!(results[0], results[1], "seed {seed}");
        if let Ok(answers) = &results[0] {
            run += 1;
            good += usize::from(answers.iter().any(|answer| answer.code != -1));
        }
    }
    assert!(run > 200 && good > 100, "{run} run, {good} of them without a trap");
}
