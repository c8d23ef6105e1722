//! The limits of a manifest on a plugin's memory: `memory.max` and `memory.max_pages`.

use super::calls::entries;
use super::{Abi, BOTH, bytes, module, numbers};
use crate::host::{Context, Plugin, manifest};

const PAGE: u64 = 1 << 16;

/// Exports return 0 if all blocks are made and 1 if 1.x refuses one; 0.x traps instead.
const BODY: &str = r#"
    (memory 2)
    (func $alloc_some (param $size i64) (param $count i64) (result i32)
      (loop $next
        (if (i64.eqz (call $alloc (local.get $size))) (then (return (i32.const 1))))
        (local.set $count (i64.sub (local.get $count) (i64.const 1)))
        (br_if $next (i64.ne (local.get $count) (i64.const 0))))
      (i32.const 0))
    (func (export "alloc") (result i32) (call $alloc_some (call $argument (i64.const 0)) (call $argument (i64.const 1))))
    (func (export "alloc_and_free") (result i32) (local $count i64) (local $block i64)
      (local.set $count (call $argument (i64.const 1)))
      (loop $next
        (local.set $block (call $alloc (call $argument (i64.const 0))))
        (if (i64.eqz (local.get $block)) (then (return (i32.const 1))))
        (call $free (local.get $block))
        (local.set $count (i64.sub (local.get $count) (i64.const 1)))
        (br_if $next (i64.ne (local.get $count) (i64.const 0))))
      (i32.const 0))
    (func (export "alloc_in_gaps") (result i32) (local $count i64) (local $block i64)
      (local.set $count (call $argument (i64.const 1)))
      (local.set $block (call $alloc (call $argument (i64.const 0))))
      (if (i64.eqz (call $alloc (call $argument (i64.const 0)))) (then (return (i32.const 1))))
      (loop $next
        (call $free (local.get $block))
        (local.set $block (call $alloc (call $argument (i64.const 0))))
        (if (i64.eqz (local.get $block)) (then (return (i32.const 1))))
        (local.set $count (i64.sub (local.get $count) (i64.const 1)))
        (br_if $next (i64.ne (local.get $count) (i64.const 0))))
      (i32.const 0))
    (func (export "alloc_after_a_refusal") (result i32)
      (drop (call $alloc (call $argument (i64.const 0))))
      (i64.eqz (call $alloc (i64.const 16))))
    (func (export "grow") (call $answer (i64.extend_i32_s (memory.grow (i32.wrap_i64 (call $argument (i64.const 0)))))))
    (func (export "use_last_word") (local $at i32)
      (local.set $at (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)))
      (i64.store (local.get $at) (i64.const -1))
      (call $answer (i64.load (local.get $at))))
    (func (export "alloc_then_grow")
      (drop (call $alloc (call $argument (i64.const 0))))
      (call $answer (i64.extend_i32_s (memory.grow (i32.wrap_i64 (call $argument (i64.const 1)))))))
"#;

/// Calls a function for `count` blocks of `size` bytes, with `more` bytes of input behind these two numbers.
fn call_blocks(plugin: &Plugin<'_>, abi: Abi, function: &str, size: u64, count: u64, more: usize) -> bool {
    let mut input = bytes(&[size, count]);
    input.resize(input.len() + more, 0x5a);
    let answer = plugin.call(function, input);
    match (abi, answer.code) {
        (_, 0) => true,
        (Abi::V0, -1) => {
            let expected = format!("failed to grow memory by {size}");
            assert!(answer.error().contains(&expected), "{answer:?}");
            false
        }
        (Abi::V1, 1) => {
            assert_eq!(answer.error, None);
            false
        }
        _ => panic!("{abi:?}: {function}: {answer:?}"),
    }
}

