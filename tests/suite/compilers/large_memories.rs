//! Memories of nearly 4 GiB, mostly untouched. In one of a full 4 GiB, Wasmer's functions do not reach the last byte.

use super::{headless, usable};
use crate::host::{Context, manifest};

/// Functions that use the last bytes of a memory of 65,535 pages.
const MODULE: &str = r#"(module (memory $MEMORY) (data $d "\07\08")
    (global $end i32 (i32.const 0xffff0000))
    (func (export "fill") (result i32)
        (memory.fill (i32.sub (global.get $end) (i32.const 4)) (i32.const 9) (i32.const 4))
        (i32.load8_u (i32.sub (global.get $end) (i32.const 1))))
    (func (export "copy") (result i32)
        (i32.store8 (i32.const 0) (i32.const 5))
        (memory.copy (i32.sub (global.get $end) (i32.const 1)) (i32.const 0) (i32.const 1))
        (memory.copy (i32.const 8) (i32.sub (global.get $end) (i32.const 1)) (i32.const 1))
        (i32.load8_u (i32.const 8)))
    (func (export "init") (result i32)
        (memory.init $d (i32.sub (global.get $end) (i32.const 2)) (i32.const 0) (i32.const 2))
        (i32.load8_u (i32.sub (global.get $end) (i32.const 1))))
    (func (export "beyond_fill") (memory.fill (i32.sub (global.get $end) (i32.const 4)) (i32.const 9) (i32.const 5)))
    (func (export "beyond_load") (drop (i32.load8_u (global.get $end))))
    (func (export "grow_all") (result i32) (memory.grow (i32.const 65534)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "size") (result i32) (memory.size)))"#;

#[test]
fn a_memory_can_be_used_to_its_end() {
    for compiler in usable() {
        for (memory, first) in [("65535", "size"), ("65535 65536", "size"), ("1", "grow_all"), ("1 65536", "grow_all")]
        {
            let context = Context::new();
            let module = MODULE.replace("$MEMORY", memory);
            // `keep` leaves the memory as it is after a trap.
            let rest = format!(r#""compiler": "{}", "after_trap": "keep""#, compiler.name());
            let plugin = context.plugin(manifest(module, &rest));
            let calls = [first, "fill", "copy", "init", "beyond_fill", "beyond_load", "grow", "size"];
            let codes = calls.map(|function| plugin.call(function, "").code);
            let before = if first == "size" { 65_535 } else { 1 };
            assert_eq!(codes, [before, 9, 5, 8, -1, -1, -1, 65_535], "{compiler:?}: {memory}");
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    for (module, reason) in [
        ("(memory 65536)", "a memory has at most 65535 pages"),
        ("(memory 65536 65536)", "a memory has at most 65535 pages"),
    ] {
        let error = Context::new().refusal(format!("(module {module})"));
        assert!(error.contains(reason), "{module}: {error}");
    }
}

/// Wasmer reads the offset of a data segment as a signed number.
#[test]
fn data_stands_where_it_says() {
    let module = |offset: &str| {
        format!(
            r#"(module (memory 32769) (data (i32.const {offset}) "\2a")
                (func (export "run") (result i32) (i32.load8_u (i32.const {offset}))))"#
        )
    };
    let context = Context::new();
    assert_eq!(context.plugin(module("0x7fffffff")).call("run", "").code, 42);
    if !headless() {
        let error = context.refusal(module("0x80000000"));
        assert!(error.contains("data segment 0 begins at 2147483648"), "{error}");
    }
}
