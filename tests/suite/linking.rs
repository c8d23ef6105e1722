//! Manifests with several modules: which is the main one, who gets which import from whom, and how libraries live.

use serde_json::{Value, json};

use crate::host::{Answer, Context, base64, fixture};

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

/// A library whose `f` appends a digit to what the libraries `uses` say in their `f`.
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

/// What the host has, no library can take its place in.
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
            assert!(error.contains(ty), "{error}");
        }
    }
    // Of these the engine finds the fault.
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

/// A library shares more than functions.
#[test]
fn memories_tables_and_globals_of_a_library() {
    let lib = r#"(module
        (memory (export "memory") 1 4) (data (i32.const 8) "\2a")
        (global $g (export "counter") (mut i32) (i32.const 5))
        (global (export "constant") i64 (i64.const 11))
        (table (export "table") 2 funcref) (elem (i32.const 0) $seven)
        (func $seven (result i32) (i32.const 7))
        (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "counted") (result i32) (global.get $g))
        (func (export "size") (result i32) (memory.size))
        (func (export "second") (result i32) (call_indirect (result i32) (i32.const 1))))"#;
    let main = r#"(module
        (import "lib" "memory" (memory 1)) (import "lib" "counter" (global $counter (mut i32)))
        (import "lib" "constant" (global $constant i64)) (import "lib" "table" (table 2 funcref))
        (import "lib" "peek" (func $peek (param i32) (result i32))) (import "lib" "counted" (func $counted (result i32)))
        (import "lib" "size" (func $size (result i32))) (import "lib" "second" (func $second (result i32)))
        (elem (i32.const 1) $nine)
        (func $nine (result i32) (i32.const 9))
        (func (export "memory") (result i32) (i32.load8_u (i32.const 8)))
        (func (export "written") (result i32) (i32.store8 (i32.const 9) (i32.const 33)) (call $peek (i32.const 9)))
        (func (export "grown") (result i32) (drop (memory.grow (i32.const 2))) (call $size))
        (func (export "beyond") (result i32) (call $peek (i32.const 65536)))
        (func (export "counter") (result i32)
            (global.set $counter (i32.add (global.get $counter) (i32.const 1))) (call $counted))
        (func (export "constant") (result i32) (i32.wrap_i64 (global.get $constant)))
        (func (export "table") (result i32) (call_indirect (result i32) (i32.const 0)))
        (func (export "put") (result i32) (call $second)))"#;
    let cases = [
        ("memory", 42),
        ("written", 33),
        ("beyond", -1),
        ("grown", 3),
        ("beyond", 0),
        ("counter", 6),
        ("counter", 7),
        ("constant", 11),
        ("table", 7),
        ("put", 9),
    ];
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", lib), ("main", main)]));
    for (function, expected) in cases {
        assert_eq!(plugin.call_only(function, b""), expected, "{function}");
    }
}

/// Counts its calls and appends to a trace what else has run.
const REACTOR: &str = r#"(module
    (global $calls (mut i32) (i32.const 0)) (global $trace (mut i32) (i32.const 0))
    (func $mark (param i32)
        (global.set $trace (i32.add (i32.mul (global.get $trace) (i32.const 10)) (local.get 0))))
    (func $start (call $mark (i32.const 1))) (start $start)
    (func (export "_initialize") (call $mark (i32.const 2)))
    (func (export "__wasm_call_ctors") (call $mark (i32.const 3)))
    (func (export "trace") (result i32) (global.get $trace))
    (func (export "next") (result i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (global.get $calls)))"#;

