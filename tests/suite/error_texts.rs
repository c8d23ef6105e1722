//! Texts from outside in errors: however long they are, and whatever is in them, errors are short, and nothing in them
//! controls a terminal. A plugin's own error text is the exception: it is handed on as it is.

mod kinds;
mod memory;

use serde_json::{Value, json};

use crate::host::{Context, fixture, manifest};
use crate::linking::modules;

/// The most bytes that an error may have that quotes texts from outside.
const BOUND: usize = 4096;

/// Texts that are put wherever an input can have one. No error may contain them unchanged.
fn hostile() -> [String; 3] {
    ["x".repeat(2 << 20), "\u{7f}".repeat(1 << 20), "a\u{1b}[2J\u{9b}\r\n\u{202e}b".to_owned()]
}

fn check(case: &str, error: &str) {
    let start: String = error.chars().take(300).collect();
    assert!(!error.is_empty() && error.len() < BOUND, "{case}: {} bytes: {start:?}", error.len());
    let unseen = error.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
    assert_eq!(unseen, None, "{case}: {start:?}");
}

/// Checks the error with which `input` is refused.
fn refused(case: &str, input: impl AsRef<[u8]>) {
    match Context::new().create(input, true) {
        Ok(_) => panic!("{case}: made"),
        Err(error) => check(case, &error),
    }
}

const EMPTY: &str = "AGFzbQEAAAA=";

#[test]
fn values_of_manifests() {
    #[cfg(feature = "wasi")]
    let wasi: Value = serde_json::from_str::<Value>(&manifest(
        "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))) (memory 1))",
        "",
    ))
    .expect("JSON")["wasm"][0]
        .clone();
    for text in hostile() {
        let empty = || json!({"data": EMPTY});
        let one = |key: &str| json!({"wasm": [{key: text}]});
        let beside = |key: &str| json!({"wasm": [{"data": EMPTY, key: text}]});
        let with = |key: &str, value: Value| json!({"wasm": [empty()], key: value});
        let url = |key: &str, value: Value| json!({"wasm": [{"url": "http://127.0.0.1:1/a", key: value}]});
        let two = |name: &str| json!({"wasm": [{"data": EMPTY, "name": name}, {"data": EMPTY, "name": name}]});
        let cases = [
            ("path", one("path")),
            ("path without a name", json!({"wasm": [{"path": format!("{text}/..")}]})),
            ("data", one("data")),
            ("hash", beside("hash")),
            ("name twice", two(&text)),
            ("reserved name", two(&format!("extism:{text}"))),
            ("compiler", with("compiler", json!(text))),
            ("after_trap", with("after_trap", json!(text))),
            ("strict", with("strict", json!(text))),
            ("timeout_ms", with("timeout_ms", json!(text))),
            ("fuel", with("fuel", json!(text))),
            ("memory", with("memory", json!(text))),
            ("memory.max", with("memory", json!({"max": text}))),
            ("memory.max_var_bytes", with("memory", json!({"max_var_bytes": text}))),
            ("config", with("config", json!(text))),
            ("key of config", with("config", json!({text.as_str(): 1}))),
            ("pair of config", with("config", json!([text]))),
            ("allowed_hosts", with("allowed_hosts", json!(text))),
            ("allowed_paths", with("allowed_paths", json!(text))),
            #[cfg(feature = "wasi")]
            ("host path", json!({"wasm": [wasi], "allowed_paths": {text.as_str(): "/a"}})),
            #[cfg(feature = "wasi")]
            ("guest path twice", json!({"wasm": [wasi], "allowed_paths": {"/tmp": text, "/": text}})),
            ("wasm", json!({"wasm": text})),
            ("an entry", json!({"wasm": [text]})),
            ("a key in strict", json!({"wasm": [empty()], "strict": true, text.as_str(): 1})),
            ("the whole", json!(text)),
            #[cfg(feature = "http")]
            ("url", one("url")),
            #[cfg(feature = "http")]
            ("method", url("method", json!(text))),
            #[cfg(feature = "http")]
            ("name of a header", url("headers", json!({text.as_str(): "a"}))),
            #[cfg(feature = "http")]
            ("value of a header", url("headers", json!({"a": text}))),
            ("headers", url("headers", json!(text))),
        ];
        for (case, input) in cases {
            refused(case, input.to_string());
        }
    }
}

#[test]
fn texts_that_are_no_manifests() {
    for text in hostile() {
        for (case, input) in [
            ("text", text.clone()),
            ("a path", format!("{}.wasm", text.replace(['\n', '\r'], ""))),
            ("a key of TOML", format!("{text} = 1")),
            ("a value of TOML", format!("wasm = \"{}\"", text.escape_default())),
            ("TOML that is cut", format!("key = \"{text}")),
            ("JSON that is cut", format!("{{\"wasm\": [{{\"name\": \"{text}")),
            ("WAT", format!("(module ({text}))")),
            ("a name of WAT", format!("(module (func (call ${})))", "y".repeat(text.len()))),
            ("a string of WAT", format!("(module (import \"{text}")),
        ] {
            refused(case, input);
        }
    }
}