/// `memory.max`, a function, the size and number of its blocks, and whether they fit.
const MAX: &[(u32, &str, u64, u64, bool)] = &[
    (5, "alloc", 5 * PAGE - 64, 1, true),
    (5, "alloc", 5 * PAGE + 1, 1, false),
    (5, "alloc", PAGE - 64, 5, true),
    (5, "alloc", PAGE, 6, false),
    (5, "alloc", 1000, 327, true),
    (5, "alloc", 1000, 328, false),
    (5, "alloc", 1 << 40, 1, false),
    (5, "alloc", u64::MAX, 1, false),
    (5, "alloc_and_free", PAGE, 1000, true),
    (5, "alloc_and_free", 4 * PAGE, 100, true),
    (5, "alloc_in_gaps", 2 * PAGE, 100, true),
    (5, "alloc_in_gaps", 3 * PAGE, 1, false),
    (20, "alloc", 20 * PAGE - 64, 1, true),
    (20, "alloc", 20 * PAGE + 1, 1, false),
    // 0.1.0 starts with 4 pages, and a smaller maximum only forbids growth.
    (4, "alloc", 4 * PAGE - 64, 1, true),
    (4, "alloc", 4 * PAGE + 1, 1, false),
    (1, "alloc", 4 * PAGE - 64, 1, true),
    (1, "alloc", 4 * PAGE + 1, 1, false),
    (0, "alloc", 4 * PAGE - 64, 1, true),
    (0, "alloc", 4 * PAGE + 1, 1, false),
];

#[test]
fn max_caps_the_blocks_and_not_the_input() {
    for abi in BOTH {
        let context = Context::new();
        for (max, function, size, count, fits) in MAX {
            let plugin = context.plugin(manifest(module(abi, BODY), &format!("\"memory\": {{\"max\": {max}}}")));
            for more in [0, 1, 300_000, 2 << 20, 0] {
                let fitted = call_blocks(&plugin, abi, function, *size, *count, more);
                assert_eq!(fitted, *fits, "{abi:?}: max {max}, {function} {count} of {size}, {more} bytes of input");
            }
            plugin.free();
        }
    }
}

/// In 1.x a plugin may choose any part of its memory as its input; the end of the input is no limit for blocks.
#[test]
fn an_input_that_the_plugin_has_chosen_changes_no_limit() {
    const STRETCH: &str = r#"
        (func (export "stretch") (local $count i64)
          (loop $next
            (call $input_set (i64.const 0) (call $memory_bytes))
            (local.set $count (i64.add (local.get $count) (i64.const 1)))
            (br_if $next (i64.ne (call $alloc (i64.const 65536)) (i64.const 0))))
          (call $answer (local.get $count)))
        (func (export "after_free") (local $count i64)
          (call $free (call $input_offset))
          (loop $next
            (local.set $count (i64.add (local.get $count) (i64.const 1)))
            (br_if $next (i64.ne (call $alloc (i64.const 65536)) (i64.const 0))))
          (call $free (i64.const 64))
          (call $answer (local.get $count)))"#;
    let context = Context::new();
    for (max, blocks) in [(4, 4), (7, 7)] {
        let plugin = context.plugin(manifest(module(Abi::V1, STRETCH), &format!("\"memory\": {{\"max\": {max}}}")));
        for function in ["stretch", "after_free"] {
            for input in [0, 10, 1000] {
                let count = numbers(&plugin, function, &vec![0; input])[0];
                // The last block is refused.
                assert!(count <= blocks + 1, "max {max}, {function}, {input} numbers: {count} blocks");
            }
        }
    }
}

#[test]
fn without_max_there_is_room() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(module(abi, BODY));
        for (size, count) in [(20 * PAGE, 1), (64 * PAGE, 3), (1 << 20, 40)] {
            assert!(call_blocks(&plugin, abi, "alloc", size, count, 0), "{abi:?}: {count} of {size}");
        }
    }
}

#[test]
fn a_refused_block_does_no_harm() {
    let context = Context::new();
    for memory in ["\"memory\": {\"max\": 5}", "\"memory\": {\"max_pages\": 20}", ""] {
        let plugin = context.plugin(manifest(module(Abi::V1, BODY), memory));
        for size in [1 << 33, u64::MAX, 1 << 63] {
            assert!(call_blocks(&plugin, Abi::V1, "alloc_after_a_refusal", size, 1, 0), "{memory}: {size}");
        }
    }
}

fn with_max_pages<'a>(context: &'a Context, module: &[u8], pages: u64) -> Result<Plugin<'a>, String> {
    context.create(manifest(module, &format!("\"memory\": {{\"max_pages\": {pages}}}")), false)
}

/// The least `max_pages` that a plugin can be made with.
fn least_pages(module: &[u8]) -> u64 {
    let context = Context::new();
    (0..100).find(|pages| with_max_pages(&context, module, *pages).is_ok()).expect("some limit is enough")
}

