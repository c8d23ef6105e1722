//! `extism_plugin_new` makes a plugin of any input, or gives an error with a text. Nothing panics: libFuzzer ends the
//! process at a panic, even where the library would have caught it.
//!
//! Half of the inputs are passed as they are, the others are turned into manifests with known keys.
#![no_main]

use std::fmt::{self, Debug, Formatter};

use arbitrary::{Arbitrary, Result, Unstructured};
use extism_fuzz::environment;
use extism_testkit::host::{Context, base64, sha256};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

/// The input of `extism_plugin_new`.
struct Document {
    bytes: Vec<u8>,
    with_wasi: bool,
}

impl<'a> Arbitrary<'a> for Document {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        if noise.arbitrary()? {
            let bytes = noise.bytes(noise.len())?.to_vec();
            return Ok(Self { bytes, with_wasi: false });
        }
        let manifest = manifest(noise)?;
        let mut bytes = if noise.arbitrary()? { manifest.to_string() } else { toml_document(&manifest) }.into_bytes();
        if noise.ratio(1, 8)? {
            bytes.truncate(noise.int_in_range(0..=bytes.len())?);
        }
        Ok(Self { bytes, with_wasi: noise.arbitrary()? })
    }
}

impl Debug for Document {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} (WASI: {})", String::from_utf8_lossy(&self.bytes), self.with_wasi)
    }
}

fuzz_target!(init: isolate(), |document: Document| {
    let context = Context::new();
    if let Err(error) = context.create(&document.bytes, document.with_wasi) {
        assert!(!error.is_empty() && !error.starts_with("internal error"), "{error:?}");
    }
});

fn isolate() {
    // Stops start functions that do not end.
    environment::isolate(&[("EXTISM_TIMEOUT_MS", "1000".into())]);
}

/// Modules of every kind, among them some that need each other.
const MODULES: [&str; 14] = [
    "(module)",
    "",
    "(module",
    "\0asm\u{1}\0\0\0",
    "\0asm\u{2}\0\0\0",
    r#"(module (func (export "f")) (memory (export "memory") 1))"#,
    r#"(module (import "a" "f" (func)) (export "f" (func 0)))"#,
    r#"(module (import "env" "f" (func)) (export "f" (func 0)))"#,
    r#"(module (import "a" "memory" (memory 1)))"#,
    r#"(module (import "extism:host/env" "memory" (memory 1)) (import "extism:host/env" "alloc" (func)))"#,
    r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start")) (memory 1))"#,
    r#"(module (func $f unreachable) (start $f))"#,
    r#"(module (func $f call $f) (start $f) (memory 65536) (table 100000000 funcref))"#,
    r#"(module (import "extism:host/env" "alloc" (func $f (param i64) (result i64)))
        (func $g (drop (call $f (i64.const 70000)))) (start $g) (memory 2))"#,
];

/// Strings with a meaning somewhere, or nearly so.
const TEXTS: [&str; 26] = [
    "",
    "main",
    "a",
    "env",
    "extism:host/env",
    "extism:host/user",
    "wasi_snapshot_preview1",
    "cranelift",
    "llvm",
    "singlepass",
    "headless",
    "keep",
    "renew",
    "GET",
    "\0",
    "\u{1b}[2J\n",
    "é\u{202e}",
    "*",
    "[",
    "10.*:80",
    "localhost:",
    ".",
    "/",
    "..",
    "ro:.",
    "absent.wasm",
];

/// Keys of the top level other than `wasm`, of `memory`, and of modules.
const KEYS: [&str; 10] = [
    "memory",
    "config",
    "allowed_hosts",
    "allowed_paths",
    "timeout_ms",
    "compiler",
    "fuel",
    "after_trap",
    "strict",
    "unknown",
];
const MEMORY_KEYS: [&str; 7] =
    ["max", "max_pages", "max_http_response_bytes", "max_var_bytes", "max_table_elements", "max_log_bytes", "unknown"];
const MODULE_KEYS: [&str; 8] = ["name", "name", "hash", "url", "path", "method", "headers", "header"];

fn manifest(noise: &mut Unstructured<'_>) -> Result<Value> {
    let mut document = Map::new();
    if !noise.ratio(1, 16)? {
        document.insert("wasm".to_owned(), or_odd(noise, |noise| list(noise, |noise| or_odd(noise, module)))?);
    }
    for key in KEYS {
        if noise.ratio(1, 4)? {
            document.insert(key.to_owned(), or_odd(noise, |noise| value_of(key, noise))?);
        }
    }
    Ok(document.into())
}

