//! Plugins of 1.x that import the memory they share with the host, and load and store in it themselves.

use super::calls::entries;
use super::{Abi, bytes, module, numbers};
use crate::host::{Context, Plugin, manifest};

const BODY: &str = r#"
    (import "extism:host/env" "memory" (memory 1))
    (func $size (result i32) (i32.shl (memory.size) (i32.const 16)))
    (func (export "size") (call $answer (i64.extend_i32_u (call $size))))
    (func (export "echo") (local $at i32) (local $length i32)
      (local.set $length (i32.wrap_i64 (call $input_length)))
      (local.set $at (i32.wrap_i64 (call $alloc (call $input_length))))
      (memory.copy (local.get $at) (i32.wrap_i64 (call $input_offset)) (local.get $length))
      (call $output_set (i64.extend_i32_u (local.get $at)) (call $input_length)))
    (func (export "both_ways") (result i32) (local $block i64)
      (local.set $block (call $alloc (i64.const 16)))
      (call $store_u64 (local.get $block) (i64.const 0x1122334455667788))
      (i64.store offset=8 (i32.wrap_i64 (local.get $block)) (i64.const 0x99))
      (i32.or
        (i64.ne (i64.load (i32.wrap_i64 (local.get $block))) (i64.const 0x1122334455667788))
        (i32.ne (call $load_u8 (i64.add (local.get $block) (i64.const 8))) (i32.const 0x99))))

    (func $spoil (memory.fill (i32.const 0) (i32.const 0x5a) (call $size)))
    (func (export "spoil") (call $spoil))
    (func (export "spoil_last_byte") (i32.store8 (i32.sub (call $size) (i32.const 1)) (i32.const 0x5a)))
    (func (export "spoil_last_word") (i64.store (i32.sub (call $size) (i32.const 8)) (i64.const -1)))
    (func (export "spoil_by_copy")
      (i32.store8 (i32.const 8) (i32.const 0x5a))
      (memory.copy (i32.sub (call $size) (i32.const 1)) (i32.const 8) (i32.const 1)))
    (data $bytes "spoil")
    (func (export "spoil_by_init")
      (memory.init $bytes (i32.sub (call $size) (i32.const 5)) (i32.const 0) (i32.const 5)))
    (func (export "spoil_more") (drop (memory.grow (i32.const 3))) (call $spoil))
    (func (export "spoil_then_trap") (call $spoil) unreachable)
    (func (export "spoil_then_run_over_the_end") (call $spoil) (i32.store8 (call $size) (i32.const 1)))
    (func (export "spoil_then_output")
      (call $spoil)
      (call $output_set (i64.extend_i32_u (i32.sub (call $size) (i32.const 1))) (i64.const 1)))
    (func (export "spoil_then_reset") (result i32) (call $spoil) (call $reset) (i64.eqz (call $first_left)) (i32.eqz))

    (func $first_left (result i64) (local $at i32)
      (loop $next
        (if (i32.and
              (i64.ne (i64.load (local.get $at)) (i64.const 0))
              (i64.ge_u (i64.sub (i64.extend_i32_u (local.get $at)) (call $input_offset)) (call $input_length)))
          (then (return (i64.extend_i32_u (i32.add (local.get $at) (i32.const 1))))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (call $size))))
      (i64.const 0))
    (func (export "scan") (call $answer (call $first_left)))

    (func (export "grow") (call $answer (i64.extend_i32_s (memory.grow (i32.wrap_i64 (call $argument (i64.const 0)))))))
    (func (export "load") (drop (i32.load8_u (i32.wrap_i64 (call $argument (i64.const 0))))))
"#;

fn importer() -> Vec<u8> {
    module(Abi::V1, BODY)
}

/// Scans the memory with and without input. The answer is 0, or the address of a byte that is left, plus one.
fn assert_clean(plugin: &Plugin<'_>, after: &str) {
    assert_eq!(numbers(plugin, "scan", &[]), [0], "after {after}");
    assert_eq!(numbers(plugin, "scan", &[1, 2, 3]), [0], "after {after}, with input");
}