#[test]
fn a_reactor_is_one_instance_for_all() {
    let a = r#"(module (import "lib" "next" (func $next (result i32))) (export "also" (func $next))
        (func (export "through_a") (result i32) (call $next)))"#;
    let main = r#"(module (import "lib" "next" (func $next (result i32)))
        (import "lib" "trace" (func $trace (result i32))) (import "a" "through_a" (func $through_a (result i32)))
        (import "a" "also" (func $also (result i32)))
        (func (export "direct") (result i32) (call $next)) (func (export "through_a") (result i32) (call $through_a))
        (func (export "reexported") (result i32) (call $also))
        (func (export "trace") (result i32) (call $trace)) (func (export "_start")))"#;
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", REACTOR), ("a", a), ("main", main)]));
    let calls = [
        ("trace", 12),
        ("direct", 1),
        ("through_a", 2),
        ("reexported", 3),
        ("direct", 4),
        ("trace", 12),
        ("_start", 0),
        ("direct", 1),
        ("trace", 12),
    ];
    for (function, expected) in calls {
        assert_eq!(plugin.call_only(function, b""), expected, "{function}");
    }
    let other = context.plugin(modules([("lib", REACTOR), ("a", a), ("main", main)]));
    assert_eq!((other.call_only("direct", b""), plugin.call_only("direct", b"")), (1, 2), "plugins share nothing");
    let library_only = plugin.call("next", "");
    assert_eq!(library_only.error(), "Function not found: next", "a library's functions are not the plugin's");
}

#[test]
fn a_library_that_fails_at_its_start() {
    let main = calls("lib", "run");
    let run = "(func (export \"run\") (result i32) (i32.const 1))";
    let cases = [
        format!("(module {run} (func $start unreachable) (start $start))"),
        format!("(module {run} (func (export \"_initialize\") unreachable))"),
    ];
    for library in cases {
        let error = Context::new().refusal(modules([("lib", &library), ("main", &main)]));
        let expected = "module `lib` failed at its start\n\nCaused by:\n    wasm trap: unreachable";
        assert!(error.starts_with(expected) && error.contains("lib!"), "{error}");
    }
    let parameters = format!("(module {run} (func (export \"_initialize\") (param i32)))");
    let error = Context::new().refusal(modules([("lib", &parameters), ("main", &main)]));
    assert!(error.starts_with("module `lib` failed at its start"), "{error}");
}

/// A command whose every call finds a fresh instance.
const COMMAND: &str = r#"(module
    (import "env" "extism_input_length" (func $input_length (result i64)))
    (memory (export "memory") 1) (global $calls (mut i32) (i32.const 0)) (global $started (mut i32) (i32.const 0))
    (func $start (global.set $started (i32.add (global.get $started) (i32.const 1)))) (start $start)
    (func (export "_start") (global.set $started (i32.const 99)))
    (func (export "next") (result i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 100)))
        (i32.add (global.get $calls) (i32.load (i32.const 0))))
    (func (export "started") (result i32) (global.get $started))
    (func (export "fails") (result i32) unreachable)
    (func (export "input") (result i32) (i32.wrap_i64 (call $input_length)))
    (func (export "mixed") (param i32 i64 f32 f64) (result f64 i64)
        (f64.add (f64.promote_f32 (local.get 2)) (local.get 3))
        (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))))"#;

/// Calls all of [`COMMAND`]'s functions.
const COMMANDER: &str = r#"(module
    (import "lib" "next" (func $next (result i32))) (import "lib" "started" (func $started (result i32)))
    (import "lib" "fails" (func $fails (result i32))) (import "lib" "input" (func $input (result i32)))
    (import "lib" "mixed" (func $mixed (param i32 i64 f32 f64) (result f64 i64)))
    (func (export "next") (result i32) (call $next)) (func (export "started") (result i32) (call $started))
    (func (export "fails") (result i32) (call $fails)) (func (export "input") (result i32) (call $input))
    (func (export "twice") (result i32) (i32.add (call $next) (call $next)))
    (func (export "mixed") (result i32) (local $sum i64)
        (call $mixed (i32.const -3) (i64.const 4294967299) (f32.const 0.5) (f64.const 0.25))
        (local.set $sum) (f64.ne (f64.const 0.75)) (i64.ne (local.get $sum) (i64.const 4294967296)) (i32.or))
    (func (export "own") (result i32) (i32.const 3))
    (func (export "many") (result i32) (local $n i32)
        (loop (drop (call $next)) (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $n) (i32.const 250))))
        (local.get $n)))"#;

