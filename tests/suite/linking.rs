//! Manifests with several modules: which one is the main module, and which module serves which import.
//! `linking/libraries.rs` tests the instances of libraries.

mod io_memory;
mod libraries;
mod names;
mod tables;

use serde_json::{Value, json};

use crate::host::{Context, base64};

/// A manifest of modules as WAT text or bytes, each with its name.
pub(crate) fn modules<'a, M: AsRef<[u8]> + 'a>(modules: impl IntoIterator<Item = (&'a str, M)>) -> String {
    let entry = |(name, module): (&str, M)| json!({"name": name, "data": encoded(module)});
    json!({"wasm": modules.into_iter().map(entry).collect::<Vec<_>>()}).to_string()
}

fn encoded(module: impl AsRef<[u8]>) -> String {
    let mut text = String::new();
    base64(module.as_ref(), &mut text);
    text
}

/// Calls `run` of the plugin, which must work.
fn status(manifest: &str) -> i32 {
    let context = Context::new();
    let answer = context.plugin(manifest).call("run", "");
    assert_eq!(answer.error, None, "{manifest}");
    answer.code
}

fn number(number: i32) -> String {
    format!("(module (func (export \"run\") (result i32) (i32.const {number})))")
}

#[test]
fn the_main_module() {
    let cases: [(&[&str], i32); 10] = [
        (&["main", "zeta"], 0),
        (&["zeta", "main"], 1),
        (&["alpha", "zeta"], 1),
        (&["zeta", "alpha"], 0),
        (&["b", "a", "c"], 2),
        (&["c", "a", "b"], 0),
        (&["a", "B"], 0),
        (&["a", "a1", "A2"], 1),
        (&["main ", "lib"], 0),
        (&["other"], 0),
    ];
    for (names, expected) in cases {
        let manifest = modules(names.iter().zip(0..).map(|(name, index)| (*name, number(index))));
        assert_eq!(status(&manifest), expected, "{names:?}");
    }
}

#[test]
fn names_that_come_from_the_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, index: i32| {
        std::fs::write(folder.path().join(name), number(index)).expect("writable");
        json!(folder.path().join(name))
    };
    let data = |index: i32| encoded(number(index));
    let cases: [(&str, Value, i32); 5] = [
        ("file stems", json!([{"path": file("two.wasm", 0)}, {"path": file("one.wat", 1)}]), 0),
        ("a stem that is main", json!([{"path": file("zeta.wasm", 0)}, {"path": file("main.wasm", 1)}]), 1),
        ("a name beats the stem", json!([{"path": file("a.wasm", 0), "name": "z"}, {"path": file("y.wasm", 1)}]), 0),
        ("data without a name is main", json!([{"data": data(0)}, {"data": data(1), "name": "zeta"}]), 0),
        ("one module is main", json!([{"path": file("any.wasm", 7), "name": "thing"}]), 7),
    ];
    for (case, entries, expected) in cases {
        assert_eq!(status(&json!({"wasm": entries}).to_string()), expected, "{case}");
    }
    let lib = r#"(module (func (export "seven") (result i32) (i32.const 7)))"#;
    std::fs::write(folder.path().join("lib.wat"), lib).expect("writable");
    let main = encoded(calls("lib", "seven"));
    let manifest = json!({"wasm": [{"data": main}, {"path": folder.path().join("lib.wat")}]});
    assert_eq!(status(&manifest.to_string()), 7, "imports use the stem");
}

/// A module whose `run` calls `module::name`.
fn calls(module: &str, name: &str) -> String {
    format!(
        r#"(module (import "{module}" "{name}" (func $f (result i32)))
            (func (export "run") (result i32) (call $f)))"#
    )
}

/// A library whose `f` appends a digit to the sum of the answers of the libraries `uses`.
fn digit(digit: i32, uses: &[&str]) -> String {
    let imports: String =
        uses.iter().map(|name| format!("(import \"{name}\" \"f\" (func ${name} (result i32)))")).collect();
    let sum = uses.iter().fold("(i32.const 0)".to_owned(), |sum, name| format!("(i32.add {sum} (call ${name}))"));
    let body = format!("(i32.add (i32.mul {sum} (i32.const 10)) (i32.const {digit}))");
    format!("(module {imports} (func (export \"f\") (export \"run\") (result i32) {body}))")
}

