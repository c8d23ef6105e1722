//! Arguments of the C functions: inputs of plugins, names of functions, configurations, logs and compilers.

use std::ffi::CStr;
use std::sync::LazyLock;

use extism_testkit::host::manifest;

/// A plugin with one function for each kind of behaviour.
pub const KIT: &str = r#"(module
    (import "extism:host/env" "input_offset" (func $offset (result i64)))
    (import "extism:host/env" "input_length" (func $length (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "error_set" (func $error (param i64)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "memory_bytes" (func $end (result i64)))
    (memory (export "memory") 1)
    (func $echo (export "echo") (call $output (call $offset) (call $length)))
    (func (export "_start") (call $echo))
    (func (export "error") (result i32) (call $error (call $offset)) (i32.const 3))
    (func (export "trap") (call $echo) unreachable)
    (func $deep (export "deep") (call $deep))
    (func (export "large") (call $output (call $alloc (i64.const 300000)) (i64.const 300000)))
    (func (export "end") (call $output (i64.sub (call $end) (i64.const 9)) (i64.const 9)))
    (func (export "takes") (param i32))
    (func (export "loop") (loop $again (br $again)))
    (func (export "fill") (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 4096)) (br $again))))"#;

/// A module that ends itself, or yields for ever.
const WASI: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (memory (export "memory") 1)
    (func (export "echo") (call $exit (i32.const 3)))
    (func (export "fill") (loop $again (drop (call $yield)) (br $again))))"#;

/// The input of a plugin.
pub struct Document {
    /// The bytes that C passes.
    pub bytes: Vec<u8>,
    /// It becomes a plugin, unless that takes too long.
    pub is_good: bool,
    /// Its main module is the kit.
    pub is_kit: bool,
    /// A call may be stopped, and an endless one always is.
    pub has_limit: bool,
}

/// The inputs of plugins: the kit in several forms, and others.
pub static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let kit = |bytes: &str, has_limit| Document { bytes: bytes.into(), is_good: true, is_kit: true, has_limit };
    let bad = |bytes: &[u8]| Document { bytes: bytes.into(), is_good: false, is_kit: false, has_limit: true };
    let linked = manifest(KIT, r#""timeout_ms": 5"#).replacen("[{", r#"[{"name": "a", "data": "AGFzbQEAAAA="}, {"#, 1);
    vec![
        kit(KIT, false),
        kit(&manifest(KIT, r#""timeout_ms": 5"#), true),
        kit(&manifest(KIT, r#""fuel": 10000"#), true),
        kit(&manifest(KIT, r#""memory": {"max_pages": 40}, "config": {"key": "value"}"#), false),
        kit(&linked, true),
        bad(manifest(WASI, r#""timeout_ms": 5"#).as_bytes()),
        bad(manifest("(module (func $f (loop $again (br $again))) (start $f))", r#""timeout_ms": 5"#).as_bytes()),
        bad(b"(module (func $f unreachable) (start $f))"),
        bad(br#"(module (import "env" "absent" (func)))"#),
        bad(b"\0asm\xff"),
        bad(b"\xff"),
        bad(b""),
    ]
});

/// Names of functions of the kit, of other exports, of nothing, and invalid names.
pub const NAMES: [&CStr; 17] = [
    c"echo",
    c"echo",
    c"echo",
    c"_start",
    c"error",
    c"trap",
    c"deep",
    c"large",
    c"end",
    c"takes",
    c"loop",
    c"fill",
    c"absent",
    c"",
    c"memory",
    c"extism-wasmer:io",
    c"\xff",
];

/// Configurations, and whether they are.
pub const CONFIGS: [(&str, bool); 7] = [
    ("{}", true),
    (r#"{"key": "other", "none": null}"#, true),
    ("\u{feff}[]", true),
    ("", false),
    ("{", false),
    (r#"{"key": 1}"#, false),
    ("\0", false),
];

/// Where the log goes and what, and whether it can.
pub const LOGS: [(Option<&CStr>, Option<&CStr>, bool); 8] = [
    (None, Some(c"off"), true),
    (Some(c"/dev/null"), Some(c"TRACE"), true),
    (Some(c"/dev/null"), None, true),
    (Some(c"/dev/null/file"), Some(c"error"), false),
    (Some(c"\xff"), Some(c"error"), false),
    (Some(c"/dev/null"), Some(c"loud"), false),
    (Some(c"/dev/null"), Some(c"\xff"), false),
    (Some(c"$ENV{EXTISM_NOT_SET}/log"), None, false),
];

/// Names of compilers, and of none.
pub const COMPILERS: [Option<&CStr>; 6] =
    [None, Some(c"cranelift"), Some(c"llvm"), Some(c"singlepass"), Some(c"gcc"), Some(c"\xff")];

/// The item at `index`, modulo their count.
pub fn of<T>(list: &[T], index: usize) -> &T {
    &list[index % list.len()]
}