#[test]
fn a_command_has_an_instance_a_call() {
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", COMMAND), ("main", COMMANDER)]));
    let calls = [("next", 101), ("next", 101), ("twice", 202), ("started", 1), ("mixed", 0), ("own", 3), ("input", 5)];
    for (function, expected) in calls {
        let answer = plugin.call(function, "input");
        assert_eq!((answer.code, answer.error()), (expected, ""), "{function}");
    }
    for _ in 0..3 {
        let answer = plugin.call("fails", "");
        assert_eq!(answer.code, -1);
        let expected = "Call failed\n\nCaused by:\n    wasm trap: unreachable";
        assert!(answer.error().starts_with(expected) && answer.error().contains("lib!"), "{answer:?}");
        assert_eq!(plugin.call_only("next", b""), 101, "it goes on after a trap");
    }
}

#[test]
fn a_command_has_256_instances() {
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", COMMAND), ("main", COMMANDER)]));
    assert_eq!(plugin.call_only("many", b""), 250);
    for call in 251..=256 {
        assert_eq!(plugin.call_only("next", b""), 101, "{call}");
    }
    let is_the_bound = |answer: &Answer| {
        answer.code == -1
            && answer.error().contains("command library `lib` was called more than 256 times")
            && answer.error().contains("reactor")
    };
    for function in ["next", "many", "started"] {
        let answer = plugin.call(function, "");
        assert!(is_the_bound(&answer), "{answer:?}");
    }
    assert_eq!(plugin.call_only("own", b""), 3, "the plugin's own functions work on");
    assert!(plugin.update(modules([("lib", COMMAND), ("main", COMMANDER)]), false));
    assert_eq!(plugin.call_only("many", b""), 250);
}

/// Through a table of a third module a command can come back to itself.
#[test]
fn a_command_that_is_entered_again() {
    let shared = r#"(module (table (export "table") 1 funcref))"#;
    let command = r#"(module (import "shared" "table" (table 1 funcref)) (func (export "_start"))
        (func (export "enter") (result i32) (call_indirect (result i32) (i32.const 0))))"#;
    let main = r#"(module (import "shared" "table" (table 1 funcref))
        (import "command" "enter" (func $enter (result i32))) (elem (i32.const 0) $again)
        (func $again (result i32) (call $enter)) (func (export "run") (result i32) (call $enter))
        (func (export "own") (result i32) (i32.const 3)))"#;
    let context = Context::new();
    let plugin = context.plugin(modules([("shared", shared), ("command", command), ("main", main)]));
    for _ in 0..2 {
        let answer = plugin.call("run", "");
        assert!(answer.error().contains("command library `command` was entered again while it ran"), "{answer:?}");
        assert_eq!((answer.code, plugin.call_only("own", b"")), (-1, 3));
    }
}

#[test]
fn command_and_reactor_at_once() {
    let both = r#"(module (func (export "_start")) (func (export "_initialize"))
        (func (export "run") (result i32) (i32.const 6)))"#;
    let error = Context::new().refusal(modules([("lib", both), ("main", &calls("lib", "run"))]));
    let expected = "module `lib` exports both `_start` and `_initialize`";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(status(&modules([("lib", "(module)"), ("main", both)])), 6, "the main module may");
    let no_function = r#"(module (func (export "_initialize")) (global (export "_start") i32 (i32.const 0))
        (func (export "run") (result i32) (i32.const 8)))"#;
    assert_eq!(status(&modules([("lib", no_function), ("main", &calls("lib", "run"))])), 8, "a global is no command");
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