fn module(noise: &mut Unstructured<'_>) -> Result<Value> {
    let module = *noise.choose(&MODULES)?;
    let mut entry = Map::new();
    if !noise.ratio(1, 8)? {
        let mut data = String::new();
        base64(module.as_bytes(), &mut data);
        entry.insert("data".to_owned(), data.into());
    }
    for key in MODULE_KEYS {
        if noise.ratio(1, 4)? {
            let value = match key {
                "hash" => sha256(module).into(),
                "url" => {
                    (*noise.choose(&["", "http://", "http://127.0.0.1:9/a.wasm", "file:///a.wasm", "a.wasm"])?).into()
                }
                "headers" | "header" => strings(noise)?,
                _ => text(noise)?,
            };
            entry.insert(key.to_owned(), or_odd(noise, |_| Ok(value.clone()))?);
        }
    }
    Ok(entry.into())
}

/// A value of the right type for a key of the top level.
fn value_of(key: &str, noise: &mut Unstructured<'_>) -> Result<Value> {
    match key {
        "memory" => {
            let mut memory = Map::new();
            for key in MEMORY_KEYS {
                if noise.ratio(1, 3)? {
                    memory.insert(key.to_owned(), or_odd(noise, number)?);
                }
            }
            Ok(memory.into())
        }
        "config" | "allowed_paths" => strings(noise),
        "allowed_hosts" => list(noise, |noise| or_odd(noise, text)),
        "compiler" | "after_trap" => text(noise),
        "strict" => Ok(noise.arbitrary::<bool>()?.into()),
        _ => number(noise),
    }
}

/// Mostly a value from `right`, sometimes any value.
fn or_odd(noise: &mut Unstructured<'_>, right: impl Fn(&mut Unstructured<'_>) -> Result<Value>) -> Result<Value> {
    if noise.ratio(1, 12)? { odd(noise, 3) } else { right(noise) }
}

fn odd(noise: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    match noise.int_in_range(0..=if depth == 0 { 3 } else { 5 })? {
        0 => Ok(Value::Null),
        1 => Ok(noise.arbitrary::<bool>()?.into()),
        2 => number(noise),
        3 => text(noise),
        4 => list(noise, |noise| odd(noise, depth - 1)),
        _ => {
            Ok(json!({(*noise.choose(&TEXTS)?): odd(noise, depth - 1)?, "ptr": number(noise)?, "len": number(noise)?}))
        }
    }
}

fn number(noise: &mut Unstructured<'_>) -> Result<Value> {
    const EDGES: [u64; 8] = [0, 1, 4, 65_536, 65_537, u32::MAX as u64, i64::MAX as u64, u64::MAX];
    match noise.int_in_range(0..=3)? {
        0 | 1 => Ok((*noise.choose(&EDGES)?).into()),
        2 => Ok(noise.arbitrary::<i16>()?.into()),
        _ => Ok(noise.arbitrary::<f64>()?.into()),
    }
}

fn text(noise: &mut Unstructured<'_>) -> Result<Value> {
    if noise.ratio(1, 8)? { Ok(noise.arbitrary::<String>()?.into()) } else { Ok((*noise.choose(&TEXTS)?).into()) }
}

/// A map, or a list of lists of texts, which may be the pairs that are accepted as a map.
fn strings(noise: &mut Unstructured<'_>) -> Result<Value> {
    if noise.arbitrary()? {
        return list(noise, |noise| list(noise, text));
    }
    let mut map = Map::new();
    while map.len() < 4 && noise.arbitrary()? {
        map.insert(noise.arbitrary::<String>()?, or_odd(noise, text)?);
    }
    Ok(map.into())
}

fn list(noise: &mut Unstructured<'_>, one: impl Fn(&mut Unstructured<'_>) -> Result<Value>) -> Result<Value> {
    let mut list = Vec::new();
    while list.len() < 5 && noise.ratio(2, 3)? {
        list.push(one(noise)?);
    }
    Ok(list.into())
}

/// The manifest in TOML, without values that TOML cannot express.
fn toml_document(manifest: &Value) -> String {
    let lines = manifest.as_object().into_iter().flatten();
    lines.filter_map(|(key, value)| Some(format!("{key} = {}\n", toml(value)?))).collect()
}

fn toml(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(list) => Some(format!("[{}]", list.iter().filter_map(toml).collect::<Vec<_>>().join(", "))),
        Value::Object(map) => {
            let pairs = map.iter().filter_map(|(key, value)| Some(format!("{} = {}", json!(key), toml(value)?)));
            Some(format!("{{{}}}", pairs.collect::<Vec<_>>().join(", ")))
        }
        // Written as in JSON.
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.to_string()),
    }
}