#[test]
fn input_and_output_lie_in_it() {
    let context = Context::new();
    let plugin = context.plugin(importer());
    for length in [0, 1, 7, 8, 9, 64, 100_000, 3 << 20, 9] {
        let input: Vec<u8> = (0..length).map(|n: u32| (n % 253) as u8).collect();
        let answer = plugin.call("echo", &input);
        assert_eq!((answer.code, answer.error.as_deref()), (0, None), "{length}");
        assert!(answer.output == input, "{length}");
    }
    plugin.answer("both_ways", []);
}

#[test]
fn it_is_as_large_as_the_host_says() {
    let context = Context::new();
    let plugin = context.plugin(importer());
    let size = numbers(&plugin, "size", &[])[0];
    assert!(size >= 1 << 16 && size.is_multiple_of(1 << 16), "{size}");
    assert_eq!(numbers(&plugin, "memory_bytes", &[]), [size]);
    assert_eq!(plugin.call_only("load", &bytes(&[size - 1])), 0);
    let outside = plugin.call("load", bytes(&[size]));
    assert!(outside.code == -1 && outside.error().contains("out of bounds memory access"), "{outside:?}");
    assert_eq!(numbers(&plugin, "grow", &[2]), [size >> 16]);
    assert_eq!(numbers(&plugin, "memory_bytes", &[]), numbers(&plugin, "size", &[]));
}

#[test]
fn nothing_of_an_earlier_call_is_left_in_it() {
    let context = Context::new();
    let plugin = context.plugin(importer());
    assert_clean(&plugin, "creation");
    for spoiler in [
        "spoil",
        "spoil_last_byte",
        "spoil_last_word",
        "spoil_by_copy",
        "spoil_by_init",
        "spoil_more",
        "spoil_then_trap",
        "spoil_then_run_over_the_end",
        "spoil_then_output",
    ] {
        plugin.call_only(spoiler, &[0x5a; 4096]);
        assert_clean(&plugin, spoiler);
    }
    plugin.answer("spoil_then_reset", "text");
}

#[test]
fn output_of_its_last_byte_is_handed_out() {
    let context = Context::new();
    let plugin = context.plugin(importer());
    assert_eq!(plugin.call_only("spoil_then_output", b""), 0);
    let read = plugin.output_and_next_byte();
    assert_eq!((read.len(), read[0]), (2, 0x5a));
}

#[test]
fn a_library_may_import_it_too() {
    let library = importer();
    let main = module(
        Abi::V1,
        r#"
        (import "library" "spoil" (func $library_spoil))
        (import "library" "echo" (func $library_echo))
        (func (export "spoil") (call $library_spoil))
        (func (export "echo") (call $library_echo))
        (func (export "scan") (local $at i64)
          (loop $next
            (if (i64.ne (call $load_u64 (local.get $at)) (i64.const 0)) (then (call $answer (i64.const 1)) (return)))
            (local.set $at (i64.add (local.get $at) (i64.const 8)))
            (br_if $next (i64.lt_u (local.get $at) (call $memory_bytes))))
          (call $answer (i64.const 0)))"#,
    );
    let context = Context::new();
    let plugin = context.plugin(entries(&[("main", main), ("library", library)], ""));
    for _ in 0..2 {
        assert_eq!(plugin.answer("echo", "through a library"), "through a library");
        plugin.answer("spoil", "text");
        assert_eq!(numbers(&plugin, "scan", &[]), [0]);
    }
}

#[test]
fn its_growth_is_limited_with_the_rest() {
    let context = Context::new();
    let limited =
        |pages: u64| context.create(manifest(importer(), &format!("\"memory\": {{\"max_pages\": {pages}}}")), false);
    let least = (1..64).find(|pages| limited(*pages).is_ok()).expect("some limit is enough");
    let refusal = limited(least - 1).err().expect("it is too little");
    assert!(refusal.contains("memory.max_pages"), "{refusal}");
    let plugin = limited(least + 3).expect("it is enough");
    let pages = numbers(&plugin, "size", &[])[0] >> 16;
    assert_eq!(numbers(&plugin, "grow", &[least + 4 - pages]), [u64::MAX]);
    assert_eq!(numbers(&plugin, "grow", &[least + 3 - pages]), [pages]);
    assert_eq!(numbers(&plugin, "grow", &[1]), [u64::MAX]);
    assert_eq!(plugin.answer("echo", "still"), "still");
}