/// A library reads the input, allocates and sets the output; the main module only asks it to.
#[test]
fn libraries_use_the_host_themselves() {
    let main = r#"(module (import "lib" "shout" (func $shout)) (func (export "run") (call $shout)))"#;
    for (namespace, prefix) in [("env", "extism_"), ("extism:host/env", "")] {
        let library = format!(
            r#"(module
            (import "{namespace}" "{prefix}input_length" (func $input_length (result i64)))
            (import "{namespace}" "{prefix}input_load_u8" (func $input (param i64) (result i32)))
            (import "{namespace}" "{prefix}alloc" (func $alloc (param i64) (result i64)))
            (import "{namespace}" "{prefix}store_u8" (func $store (param i64 i32)))
            (import "{namespace}" "{prefix}output_set" (func $output (param i64 i64)))
            (func (export "shout") (local $block i64) (local $at i64)
                (local.set $block (call $alloc (call $input_length)))
                (loop
                    (call $store (i64.add (local.get $block) (local.get $at))
                        (i32.and (call $input (local.get $at)) (i32.const 0xdf)))
                    (local.set $at (i64.add (local.get $at) (i64.const 1)))
                    (br_if 0 (i64.lt_u (local.get $at) (call $input_length))))
                (call $output (local.get $block) (call $input_length))))"#
        );
        let command =
            library.replace("(func (export \"shout\")", "(func (export \"_start\")) (func (export \"shout\")");
        for library in [&library, &command] {
            let context = Context::new();
            let plugin = context.plugin(modules([("lib", library.as_str()), ("main", main)]));
            for _ in 0..3 {
                assert_eq!(plugin.answer("run", "hello"), "HELLO", "{namespace}");
            }
        }
    }
}

/// Both ABIs work on the same memory, also across modules.
#[test]
fn a_0_x_main_and_a_1_x_library() {
    let library = r#"(module
        (import "extism:host/env" "load_u8" (func $load (param i64) (result i32)))
        (import "extism:host/env" "length" (func $length (param i64) (result i64)))
        (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/env" "memory" (memory 1))
        (func (export "next_byte") (param i64) (result i64) (local $block i64)
            (local.set $block (call $alloc (call $length (local.get 0))))
            (call $store (local.get $block) (i32.add (call $load (local.get 0)) (i32.const 1)))
            (local.get $block))
        (func (export "peek") (param i64) (result i32) (i32.load8_u (i32.wrap_i64 (local.get 0)))))"#;
    let main = r#"(module
        (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
        (import "env" "extism_store_u8" (func $store (param i64 i32)))
        (import "env" "extism_length" (func $length (param i64) (result i64)))
        (import "env" "extism_output_set" (func $output (param i64 i64)))
        (import "lib" "next_byte" (func $next_byte (param i64) (result i64)))
        (import "env" "peek" (func $peek (param i64) (result i32)))
        (func (export "run") (result i32) (local $block i64)
            (call $store (local.tee $block (call $alloc (i64.const 1))) (i32.const 65))
            (local.set $block (call $next_byte (local.get $block)))
            (call $output (local.get $block) (call $length (local.get $block)))
            (call $peek (local.get $block))))"#;
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", library), ("main", main)]));
    for _ in 0..3 {
        let answer = plugin.call("run", "some input");
        assert_eq!((answer.code, answer.error(), answer.text()), (66, "", "B".to_owned()));
    }
}

/// A plugin of one ABI with the committed fixture of the other as its library.
#[test]
fn fixtures_as_libraries() {
    let main = r#"(module (import "lib" "count_vowels" (func $count (result i32)))
        (func (export "run") (result i32) (call $count)))"#;
    for name in ["count_vowels.v0", "count_vowels.v1"] {
        let context = Context::new();
        let plugin = context.plugin(modules([("lib", fixture(name)), ("main", main.as_bytes().to_vec())]));
        assert_eq!(plugin.answer("run", "hello world"), "{\"count\": 3}", "{name}");
    }
}
