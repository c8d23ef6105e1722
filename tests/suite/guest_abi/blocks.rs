//! Blocks by the hundred thousand: distinct, intact, and their space used again.

use super::{BOTH, module, numbers};
use crate::host::{Context, fixture, manifest};

/// The number of blocks; the plugin keeps their handles in its own memory.
const COUNT: u64 = 100_000;

/// `fill` makes blocks of 16 bytes and numbers them, `wrong` counts the blocks that have changed, `free_up`,
/// `free_down` and `free_mixed` free all of them, each in another order.
const BODY: &str = r#"
    (memory 13)
    (global $highest (mut i64) (i64.const 0))
    (func $handle (param $i i64) (result i64) (i64.load (i32.wrap_i64 (i64.shl (local.get $i) (i64.const 3)))))
    (func $fill (param $count i64) (local $i i64) (local $block i64)
      (global.set $highest (i64.const 0))
      (loop $next
        (local.set $block (call $alloc (i64.const 16)))
        (if (i64.gt_u (local.get $block) (global.get $highest)) (then (global.set $highest (local.get $block))))
        (i64.store (i32.wrap_i64 (i64.shl (local.get $i) (i64.const 3))) (local.get $block))
        (call $store_u64 (local.get $block) (local.get $i))
        (call $store_u64 (i64.add (local.get $block) (i64.const 8)) (i64.xor (local.get $i) (i64.const -1)))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br_if $next (i64.lt_u (local.get $i) (local.get $count)))))
    (func $is_wrong (param $i i64) (result i64) (local $block i64)
      (local.set $block (call $handle (local.get $i)))
      (i64.extend_i32_u (i32.or
        (i32.or (i64.eqz (local.get $block)) (i64.ne (call $length (local.get $block)) (i64.const 16)))
        (i32.or
          (i64.ne (call $load_u64 (local.get $block)) (local.get $i))
          (i64.ne
            (call $load_u64 (i64.add (local.get $block) (i64.const 8)))
            (i64.xor (local.get $i) (i64.const -1)))))))
    (func $wrong (param $count i64) (result i64) (local $i i64) (local $wrong i64)
      (loop $next
        (local.set $wrong (i64.add (local.get $wrong) (call $is_wrong (local.get $i))))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br_if $next (i64.lt_u (local.get $i) (local.get $count))))
      (local.get $wrong))
    ;; From `first` on, `step` further each time, `count` blocks.
    (func $free_some (param $first i64) (param $step i64) (param $count i64)
      (loop $next
        (call $free (call $handle (local.get $first)))
        (local.set $first (i64.add (local.get $first) (local.get $step)))
        (local.set $count (i64.sub (local.get $count) (i64.const 1)))
        (br_if $next (i64.ne (local.get $count) (i64.const 0)))))
    (func $free_up (param $count i64)
      (call $free_some (i64.const 0) (i64.const 1) (local.get $count)))
    (func $free_down (param $count i64)
      (call $free_some (i64.sub (local.get $count) (i64.const 1)) (i64.const -1) (local.get $count)))
    (func $free_mixed (param $count i64) (local $half i64)
      (local.set $half (i64.shr_u (local.get $count) (i64.const 1)))
      (call $free_some (i64.const 0) (i64.const 2) (local.get $half))
      (call $free_some (i64.sub (local.get $count) (i64.const 1)) (i64.const -2) (local.get $half)))
"#;

/// An export that fills, frees all and fills again; answers twice the number of wrong blocks, and 1 more if the second
/// time needed more space.
fn round(order: &str) -> String {
    format!(
        r#"
        (func (export "{order}") (local $count i64) (local $highest i64) (local $wrong i64)
          (local.set $count (call $argument (i64.const 0)))
          (call $fill (local.get $count))
          (local.set $wrong (call $wrong (local.get $count)))
          (local.set $highest (global.get $highest))
          (call ${order} (local.get $count))
          (call $fill (local.get $count))
          (local.set $wrong (i64.add (local.get $wrong) (call $wrong (local.get $count))))
          (call $answer (i64.add
            (i64.shl (local.get $wrong) (i64.const 1))
            (i64.extend_i32_u (i64.gt_u (global.get $highest) (local.get $highest))))))"#
    )
}

fn check(order: &str, count: u64) {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(module(abi, &format!("{BODY} {}", round(order))));
        for _ in 0..2 {
            assert_eq!(numbers(&plugin, order, &[count]), [0], "{abi:?}: {order}");
        }
    }
}

/// Fewer blocks, because the allocator is slow with this order.
#[test]
fn many_blocks_freed_from_the_first_on() {
    check("free_up", COUNT / 5);
}

#[test]
fn many_blocks_freed_from_the_last_on() {
    check("free_down", COUNT);
}

#[test]
fn many_blocks_freed_with_gaps_between() {
    check("free_mixed", COUNT);
}

#[test]
fn the_kitchen_allocates_and_frees() {
    for abi in BOTH {
        let context = Context::new();
        let kitchen = fixture(&format!("kitchen.{}", abi.suffix()));
        for limits in ["", "\"memory\": {\"max\": 5}"] {
            let plugin = context.plugin(manifest(&kitchen, limits));
            for _ in 0..20 {
                assert_eq!(plugin.answer("alloc_free", "input"), "ok", "{abi:?}");
            }
        }
    }
}