#[test]
fn dependencies_come_first_whatever_their_names() {
    let cases: [(&[(&str, String)], i32); 8] = [
        (&[("a", digit(1, &[])), ("main", digit(2, &["a"]))], 12),
        (&[("main", digit(2, &["z"])), ("z", digit(1, &[]))], 12),
        (&[("a", digit(2, &["b"])), ("b", digit(1, &[])), ("main", digit(3, &["a"]))], 123),
        (&[("main", digit(3, &["b"])), ("b", digit(2, &["a"])), ("a", digit(1, &[]))], 123),
        (&[("a", digit(3, &["b"])), ("b", digit(2, &["c"])), ("c", digit(1, &[])), ("main", digit(4, &["a"]))], 1234),
        (
            &[("x", digit(1, &[])), ("a", digit(2, &["x"])), ("b", digit(3, &["x"])), ("main", digit(4, &["a", "b"]))],
            254,
        ),
        (&[("a", digit(1, &[])), ("unused", digit(2, &["a"])), ("main", digit(3, &[]))], 3),
        (&[("b", digit(2, &["a"])), ("a", digit(1, &[]))], 12),
    ];
    for (entries, expected) in cases {
        let manifest = modules(entries.iter().map(|(name, module)| (*name, module)));
        assert_eq!(status(&manifest), expected, "{:?}", entries.iter().map(|entry| entry.0).collect::<Vec<_>>());
    }
    let long: Vec<String> = (0..50).map(|n| format!("l{n}")).collect();
    let chain = (0..50).map(|n| match long.get(n + 1) {
        Some(next) => (long[n].as_str(), calls(next, "run")),
        None => (long[n].as_str(), number(77)),
    });
    let manifest = modules(chain.chain([("main", calls("l0", "run"))]));
    assert_eq!(status(&manifest), 77, "a chain of fifty");
}

#[test]
fn cycles() {
    let main = ("main", digit(9, &["a"]));
    let cases: [(&[(&str, String)], &str); 3] = [
        (&[("a", digit(1, &["b"])), ("b", digit(2, &["a"])), main.clone()], "a -> b -> a"),
        (&[("b", digit(2, &["c"])), ("c", digit(2, &["a"])), ("a", digit(1, &["b"])), main], "a -> b -> c -> a"),
        (&[("p", digit(1, &["q"])), ("q", digit(2, &["p"])), ("main", digit(3, &[]))], "p -> q -> p"),
    ];
    for (entries, names) in cases {
        let error = Context::new().refusal(modules(entries.iter().map(|(name, module)| (*name, module))));
        assert_eq!(error, format!("modules import each other: {names}"));
    }
}

#[test]
fn exports_are_visible_under_the_librarys_name_and_env() {
    let lib = |number: i32| format!("(module (func (export \"f\") (result i32) (i32.const {number})))");
    let cases: [(&str, &[(&str, String)], &str, i32); 6] = [
        ("its name", &[("lib", lib(1))], "lib", 1),
        ("env", &[("lib", lib(1))], "env", 1),
        ("env is the last by name", &[("b", lib(2)), ("a", lib(1))], "env", 2),
        ("a library named env", &[("env", lib(3)), ("z", lib(1))], "env", 3),
        ("a library for host functions", &[("extism:host/user", lib(4))], "extism:host/user", 4),
        ("a library named like WASI", &[("wasi_snapshot_preview1", lib(5))], "wasi_snapshot_preview1", 5),
    ];
    for (case, libraries, namespace, expected) in cases {
        let main = calls(namespace, "f");
        let all = libraries.iter().map(|(name, module)| (*name, module)).chain([("main", &main)]);
        assert_eq!(status(&modules(all)), expected, "{case}");
    }
}

