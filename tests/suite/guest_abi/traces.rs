//! A plugin finds nothing of an earlier call in the memory it shares with the host, wherever that call wrote.

use super::{Abi, BOTH, module};
use crate::host::{Context, Plugin, fixture, manifest};

/// `scan` loads word after word, skipping the input, until one is not zero or the memory ends, which in 0.x is a trap.
/// `report` answers which word that was, or -1, and how far the scan came.
///
/// The other functions leave bytes behind.
const BODY: &str = r#"
    (global $at (mut i64) (i64.const 0))
    (global $found (mut i64) (i64.const -1))
    (func (export "scan")
      (global.set $at (i64.const 0))
      (global.set $found (i64.const -1))
      (loop $next
        (if (i32.and
              (i64.ne (call $load_u64 (global.get $at)) (i64.const 0))
              (i64.ge_u (i64.sub (global.get $at) (call $input_offset)) (call $input_length)))
          (then (global.set $found (global.get $at)) (return)))
        (global.set $at (i64.add (global.get $at) (i64.const 8)))
        (br_if $next (i64.lt_u (global.get $at) $END))))
    (func (export "report") (local $block i64)
      (local.set $block (call $alloc (i64.const 16)))
      (call $store_u64 (local.get $block) (global.get $found))
      (call $store_u64 (i64.add (local.get $block) (i64.const 8)) (global.get $at))
      (call $output_set (local.get $block) (i64.const 16)))

    (func $fill (param $at i64) (param $end i64)
      (loop $next
        (call $store_u64 (local.get $at) (i64.const 0x5a5a5a5a5a5a5a5a))
        (local.set $at (i64.add (local.get $at) (i64.const 8)))
        (br_if $next (i64.lt_u (local.get $at) (local.get $end)))))
    (func $block (param $length i64) (result i64) (local $block i64)
      (local.set $block (call $alloc (local.get $length)))
      (call $fill (local.get $block) (i64.add (local.get $block) (local.get $length)))
      (local.get $block))
    (func (export "nothing"))
    (func (export "blocks") (local $i i32)
      (loop $next
        (drop (call $block (i64.const 1000)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 300)))))
    (func (export "freed_blocks") (local $i i32)
      (loop $next
        (call $free (call $block (i64.const 1000)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 300)))))
    (func (export "one_large_block") (drop (call $block (i64.const 0x600000))))
    (func (export "end_of_large_block") (local $end i64)
      (local.set $end (i64.add (call $alloc (i64.const 0x600000)) (i64.const 0x600000)))
      (call $store_u8 (i64.sub (local.get $end) (i64.const 1)) (i32.const 0x5a)))
    (func (export "first_byte") (call $store_u8 (i64.const 0) (i32.const 0x5a)))
    (func (export "last_byte") (call $store_u8 (i64.sub (global.get $at) (i64.const 1)) (i32.const 0x5a)))
    (func (export "last_word") (call $store_u64 (i64.sub (global.get $at) (i64.const 8)) (i64.const -1)))
    (func (export "everywhere") (call $fill (i64.const 0) (global.get $at)))
    (func (export "everywhere_and_on") (call $fill (i64.const 0) (i64.const 0x8000000)))
    (func (export "everywhere_then_trap") (call $fill (i64.const 0) (global.get $at)) unreachable)
    (func (export "output")
      (call $output_set (call $block (i64.const 5000)) (i64.const 5000))
      (call $error_set (call $block (i64.const 500))))
    (func (export "output_at_the_end")
      (call $fill (i64.sub (global.get $at) (i64.const 16)) (global.get $at))
      (call $output_set (i64.sub (global.get $at) (i64.const 16)) (i64.const 16)))
    (func (export "vars") (local $key i64)
      (local.set $key (call $block (i64.const 8)))
      (call $var_set (local.get $key) (call $block (i64.const 9000)))
      (drop (call $var_get (call $block (i64.const 8)))))
"#;

