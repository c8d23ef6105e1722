//! Arguments of the C functions: inputs of plugins, names, types, configurations, logs and compilers.

use std::ffi::CStr;

/// An import of a module, by namespace and name.
pub type Import = (&'static str, &'static str);

/// The import of the modules that call the host.
const F: Option<Import> = Some(("extism:host/user", "f"));

/// The stage that an input reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It becomes a plugin, if its import is served.
    Good,
    /// It compiles, and its start function traps.
    Traps,
    /// It does not compile.
    Bad,
}

/// The input of a plugin.
pub struct Document {
    /// The bytes that C passes; `None` is NULL with a length.
    pub bytes: Option<String>,
    /// The stage that it reaches.
    pub fate: Fate,
    /// The host function that it calls, an `i64` to an `i64`.
    pub import: Option<Import>,
    /// It imports WASI.
    pub needs_wasi: bool,
    /// Its start function calls the host function.
    pub calls_at_start: bool,
    /// Whatever it does may be stopped, and an endless call always is.
    pub has_limit: bool,
}

/// The functions of all modules that are no nonsense: `f` is the host function, which gets the input's block.
fn kit(import: Import, call: &str, more: &str) -> String {
    let (namespace, name) = import;
    format!(
        r#"(module
        (import "{namespace}" "{name}" (func $f (param i64) (result i64)))
        (import "extism:host/env" "input_offset" (func $input (result i64)))
        (import "extism:host/env" "input_length" (func $size (result i64)))
        (import "extism:host/env" "length" (func $length (param i64) (result i64)))
        (import "extism:host/env" "output_set" (func $output (param i64 i64)))
        (import "extism:host/env" "error_set" (func $error (param i64)))
        (memory (export "memory") 1)
        (func $host (param i64) (result i64) {call})
        (func $put (param i64) (call $output (local.get 0) (call $length (local.get 0))))
        (func (export "echo") (call $output (call $input) (call $size)))
        (func (export "host") (result i32) (call $put (call $host (call $input))) (i32.const 0))
        (func (export "twice") (call $put (call $host (call $host (call $input)))))
        (func (export "error") (result i32) (call $error (call $input)) (i32.const 3))
        (func (export "trap") (drop (call $host (call $input))) unreachable)
        (func (export "takes") (param i32))
        (func (export "wide") (result i64) (i64.const 1))
        (func (export "loop") (loop (br 0)))
        {more})"#
    )
}

/// As if it were the host's: a module without host functions.
fn lonely() -> String {
    kit(("extism:host/user", "f"), "(local.get 0)", "").replacen(
        r#"(import "extism:host/user" "f" (func $f (param i64) (result i64)))"#,
        "",
        1,
    )
}

/// A manifest of a module's text.
fn manifest(module: &str, more: &str) -> String {
    format!(r#"{{"wasm": [{{"data": "{}"}}]{more}}}"#, base64(module))
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // White space fills up the last three bytes, which is none of the text's meaning.
    let text = format!("{text:width$}", width = text.len().next_multiple_of(3));
    let digits = text.as_bytes().chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    });
    digits.collect()
}