/// No library can replace a host function.
#[test]
fn host_functions_cannot_be_shadowed() {
    let fake = r#"(module
        (func (export "extism_input_length") (result i64) (i64.const 42))
        (func (export "input_length") (result i64) (i64.const 42)))"#;
    let main = r#"(module (import "env" "extism_input_length" (func $length (result i64)))
        (import "extism:host/env" "input_length" (func $length1 (result i64)))
        (func (export "run") (result i32) (i32.wrap_i64 (i64.add (call $length) (call $length1)))))"#;
    for name in ["lib", "env", "extism:host/user", "zeta"] {
        let context = Context::new();
        let plugin = context.plugin(modules([(name, fake), ("main", main)]));
        assert_eq!(plugin.call_only("run", b"abc"), 6, "{name}");
    }
    for name in ["extism:host/env", "extism:host", "extism:"] {
        let error = Context::new().refusal(modules([(name, fake), ("main", main)]));
        assert_eq!(error, format!("module name `{name}` is reserved for functions of the host"));
    }
}

#[test]
fn unknown_imports() {
    let command = r#"(module (memory (export "memory") 1) (func (export "_start")) (func (export "f")))"#;
    let lib = r#"(module (func $start) (start $start) (func (export "f")) (memory 1))"#;
    let imports = |what: &str| format!("(module (import {what}))");
    let cases = [
        (r#""env" "foo" (func)"#, "env::foo"),
        (r#""env" "extism_Alloc" (func)"#, "env::extism_Alloc"),
        (r#""env" "memory" (memory 1)"#, "env::memory"),
        (r#""env" "g" (global i32)"#, "env::g"),
        (r#""env" "t" (table 1 funcref)"#, "env::t"),
        (r#""extism:host/user" "kv_read" (func (param i64) (result i64))"#, "extism:host/user::kv_read"),
        (r#""" "" (func)"#, "::"),
        (r#""lib" "missing" (func)"#, "lib::missing"),
        (r#""Lib" "f" (func)"#, "Lib::f"),
        (r#""main" "run" (func)"#, "main::run"),
        (r#""lib" "extism-wasmer:start" (func)"#, "lib::extism-wasmer:start"),
        (r#""lib" "extism-wasmer:memory" (memory 1)"#, "lib::extism-wasmer:memory"),
        (r#""command" "memory" (memory 1)"#, "command::memory"),
        (r#""é" "a`b" (func)"#, "é::a`b"),
    ];
    for (import, name) in cases {
        let main = imports(import);
        let error = Context::new().refusal(modules([("lib", lib), ("command", command), ("main", &main)]));
        let first = error.lines().next();
        assert_eq!(first, Some(format!("unknown import: `{name}` has not been defined").as_str()), "{error}");
    }
    for (importer, import) in [("a", r#""main" "run" (func)"#), ("a", r#""a" "f" (func)"#)] {
        let library = imports(import);
        let error = Context::new().refusal(modules([(importer, library.as_str()), ("main", "(module)")]));
        assert!(error.starts_with("unknown import: `"), "a library has neither main nor itself: {error}");
    }
    let unknown = imports(r#""extism:host/env" "nope" (func)"#);
    for manifest in [unknown.clone(), modules([("lib", unknown.as_str()), ("main", "(module)")])] {
        let error = Context::new().refusal(manifest);
        assert_eq!(error.lines().next(), Some("Invalid function import from extism:host/env: nope"), "{error}");
        assert!(error.lines().count() > 1, "with advice: {error}");
    }
}

#[test]
fn imports_of_another_type() {
    let lib = r#"(module (func (export "f") (param i32 i64) (result f32) (f32.const 0))
        (global (export "g") i32 (i32.const 0)) (memory (export "m") 1 2) (table (export "t") 1 funcref))"#;
    let cases = [
        (
            r#""env" "extism_alloc" (func (param i32) (result i64))"#,
            "env::extism_alloc",
            ["(i32) -> (i64)", "(i64) -> (i64)"],
        ),
        (r#""env" "extism_free" (func)"#, "env::extism_free", ["() -> ()", "(i64) -> ()"]),
        (r#""extism:host/env" "load_u8" (func)"#, "extism:host/env::load_u8", ["() -> ()", "(i64) -> (i32)"]),
        (r#""env" "extism_alloc" (memory 1)"#, "env::extism_alloc", ["a memory", "a function (i64) -> (i64)"]),
        (r#""env" "extism_alloc" (global i64)"#, "env::extism_alloc", ["a global", "a function (i64) -> (i64)"]),
        (r#""extism:host/env" "memory" (func)"#, "extism:host/env::memory", ["a function () -> ()", "a memory"]),
        (r#""lib" "f" (func (param i32))"#, "lib::f", ["(i32) -> ()", "(i32, i64) -> (f32)"]),
        (r#""env" "f" (func)"#, "env::f", ["() -> ()", "(i32, i64) -> (f32)"]),
        (r#""lib" "g" (func)"#, "lib::g", ["a function () -> ()", "a global"]),
        (r#""lib" "t" (memory 1)"#, "lib::t", ["a memory", "a table"]),
    ];
    for (import, name, types) in cases {
        let main = format!("(module (import {import}))");
        let error = Context::new().refusal(modules([("lib", lib), ("main", &main)]));
        let first = error.lines().next();
        assert_eq!(first, Some(format!("incompatible import type for `{name}`").as_str()), "{error}");
        for ty in types {
            assert!(error.to_lowercase().contains(ty), "{error}");
        }
    }
    // In these cases the engine finds the fault.
    for import in [
        r#""lib" "g" (global i64)"#,
        r#""lib" "g" (global (mut i32))"#,
        r#""lib" "m" (memory 2)"#,
        r#""lib" "m" (memory 1 1)"#,
        r#""lib" "t" (table 2 funcref)"#,
        r#""lib" "t" (table 1 externref)"#,
    ] {
        let main = format!("(module (import {import}))");
        let error = Context::new().refusal(modules([("lib", lib), ("main", &main)]));
        let name = if import.contains("\"g\"") {
            "g"
        } else if import.contains("\"m\"") {
            "m"
        } else {
            "t"
        };
        assert!(error.contains("`main`") && error.contains("lib") && error.contains(name), "{import}: {error}");
        assert!(
            error.lines().next().is_some_and(|first| first.contains("import") || first.contains("instantiated")),
            "{error}"
        );
    }
}

#[test]
fn duplicate_names() {
    let cases: [(&[&str], &str); 3] =
        [(&["a", "a"], "a"), (&["main", "lib", "main"], "main"), (&["x", "y", "y", "x"], "y")];
    for (names, duplicate) in cases {
        let error = Context::new().refusal(modules(names.iter().map(|name| (*name, "(module)"))));
        assert_eq!(error, format!("Duplicate module name found in Extism manifest: {duplicate}"));
    }
    let unnamed = json!({"wasm": [{"data": encoded("(module)")}, {"data": encoded("(module)")}]}).to_string();
    assert_eq!(Context::new().refusal(unnamed), "Duplicate module name found in Extism manifest: main");
}

/// The host's own memory has a maximum of 65,521 pages; a plugin's memory with that maximum is like any other.
#[test]
fn a_memory_of_any_maximum_can_be_shared() {
    for maximum in [65_520, 65_521, 65_536] {
        let library = format!("(module (memory (export \"m\") 1 {maximum}) (data (i32.const 7) \"\\2a\"))");
        for minimum in [0, 1] {
            let main = format!(
                "(module (import \"lib\" \"m\" (memory {minimum}))
                    (func (export \"run\") (result i32) (i32.load8_u (i32.const 7))))"
            );
            assert_eq!(status(&modules([("lib", library.as_str()), ("main", &main)])), 42, "{maximum}");
        }
        let alone = format!(
            "(module (import \"env\" \"extism_input_length\" (func $length (result i64)))
                (memory 1 {maximum}) (data (i32.const 7) \"\\2a\")
                (func (export \"run\") (result i32)
                    (drop (call $length)) (drop (memory.grow (i32.const 1))) (i32.load8_u (i32.const 7))))"
        );
        assert_eq!(status(&crate::host::manifest(alone, "")), 42, "{maximum}");
    }
}
