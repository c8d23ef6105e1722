//! Modules are validated before the rewrite: they can neither name its additions nor become valid through it.

use super::usable;
use crate::host::{Context, manifest};

/// An import whose calls the rewrite inlines, which adds locals.
const LOAD: &str = r#"(import "env" "extism_load_u8" (func $load (param i64) (result i32)))"#;
/// An import that the module has a reference to, for which the rewrite adds an element segment.
const LENGTH: &str =
    r#"(import "env" "extism_input_length" (func $length (result i64))) (export "length" (func $length))"#;

fn binary(bytes: &[u8]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0", bytes].concat()
}

#[test]
fn invalid_modules_are_refused() {
    let text = |text: &str| format!("(module {text})").into_bytes();
    let cases = [
        (text("(func (result i64) (i64.const 1)) (start 0)"), "invalid start function type"),
        (text(r#"(import "a" "f" (func (param i32))) (start 0)"#), "invalid start function type"),
        (text("(func (drop (ref.func 0)))"), "undeclared function reference"),
        (text("(func $f) (start $f) (func (drop (ref.func $f)))"), "undeclared function reference"),
        (binary(&[0x0e, 0x01, 0x00]), "malformed section id: 14"),
        (binary(&[0x7f, 0x00]), "malformed section id: 127"),
        (
            text(&format!("{LOAD} (func (result i64) (drop (call $load (i64.const 77))) (local.get 0))")),
            "unknown local 0",
        ),
        (text(&format!("{LOAD} (func (drop (global.get 0)))")), "unknown global"),
        (
            text(&format!("{LOAD} (func (drop (call $load (i64.const 7)) (i32.load (i32.const 0))))")),
            "unknown memory 0",
        ),
        (text(&format!("{LENGTH} (func (elem.drop 0))")), "unknown elem segment 0"),
        (
            text(&format!(
                "{LENGTH} (table 1 funcref) (func (table.init 0 (i32.const 0) (i32.const 0) (i32.const 1)))"
            )),
            "unknown elem segment 0",
        ),
        (text(&format!("{LENGTH} (func (drop (call 2)))")), "unknown function 2"),
        (text("(func (result i32))"), "type mismatch"),
        (text("(memory 1) (data (memory 1) (i32.const 0) \"x\")"), "unknown memory 1"),
    ];
    for compiler in usable() {
        for rest in ["", r#", "fuel": 1000"#] {
            for (module, reason) in &cases {
                let manifest = manifest(module, &format!(r#""compiler": "{}"{rest}"#, compiler.name()));
                let error = Context::new().refusal(manifest);
                assert!(error.starts_with("module `main`: "), "{compiler:?}: {error}");
                assert!(error.contains("invalid WebAssembly: ") && error.contains(reason), "{compiler:?}: {error}");
            }
        }
    }
}

/// A module from a file is called what the file is called, not what it is linked as.
#[test]
fn files_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for compiler in usable() {
        for (module, reason) in [
            ("(module (func (result i32)))", "invalid WebAssembly: type mismatch".to_owned()),
            ("(module (memory i64 1))", format!("it uses what plugins cannot with the compiler {}", compiler.name())),
        ] {
            let path = folder.path().join("plugin.wat");
            std::fs::write(&path, module).expect("writable");
            let error = Context::new()
                .refusal(serde_json::json!({"wasm": [{"path": path}], "compiler": compiler.name()}).to_string());
            assert!(error.starts_with(&format!("`{}`: {reason}", path.display())), "{compiler:?}: {error}");
        }
    }
}

/// A valid module stays valid.
#[test]
fn what_looks_like_it_is_taken() {
    for module in [
        "(func $f) (start $f) (elem declare func $f) (func (export \"run\") (drop (ref.func $f)))",
        r#"(import "env" "extism_input_length" (func $f (result i64))) (export "f" (func $f))
           (func (export "run") (drop (ref.func $f)))"#,
        "(global funcref (ref.func $f)) (func $f) (func (export \"run\") (drop (ref.func $f)))",
    ] {
        let context = Context::new();
        assert_eq!(context.plugin(format!("(module {module})")).call("run", "").code, 0, "{module}");
    }
}