/// Functions that leave bytes behind, and the length of their input, whose bytes stay behind too.
const SPOILERS: &[(&str, usize)] = &[
    ("nothing", 1),
    ("nothing", 64),
    ("nothing", 65_536),
    ("nothing", 5 << 20),
    ("blocks", 0),
    ("blocks", 100_000),
    ("freed_blocks", 0),
    ("one_large_block", 0),
    ("end_of_large_block", 0),
    ("first_byte", 0),
    ("last_byte", 0),
    ("last_word", 8),
    ("everywhere", 0),
    ("everywhere", 3),
    ("everywhere_then_trap", 0),
    ("output", 0),
    ("output_at_the_end", 0),
    ("vars", 0),
    ("no such function", 5000),
];

/// A manifest that keeps the instance even after a trap: a new one would have no traces.
fn plugin_text(abi: Abi) -> String {
    // 0.x cannot ask for the end: the scan traps there, long before this address.
    let end = if abi == Abi::V0 { "(i64.const 0x8000000)" } else { "(call $memory_bytes)" };
    manifest(module(abi, &BODY.replace("$END", end)), r#""after_trap": "keep""#)
}

/// Scans the whole memory in a call with `input`.
fn assert_clean(plugin: &Plugin<'_>, abi: Abi, input: &[u8], after: &str) {
    let scan = plugin.call("scan", input);
    let report = super::numbers(plugin, "report", &[]);
    assert_eq!(report[0], u64::MAX, "{abi:?}: the word at {} is left after {after}", report[0]);
    assert!(
        report[1] >= 1 << 16 && report[1].is_multiple_of(1 << 16),
        "{abi:?}: scanned to {} after {after}",
        report[1]
    );
    match abi {
        Abi::V0 => assert!(scan.error().contains("out of bounds memory access"), "{after}: {scan:?}"),
        Abi::V1 => assert_eq!((scan.code, scan.error()), (0, ""), "{after}"),
    }
}

#[test]
fn nothing_of_an_earlier_call_is_left() {
    for abi in BOTH {
        for (function, length) in SPOILERS {
            let context = Context::new();
            let plugin = context.plugin(plugin_text(abi));
            assert_clean(&plugin, abi, &[], "creation");
            for next_input in [&[][..], &[0xff; 24], &[0xff; 4096]] {
                plugin.call_only(function, &vec![0x5a; *length]);
                assert_clean(&plugin, abi, next_input, function);
            }
        }
    }
}

/// A call that writes past the end of the memory until it traps.
#[test]
fn nothing_is_left_of_a_call_that_wrote_over_the_end() {
    let context = Context::new();
    let plugin = context.plugin(plugin_text(Abi::V0));
    let answer = plugin.call("everywhere_and_on", []);
    assert!(answer.error().contains("out of bounds memory access"), "{answer:?}");
    assert_clean(&plugin, Abi::V0, &[], "everywhere_and_on");
}

#[test]
fn a_new_plugin_finds_nothing_of_others() {
    for abi in BOTH {
        let context = Context::new();
        for _ in 0..3 {
            let plugin = context.plugin(plugin_text(abi));
            assert_clean(&plugin, abi, &[], "creation");
            plugin.call_only("everywhere", &[0x5a; 100_000]);
            plugin.free();
        }
        let plugin = context.plugin(plugin_text(abi));
        plugin.call_only("everywhere", &[0x5a; 100_000]);
        assert!(plugin.update(plugin_text(abi), false));
        assert_clean(&plugin, abi, &[], "update");
    }
}

/// An address that a plugin keeps from an earlier call leads to zeros in the next one.
#[test]
fn a_kept_block_is_empty_in_the_next_call() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(manifest(fixture(&format!("kitchen.{}", abi.suffix())), ""));
        for secret in ["secret", &"a long secret ".repeat(20_000)] {
            plugin.answer("keep_block", secret);
            for _ in 0..2 {
                let seen = plugin.call("last_block", []);
                assert_eq!((seen.code, seen.error()), (0, ""), "{abi:?}");
                assert_eq!(seen.output, vec![0; secret.len()], "{abi:?}");
            }
        }
    }
}
