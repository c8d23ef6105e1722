//! The library's own records about plugins that are made and called: failures at level error, all at level debug.

use super::{Line, LogFile};
use crate::child;
#[cfg(feature = "compiler")]
use crate::host::sha256;
use crate::host::{Context, manifest};

const MODULE: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store (param i64 i32)))
    (import "env" "extism_error_set" (func $error (param i64)))
    (memory 1)
    (func $fails (local $text i64)
        (local.set $text (call $alloc (i64.const 3)))
        (call $store (local.get $text) (i32.const 97))
        (call $store (i64.add (local.get $text) (i64.const 1)) (i32.const 10))
        (call $store (i64.add (local.get $text) (i64.const 2)) (i32.const 98))
        (call $error (local.get $text)))
    (func (export "fine"))
    (func (export "seven") (result i32) (i32.const 7))
    (func (export "complains") (result i32) (call $fails) (i32.const 3))
    (func (export "wide") (param i32))
    (func (export "trap") unreachable)
    (func (export "loop") (loop (br 0))))"#;

/// A function, and the starts of its records at level error, if any, and at level debug, before the time it took.
const CALLS: [(&str, &str, &str); 7] = [
    ("fine", "", "call of `fine` of plugin `main`: 0 in "),
    ("seven", "", "call of `seven` of plugin `main`: 7 in "),
    (
        "complains",
        "call of `complains` of plugin `main` failed: a",
        "call of `complains` of plugin `main` failed after ",
    ),
    (
        "trap",
        "call of `trap` of plugin `main` failed: wasm trap: unreachable",
        "call of `trap` of plugin `main` failed after ",
    ),
    ("loop", "call of `loop` of plugin `main` failed: timeout: ", "call of `loop` of plugin `main` failed after "),
    (
        "none\u{1b}",
        "call of `none\\u{1b}` of plugin `main` failed: Function not found: none\\u{1b}",
        "call of `none\\u{1b}` of plugin `main` failed after ",
    ),
    (
        "wide",
        "call of `wide` of plugin `main` failed: expected 1 arguments",
        "call of `wide` of plugin `main` failed after ",
    ),
];

fn is(line: &Line, level: &str, start: &str) {
    assert_eq!((line.target.as_str(), line.level.as_str()), ("extism", level), "{line:?}");
    assert!(line.message.starts_with(start), "{:?} is not {start:?}...", line.message);
    assert!(line.message.len() < 700, "{line:?}");
}

#[test]
fn calls() {
    child::alone("log::reports::calls", || {
        let context = Context::new();
        let plugin = context.plugin(manifest(MODULE, "\"timeout_ms\": 50"));
        for (function, error, debug) in CALLS {
            let log = LogFile::new("error");
            plugin.call_only(function, b"");
            let lines = log.lines();
            assert_eq!(lines.len(), usize::from(!error.is_empty()), "{function}: {lines:?}");
            lines.iter().for_each(|line| is(line, "ERROR", error));

            let log = LogFile::new("debug");
            plugin.call_only(function, b"");
            let lines = log.lines();
            assert_eq!(lines.len(), 1, "{function}: {lines:?}");
            is(&lines[0], if error.is_empty() { "DEBUG" } else { "ERROR" }, debug);
        }
        let log = LogFile::new("error");
        plugin.call_only(&"long".repeat(10_000), b"");
        let start = format!(
            "call of `{}... 39744 more bytes` of plugin `main` failed: Function not found: longlong",
            "long".repeat(64)
        );
        is(&log.lines()[0], "ERROR", &start);
    });
}

/// Traps in the second function of its backtrace, which the log leaves out.
const TRAPS: &str = "(module (func $f unreachable) (func $g (call $f)) (start $g))";

/// Manifests of which no plugin can be made, and the log's line for each, with the causes.
const REFUSED: [(&str, &str); 8] = [
    ("{}", "No wasm files specified"),
    ("[memory\nmax = 1", "TOML parse error at line 1, column 8; "),
    ("(module (import \"env\" \"nobody\" (func)))", "unknown import: `env::nobody` has not been defined"),
    (
        "(module (import \"env\" \"extism_alloc\" (func)))",
        "incompatible import type for `env::extism_alloc`: expected a function () -> (), found a function (i64) -> (i64)",
    ),
    ("{\"wasm\": []", "EOF while parsing an object at line 1 column 11"),
    (TRAPS, "module `main` failed at its start: wasm trap: unreachable"),
    ("(module (memory 1) (data (i32.const 65536) \"x\"))", "module `main` could not be instantiated: "),
    ("wasm = 3", "wasm: TOML parse error at line 1, column 8; invalid type: integer `3`, expected a sequence"),
];

/// Failures outside of calls.
#[test]
fn failures() {
    child::alone("log::reports::failures", || {
        let context = Context::new();
        for level in ["error", "debug"] {
            for (input, start) in REFUSED {
                let log = LogFile::new(level);
                context.refusal(input);
                let lines = log.lines();
                assert_eq!(lines.len(), 1, "{input}: {lines:?}");
                is(&lines[0], "ERROR", start);
                assert!(!lines[0].message.contains("backtrace"), "{lines:?}");
            }
        }
        #[cfg(feature = "compiler")]
        {
            let log = LogFile::new("error");
            context.refusal("(module (func (call $nobody)))");
            is(&log.lines()[0], "ERROR", "unknown func: failed to find name `$nobody`; --> <anon>:1:21");
        }
        let plugin = context.plugin(MODULE);
        let log = LogFile::new("error");
        assert!(!plugin.configure("[1]"));
        assert!(!plugin.update(format!("{{\"wasm\": [{{\"path\": \"{}\"}}]}}", "x/".repeat(100_000)), false));
        let lines = log.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, start) in lines.iter().zip(["plugin 0: config: ", ""]) {
            is(line, "ERROR", start);
        }
    });
}

#[cfg(feature = "compiler")]
#[test]
fn creations() {
    const TEST: &str = "log::reports::creations";
    const NOTHING: &str = "(module (func (export \"fine\")))";
    if let Some(expected) = child::case() {
        let context = Context::new();
        let module = manifest(NOTHING, "");
        for origin in [expected.as_str(), "which this process had"] {
            let log = LogFile::new("debug");
            context.plugin(&module);
            let lines = log.lines();
            let line = lines.last().expect("at least one");
            is(line, "DEBUG", "plugin made in ");
            let compiler = crate::host::Compiler::in_use();
            assert!(line.message.ends_with(&format!("): code of {compiler}, {origin}")), "{line:?}");
            let named = format!("of `main` (SHA-256 {}): ", sha256(NOTHING));
            assert!(line.message.contains(&named), "{line:?}");
        }
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let variables =
        [("EXTISM_CACHE_DIR", folder.path().as_os_str()), ("EXTISM_CACHE_MEMORY_BYTES", "100000000".as_ref())];
    child::run(TEST, "compiled", &variables);
    child::run(TEST, "from the cache", &variables);
}
