//! Proposals that each compiler supports. compiler-features.md has the same table; a test compares them.

use std::fs;

use super::{headless, usable};
use crate::host::{Compiler, Context, manifest, root};

/// A proposal, and the compilers that support it.
struct Feature {
    name: &'static str,
    /// A module that uses it, whose `run` answers 1.
    module: &'static str,
    /// Whether Cranelift, LLVM and Singlepass compile it.
    compiles: [bool; 3],
}

const fn feature(name: &'static str, compiles: [bool; 3], module: &'static str) -> Feature {
    Feature { name, module, compiles }
}

const FEATURES: [Feature; 18] = [
    feature(
        "sign extension",
        [true; 3],
        "(func (export \"run\") (result i32) (i32.eq (i32.extend8_s (i32.const 255)) (i32.const -1)))",
    ),
    feature(
        "saturating conversions",
        [true; 3],
        "(func (export \"run\") (result i32) (i32.trunc_sat_f64_s (f64.const 1.5)))",
    ),
    feature(
        "bulk memory",
        [true; 3],
        "(memory 1) (func (export \"run\") (result i32) (memory.fill (i32.const 0) (i32.const 1) (i32.const 1)) (i32.load8_u (i32.const 0)))",
    ),
    feature(
        "reference types",
        [true; 3],
        "(table 1 externref) (func (export \"run\") (result i32) (ref.is_null (table.get (i32.const 0))))",
    ),
    feature(
        "multi-value",
        [true; 3],
        "(func $two (result i32 i32) (i32.const 3) (i32.const 2)) (func (export \"run\") (result i32) (call $two) (i32.sub))",
    ),
    feature(
        "mutable globals",
        [true; 3],
        "(global (export \"g\") (mut i32) (i32.const 1)) (func (export \"run\") (result i32) (global.get 0))",
    ),
    feature(
        "extended constant expressions",
        [true; 3],
        "(global $g i32 (i32.add (i32.const 3) (i32.const -2))) (func (export \"run\") (result i32) (global.get $g))",
    ),
    feature(
        "multiple memories",
        [true; 3],
        "(memory 1) (memory $b 1) (func (export \"run\") (result i32) (i32.store $b (i32.const 0) (i32.const 1)) (i32.load $b (i32.const 0)))",
    ),
    feature(
        "SIMD",
        [true, true, false],
        "(func (export \"run\") (result i32) (i32x4.extract_lane 0 (v128.const i32x4 1 2 3 4)))",
    ),
    feature(
        "relaxed SIMD",
        [true, true, false],
        "(func (export \"run\") (result i32) (i32x4.extract_lane 0 (i32x4.relaxed_trunc_f32x4_s (v128.const f32x4 1 2 3 4))))",
    ),
    feature(
        "tail calls",
        [false, true, false],
        "(func $one (result i32) (i32.const 1)) (func (export \"run\") (result i32) (return_call $one))",
    ),
    feature(
        "wide arithmetic",
        [true, true, false],
        "(func (export \"run\") (result i32) (i64.const 1) (i64.const 0) (i64.const 0) (i64.const 0) (i64.add128) (drop) (i32.wrap_i64))",
    ),
    feature(
        "several results of an imported function",
        [true, true, false],
        "(import \"lib\" \"two\" (func $two (result i32 i32))) (func (export \"run\") (result i32) (call $two) (i32.sub))",
    ),
    feature(
        "exceptions",
        [false; 3],
        "(tag $t) (func (export \"run\") (result i32) (block $b (try_table (catch $t $b) (throw $t))) (i32.const 1))",
    ),
    feature(
        "threads",
        [false; 3],
        "(memory 1 1 shared) (func (export \"run\") (result i32) (i32.atomic.rmw.add (i32.const 0) (i32.const 1)) (i32.const 1) (i32.add))",
    ),
    feature(
        "64-bit memories",
        [false; 3],
        "(memory i64 1) (func (export \"run\") (result i32) (i32.load (i64.const 0)) (i32.const 1) (i32.add))",
    ),
    feature(
        "typed function references",
        [false; 3],
        "(type $t (func (result i32))) (func $f (result i32) (i32.const 1)) (elem declare func $f) (func (export \"run\") (result i32) (call_ref $t (ref.func $f)))",
    ),
    feature(
        "garbage collection",
        [false; 3],
        "(type $s (struct)) (func (export \"run\") (result i32) (drop (struct.new $s)) (i32.const 1))",
    ),
];

/// Libraries for the modules that import: a reactor, with one instance for all calls, and a command, with one for each.
const LIBRARIES: [&str; 2] = [
    "(module (func (export \"two\") (result i32 i32) (i32.const 2) (i32.const 1)))",
    "(module (func (export \"_start\")) (func (export \"two\") (result i32 i32) (i32.const 2) (i32.const 1)))",
];

/// Manifests for `module`: one for each library if it imports from one, else a single one.
fn manifests(module: &str, compiler: Compiler) -> Vec<String> {
    let module = format!("(module {module})");
    let compiler = format!("\"compiler\": \"{}\"", compiler.name());
    if !module.contains("(import") {
        return vec![manifest(&module, &compiler)];
    }
    let linked = LIBRARIES.map(|library| crate::linking::modules([("lib", library), ("main", &module)]));
    linked.map(|manifest| format!("{}, {compiler}}}", manifest.strip_suffix('}').expect("an object"))).to_vec()
}

fn is_refusal(error: &str, compiler: Compiler) -> bool {
    let is_named = error.starts_with("module `main`: ") && error.contains(compiler.name());
    is_named && error.len() < 300 && !error.contains("invalid") && !error.contains('\n')
}

#[test]
fn each_compiler_understands_what_the_table_says() {
    let mut wrong = Vec::new();
    let features = usable().into_iter().flat_map(|compiler| FEATURES.iter().map(move |feature| (compiler, feature)));
    for (compiler, feature) in features {
        let compiles = feature.compiles[compiler as usize];
        for manifest in manifests(feature.module, compiler) {
            let context = Context::new();
            match context.create(manifest, false) {
                Ok(plugin) if compiles && plugin.call_only("run", b"") == 1 => {}
                Err(_) if !compiles && headless() => {}
                // One line that names the module, the compiler, and what is missing; and calls nothing invalid.
                Err(error) if !compiles && is_refusal(&error, compiler) => {}
                other => {
                    let found = other.map(|plugin| plugin.call("run", ""));
                    wrong.push(format!("{compiler:?}: {}: {found:?}", feature.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_document_has_the_table() {
    let document = fs::read_to_string(root().join("compiler-features.md")).expect("it is text");
    for feature in &FEATURES {
        let cells = feature.compiles.map(|compiles| if compiles { "yes" } else { "no" });
        let row = format!("| {} | {} |", feature.name, cells.join(" | "));
        assert!(document.contains(&row), "compiler-features.md lacks the row\n{row}");
    }
    assert_eq!(Compiler::ALL.map(Compiler::name), ["cranelift", "llvm", "singlepass"]);
}