/// The inputs of plugins.
pub fn documents() -> Vec<Document> {
    const DIRECT: &str = "(call $f (local.get 0))";
    const INDIRECT: &str = "(call_indirect (param i64) (result i64) (local.get 0) (i32.const 0))";
    const TABLE: &str = "(table funcref (elem $f))";
    const START: &str = "(func $start (drop (call $f (i64.const 77)))) (start $start)";
    const TRAPS: &str = "(func $start (drop (call $f (i64.const 77))) unreachable) (start $start)";
    let user = ("extism:host/user", "f");
    let good = |bytes: String| Document {
        bytes: Some(bytes),
        fate: Fate::Good,
        import: F,
        needs_wasi: false,
        calls_at_start: false,
        has_limit: false,
    };
    let direct = || kit(user, DIRECT, "");
    let bad = |text: &str| Document { fate: Fate::Bad, import: None, ..good(text.to_owned()) };
    let wasi = r#"(func (export "exit") (call $exit (i32.const 3)))"#;
    let wasi = kit(user, DIRECT, wasi).replacen(
        "(module",
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#,
        1,
    );
    vec![
        good(direct()),
        good(kit(user, INDIRECT, TABLE)),
        Document { calls_at_start: true, ..good(kit(user, DIRECT, START)) },
        Document { import: None, ..good(lonely()) },
        Document { import: Some(("other", "f")), ..good(kit(("other", "f"), DIRECT, "")) },
        good(manifest(&direct(), r#", "config": {"key": "value"}"#)),
        Document { has_limit: true, ..good(manifest(&direct(), r#", "timeout_ms": 20"#)) },
        Document { has_limit: true, ..good(manifest(&direct(), r#", "fuel": 5000"#)) },
        Document { needs_wasi: true, ..good(wasi) },
        Document { fate: Fate::Traps, calls_at_start: true, ..good(kit(user, DIRECT, TRAPS)) },
        Document { bytes: None, ..bad("") },
        bad(""),
        bad("\0asm"),
        bad(r#"{"wasm": 5}"#),
        bad("(module (func (result i32)))"),
    ]
}

/// Names of functions of plugins, of other exports, of nothing, and invalid ones. `None` is NULL.
pub const NAMES: [Option<&CStr>; 20] = [
    Some(c"host"),
    Some(c"host"),
    Some(c"host"),
    Some(c"host"),
    Some(c"host"),
    Some(c"twice"),
    Some(c"twice"),
    Some(c"trap"),
    Some(c"echo"),
    Some(c"echo"),
    Some(c"error"),
    Some(c"takes"),
    Some(c"wide"),
    Some(c"loop"),
    Some(c"exit"),
    Some(c"absent"),
    Some(c""),
    Some(c"memory"),
    Some(c"\xff"),
    None,
];

/// The names of functions that every good module exports and that can be called.
pub const CALLABLE: [&CStr; 6] = [c"host", c"twice", c"trap", c"echo", c"error", c"loop"];

/// Names of host functions; `None` is NULL.
pub const FUNCTION_NAMES: [Option<&CStr>; 8] =
    [Some(c"f"), Some(c"f"), Some(c"f"), Some(c"f"), Some(c"f"), Some(c"g"), Some(c"\xff"), None];

/// Namespaces; `None` is NULL.
pub const NAMESPACES: [Option<&CStr>; 5] =
    [Some(c"extism:host/user"), Some(c"other"), Some(c"other"), Some(c"\xff"), None];

/// Types of parameters and of results, whether plugins can be made with them, and whether they are those of the import.
pub const TYPES: [(&[u32], &[u32], bool, bool); 10] = [
    (&[1], &[1], true, true),
    (&[1], &[1], true, true),
    (&[1], &[1], true, true),
    (&[1], &[1], true, true),
    (&[1], &[1], true, true),
    (&[0], &[1], true, false),
    (&[], &[], true, false),
    (&[4], &[1], false, false),
    (&[1], &[6], false, false),
    (&[1, u32::MAX], &[], false, false),
];

/// Configurations, and whether they are.
pub const CONFIGS: [(&str, bool); 6] = [
    ("{}", true),
    (r#"{"key": "other", "none": null}"#, true),
    ("\u{feff}[]", true),
    ("", false),
    (r#"{"key": 1}"#, false),
    ("\0", false),
];

/// Levels of the log, and whether they are.
pub const LEVELS: [(Option<&CStr>, bool); 7] = [
    (Some(c"off"), true),
    (Some(c"TRACE"), true),
    (Some(c"extism=debug,cranelift=trace"), true),
    (None, true),
    (Some(c"loud"), false),
    (Some(c"\xff"), false),
    (Some(c""), true),
];

/// Files of the log, and whether they can be written.
pub const FILES: [(&CStr, bool); 3] = [(c"/dev/null", true), (c"/dev/null/file", false), (c"\xff", false)];

/// Names of compilers, and of none.
pub const COMPILERS: [Option<&CStr>; 6] =
    [None, Some(c"cranelift"), Some(c"llvm"), Some(c"singlepass"), Some(c"gcc"), Some(c"\xff")];

/// The item at `index`, modulo their count.
pub fn of<T>(list: &[T], index: u8) -> &T {
    &list[usize::from(index) % list.len()]
}
