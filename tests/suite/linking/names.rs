//! Many imported names, and module names that change places.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{modules, status};
use crate::child;
use crate::host::Context;

/// A library that exports the globals `0` to `count - 1`, each with its number, and a module that imports all of them
/// from `from` and answers with the last.
fn many(count: u32, from: &str) -> [String; 2] {
    let (mut library, mut main) = (String::from("(module"), String::from("(module"));
    for number in 0..count {
        let _ = write!(library, "(global (export \"{number}\") i32 (i32.const {number}))");
        let _ = write!(main, "(import \"{from}\" \"{number}\" (global i32))");
    }
    let _ = write!(main, "(func (export \"run\") (result i32) (global.get {})))", count - 1);
    [library + ")", main]
}

/// Looking each import up in a list of all exports would take more than a minute.
#[test]
fn linking_takes_no_longer_than_there_are_names() {
    const COUNT: u32 = 30_000;
    for from in ["lib", "env"] {
        let [library, main] = many(COUNT, from);
        let [library, main] = [library, main].map(|text| wat::parse_str(text).expect("it is one"));
        let manifest = modules([("lib", library), ("main", main)]);
        let start = Instant::now();
        assert_eq!(status(&manifest), COUNT as i32 - 1, "{from}");
        let took = start.elapsed();
        println!("{from}: {took:?}");
        assert!(took < Duration::from_secs(10), "{from}: {took:?}");
    }
}

/// An import from `env` gets the export of the library with the greatest name. A library that imports a name that it
/// exports itself gets the export of another.
#[test]
fn any_library_serves_env() {
    let exports = |number: u32| format!("(module (global (export \"g\") i32 (i32.const {number})))");
    let passes_on = "(module (import \"env\" \"g\" (global $g i32)) (export \"g\" (global $g)))";
    let main = "(module (import \"env\" \"g\" (global $g i32)) (func (export \"run\") (result i32) (global.get $g)))";
    let cases: [(&[(&str, &str)], i32); 4] = [
        (&[("b", &exports(2)), ("a", &exports(1)), ("main", main)], 2),
        (&[("b", passes_on), ("a", &exports(1)), ("main", main)], 1),
        (&[("c", passes_on), ("a", &exports(1)), ("b", &exports(2)), ("main", main)], 2),
        (&[("a", &exports(1)), ("main", &main.replace("\"env\" \"g\"", "\"a\" \"g\""))], 1),
    ];
    for (all, expected) in cases {
        assert_eq!(status(&modules(all.iter().copied())), expected, "{all:?}");
    }
}

/// The same modules, whose names change so that imports lead to others: each plugin starts with its own data.
#[test]
fn data_is_where_this_plugins_imports_say() {
    const TEST: &str = "linking::names::data_is_where_this_plugins_imports_say";
    if child::case().is_none() {
        // Plugins share code in the child.
        child::run(TEST, "alone", &[("EXTISM_CACHE_MEMORY_BYTES", "67108864".as_ref())]);
        return;
    }
    let base = |base: u32| format!("(module (global (export \"base\") i32 (i32.const {base})))");
    let main = |offset: &str| {
        format!(
            r#"(module (import "a" "base" (global $base i32)) (memory 4) (data {offset} "{}")
            (func (export "run") (result i32)
                (i32.add (i32.load8_u (i32.const 0)) (i32.shl (i32.load8_u (i32.const 200050)) (i32.const 8)))))"#,
            "x".repeat(200_000)
        )
    };
    for offset in ["(global.get $base)", "(i32.add (global.get $base) (i32.const 0))"] {
        let (zero, hundred, main) = (base(0), base(100), main(offset));
        let x = i32::from(b'x');
        for (names, expected) in [(["a", "b"], x), (["b", "a"], x << 8), (["a", "b"], x)] {
            let manifest = modules([(names[0], &zero), (names[1], &hundred), ("main", &main)]);
            let plugins = [(); 2].map(|()| status(&manifest));
            assert_eq!(plugins, [expected; 2], "{offset}: {names:?}");
        }
    }
}

/// Errors name the importer of a function that no module has, and the main module if none is called `main`.
#[test]
fn an_import_that_nobody_has_says_who_wants_it() {
    let lib = "(module (func (export \"one\") (result i32) (i32.const 1)))";
    let app = |import: &str| format!("(module (import {import}) (func (export \"run\")))");
    let silent = "; `lib` is the main module, from which none imports: none is called `main`, and its name sorts last";
    for (names, import, expected) in [
        (
            ["lib", "app"],
            r#""lib" "one" (func)"#,
            format!("`lib::one` has not been defined\nmodule `app` imports it{silent}"),
        ),
        (
            ["lib", "main"],
            r#""lib" "two" (func)"#,
            "`lib::two` has not been defined\nmodule `main` imports it".to_owned(),
        ),
        (
            ["lib", "zapp"],
            r#""lib" "two" (func)"#,
            format!("`lib::two` has not been defined\nmodule `zapp` imports it{}", silent.replace("lib", "zapp")),
        ),
    ] {
        let app = app(import);
        let error = Context::new().refusal(modules([(names[0], lib), (names[1], &app)]));
        assert_eq!(error, format!("unknown import: {expected}"), "{names:?}");
    }
    let app = app(r#""lib" "one" (func)"#);
    let error = Context::new().refusal(modules([("lib", lib), ("main", &app)]));
    assert!(
        error.ends_with("expected a function () -> (), found a function () -> (i32)\nmodule `main` imports it"),
        "{error}"
    );
}
