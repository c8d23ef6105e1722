use super::tests::{COUNTED, USUAL};
use super::{Error, rewrite};
use crate::module::reserved::START_EXPORT;

#[test]
fn what_is_added_is_not_for_the_plugin() {
    // In binary, as text cannot name what does not exist: the module has two functions, no memory and no global.
    let body = |instructions: &[u8]| {
        let mut module = wat::parse_str(
            r#"(module (import "env" "extism_input_length" (func $f (result i64))) (table funcref (elem $f))
                (func (export "run") (nop) (nop) (nop) (nop) (nop) (nop)))"#,
        )
        .expect("WAT");
        let at = module.windows(6).position(|bytes| bytes == [1; 6]).expect("the body");
        module[at..at + instructions.len()].copy_from_slice(instructions);
        rewrite("main", &module, USUAL)
    };
    body(&[0x10, 0, 0x1a]).expect("call of the import, drop");
    for (instructions, what) in [
        (&[0x10, 2][..], "function 2"),
        (&[0xd2, 2, 0x1a], "function 2"),
        (&[0x23, 0, 0x1a], "global"),
        (&[0x23, 3, 0x1a], "global"),
        (&[0x42, 0, 0x24, 5], "global"),
        (&[0x41, 0, 0x28, 0, 0, 0x1a], "memory 0"),
        (&[0x41, 0, 0x28, 0x40, 1, 0], "memory 1"),
        (&[0x3f, 0, 0x1a], "memory 0"),
        (&[0x41, 0, 0x40, 0, 0x1a], "memory 0"),
        (&[0xfc, 10, 0, 0], "memory 0"),
        (&[0xfc, 11, 0], "memory 0"),
        (&[0x23, 0x80, 0], "global"),
        (&[0x12, 2], "function 2"),
        (&[0xfd, 0, 0, 0], "memory 0"),
        (&[0x20, 0, 0x1a], "local 0"),
        (&[0xfc, 13, 1], "elem segment 1"),
    ] {
        let error = body(instructions).expect_err(what).to_string();
        assert!(error.starts_with(&format!("invalid WebAssembly: unknown {what}")), "{instructions:?}: {error}");
    }
}

#[test]
fn neither_exports_nor_data_reach_what_is_added() {
    let import = r#"(import "env" "extism_input_length" (func $f (result i64)))"#;
    let error = |wat: &str, from: &[u8], to: &[u8]| {
        let mut module = wat::parse_str(wat.replace("$I", import)).expect("WAT");
        let at = module.windows(from.len()).position(|bytes| bytes == from).expect("it is there");
        module[at..at + to.len()].copy_from_slice(to);
        rewrite("main", &module, USUAL).expect_err("beyond").to_string()
    };
    let global = "(module $I (global (mut i32) (i32.const 0)) (export \"gg\" (global 0)))";
    let memory = "(module $I (memory 1) (export \"mm\" (memory 0)))";
    let data = "(module $I (memory 1) (memory 1) (data (memory 1) (i32.const 7) \"dd\"))";
    for (wat, from, to, what) in [
        (global, &b"\x02gg\x03\x00"[..], &b"\x02gg\x03\x01"[..], "global"),
        (memory, b"\x02mm\x02\x00", b"\x02mm\x02\x01", "memory 1"),
        (data, b"\x02\x01\x41\x07", b"\x02\x02\x41\x07", "memory 2"),
    ] {
        let error = error(wat, from, to);
        assert!(error.starts_with(&format!("invalid WebAssembly: unknown {what}")), "{error}");
    }
}

#[test]
fn what_cannot_be_taken_apart_is_an_error() {
    assert!(matches!(rewrite("main", b"\0asm", USUAL), Err(Error::Malformed(_))));
    assert!(matches!(rewrite("main", b"\0asm\x0d\0\x01\0", USUAL), Err(Error::Component)));
    let reserved = wat::parse_str(format!("(module (func (export \"{START_EXPORT}\")))")).expect("WAT");
    assert!(matches!(rewrite("main", &reserved, USUAL), Err(Error::ReservedExport(_))));
    let reserved = wat::parse_str(r#"(module (import "extism-wasmer" "fuel" (global (mut i64))))"#).expect("WAT");
    for options in [USUAL, COUNTED] {
        assert!(matches!(rewrite("main", &reserved, options), Err(Error::ReservedImport(_, _))));
    }
}