#[test]
fn max_pages_below_what_the_module_needs_is_refused() {
    for abi in BOTH {
        let context = Context::new();
        let module = module(abi, BODY);
        let least = least_pages(&module);
        assert!(least > 2, "{abi:?}: the memory for input and output counts besides the module's own 2 pages");
        for pages in 0..least {
            let refusal = with_max_pages(&context, &module, pages).err().expect("it is too little");
            assert!(refusal.contains("memory.max_pages"), "{abi:?}: {pages}: {refusal}");
        }
    }
}

#[test]
fn a_plugin_grows_up_to_max_pages_and_no_further() {
    for abi in BOTH {
        let context = Context::new();
        let module = module(abi, BODY);
        let plugin = with_max_pages(&context, &module, least_pages(&module) + 3).expect("it is enough");
        let grow = |pages: u64| numbers(&plugin, "grow", &[pages])[0];
        for _ in 0..50 {
            assert_eq!(grow(4), u64::MAX, "{abi:?}: one more than there are");
            assert_eq!(grow(0xffff_ffff), u64::MAX, "{abi:?}");
        }
        assert_eq!((grow(1), grow(2)), (2, 3), "{abi:?}: all that there are");
        assert_eq!((grow(1), grow(0)), (u64::MAX, 5), "{abi:?}: nothing is left");
        assert_eq!(numbers(&plugin, "use_last_word", &[]), [u64::MAX], "{abi:?}");
        assert!(!call_blocks(&plugin, abi, "alloc", 20 * PAGE, 1, 0), "{abi:?}: nothing is left for blocks");
    }
}

/// Growth that the module's own maximum refuses does not count against `max_pages`.
#[test]
fn the_maximum_of_a_module_holds_below_max_pages() {
    for abi in BOTH {
        let context = Context::new();
        let module = module(abi, &BODY.replace("(memory 2)", "(memory 2 4)"));
        let plugin = with_max_pages(&context, &module, least_pages(&module) + 3).expect("it is enough");
        for _ in 0..50 {
            assert_eq!(numbers(&plugin, "grow", &[3]), [u64::MAX], "{abi:?}");
        }
        assert_eq!(numbers(&plugin, "grow", &[2]), [2], "{abi:?}");
        assert_eq!(numbers(&plugin, "grow", &[1]), [u64::MAX], "{abi:?}");
        assert!(call_blocks(&plugin, abi, "alloc", PAGE / 2, 3, 0), "{abi:?}: one page is left for blocks");
    }
}

#[test]
fn blocks_count_in_max_pages() {
    for abi in BOTH {
        let context = Context::new();
        let module = module(abi, BODY);
        let limit = least_pages(&module) + 3;
        let plugin = with_max_pages(&context, &module, limit).expect("it is enough");
        assert!(call_blocks(&plugin, abi, "alloc", 3 * PAGE, 1, 0), "{abi:?}");
        assert!(!call_blocks(&plugin, abi, "alloc", limit * PAGE, 1, 0), "{abi:?}");
        let fresh = with_max_pages(&context, &module, limit).expect("it is enough");
        assert_eq!(numbers(&fresh, "alloc_then_grow", &[3 * PAGE, 3]), [u64::MAX], "{abi:?}");
    }
}

#[test]
fn input_counts_in_max_pages() {
    for abi in BOTH {
        let context = Context::new();
        let module = module(abi, BODY);
        let plugin = with_max_pages(&context, &module, least_pages(&module) + 3).expect("it is enough");
        for _ in 0..3 {
            let answer = plugin.call("alloc", vec![0; 2 << 20]);
            assert_eq!(answer.code, -1, "{abi:?}");
            assert!(answer.error().contains("input of 2097152 bytes does not fit"), "{abi:?}: {answer:?}");
            assert!(call_blocks(&plugin, abi, "alloc", 8, 1, 0), "{abi:?}");
        }
    }
}

#[test]
fn memories_of_libraries_count_in_max_pages() {
    for abi in BOTH {
        let context = Context::new();
        let least = least_pages(&module(abi, BODY));
        let library = wat::parse_str("(module (memory (export \"m\") 3))").expect("valid");
        let with_library = |pages: u64| {
            let modules = [("main", module(abi, BODY)), ("library", library.clone())];
            context.create(entries(&modules, &format!("\"memory\": {{\"max_pages\": {pages}}}")), false)
        };
        assert!(with_library(least + 3).is_ok(), "{abi:?}");
        let refusal = with_library(least + 2).err().expect("it is too little");
        assert!(refusal.contains("memory.max_pages"), "{abi:?}: {refusal}");
    }
}