/// `text` as a string of WAT, without its quotes.
fn wat_string(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_lowercase() { char::from(byte).to_string() } else { format!("\\{byte:02x}") })
        .collect()
}

#[test]
fn names_in_modules() {
    for text in hostile() {
        let name = wat_string(&text);
        for (case, module) in [
            ("module of an import", format!("(module (import \"{name}\" \"f\" (func)))")),
            ("name of an import", format!("(module (import \"env\" \"{name}\" (func)))")),
            ("function of the host", format!("(module (import \"extism:host/env\" \"{name}\" (func)))")),
            ("function of WASI", format!("(module (import \"wasi_snapshot_preview1\" \"{name}\" (func)) (memory 1))")),
            #[cfg(feature = "compiler")]
            ("export twice", format!("(module (func (export \"{name}\") (export \"{name}\")))")),
        ] {
            refused(case, module);
        }
        let exporting = format!("(module (func (export \"{name}\")))");
        let importing = |ty: &str| format!("(module (import \"{name}\" \"{name}\" {ty}))");
        let both = "(module (func (export \"_start\")) (func (export \"_initialize\")))".to_owned();
        let traps = "(module (func $f unreachable) (start $f))".to_owned();
        let imports_main = "(module (import \"other\" \"f\" (func)) (func (export \"f\")))".to_owned();
        let imports_other = format!("(module (import \"{name}\" \"f\" (func)) (func (export \"f\")))");
        for (case, linked) in [
            ("import of another type", vec![(text.as_str(), &exporting), ("main", &importing("(func (param i32))"))]),
            ("import of another kind", vec![(text.as_str(), &exporting), ("main", &importing("(memory 1)"))]),
            ("command and reactor", vec![(text.as_str(), &both), ("main", &traps)]),
            ("start of a library", vec![(text.as_str(), &traps), ("main", &traps)]),
            ("a circle", vec![(text.as_str(), &imports_main), ("other", &imports_other), ("main", &both)]),
            ("invalid code", vec![(text.as_str(), &"(module (func (result i32)))".to_owned()), ("main", &both)]),
        ] {
            if cfg!(feature = "compiler") || case != "invalid code" {
                refused(case, modules(linked));
            }
        }
    }
}

#[test]
fn names_of_functions() {
    let context = Context::new();
    for text in ["x".repeat(20 << 20), "\u{7f}".repeat(1 << 20), "a\u{1b}[2J\u{9b}\r\n\u{202e}b".to_owned()] {
        let plugin = context.plugin("(module)");
        check("not found", plugin.call(&text, "").error());
        let exported = text.get(..90_000).unwrap_or(&text);
        for (case, shape) in [("a result", "(result i64) (i64.const 0)"), ("a parameter", "(param i32)")] {
            let name = wat_string(exported);
            let plugin = context.plugin(format!("(module (func (export \"{name}\") {shape}))"));
            check(case, plugin.call(exported, "").error());
        }
    }
}

/// Errors of a plugin's HTTP requests.
#[cfg(feature = "http")]
#[test]
fn requests_of_plugins() {
    let context = Context::new();
    let plugin = context.plugin(manifest(fixture("kitchen.v1"), r#""allowed_hosts": ["*"]"#));
    let mut texts = hostile();
    // A request has a bound of its own, below the length of these texts.
    texts.iter_mut().for_each(|text| text.truncate(500_000));
    for text in texts {
        for (case, query) in [
            ("url", json!({"url": text})),
            ("host", json!({"url": format!("http://{text}/")})),
            ("method", json!({"url": "http://127.0.0.1/", "method": text})),
            ("name of a header", json!({"url": "http://127.0.0.1/", "headers": {text.as_str(): "a"}})),
            ("value of a header", json!({"url": "http://127.0.0.1/", "headers": {text.as_str(): 1}})),
            ("headers", json!({"url": "http://127.0.0.1/", "headers": text})),
            ("the whole", json!(text)),
        ] {
            check(case, plugin.call("http", query.to_string()).error());
        }
    }
}

#[test]
fn configurations() {
    let context = Context::new();
    let plugin = context.plugin("(module)");
    for text in hostile() {
        for (case, json) in
            [("a key", json!({text.as_str(): 1})), ("a value", json!({"k": [text]})), ("the whole", json!(text))]
        {
            assert!(!plugin.configure(&json.to_string()), "{case}");
            check(case, &context.error(plugin.id).expect("an error"));
        }
    }
}

/// A plugin's own error text is the only text that errors do not change.
#[test]
fn a_plugin_s_own_words_stay() {
    let words = "two\nlines, \u{1b}[1mand\u{9b}\u{202e} more\t";
    for kitchen in ["kitchen.v0", "kitchen.v1"] {
        let context = Context::new();
        let plugin = context.plugin(fixture(kitchen));
        assert_eq!(plugin.call("error", words).error(), words, "{kitchen}");
        let long = "x".repeat(100_000);
        assert_eq!(plugin.call("error", &long).error(), long, "{kitchen}");
    }
}
