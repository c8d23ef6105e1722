//! A plugin can read every byte of its input and none beside it.

use std::fmt::Write as _;

use super::{Abi, BOTH, module, number};
use crate::host::Context;

/// Writes on both sides of the input, so that a load outside it does not find zeros.
const SURROUND: &str = r#"
    (func $surround (local $at i64) (local $i i64)
      (if (i64.ge_u (call $input_offset) (i64.const 8)) (then
        (call $store_u64 (i64.sub (call $input_offset) (i64.const 8)) (i64.const -1))))
      (local.set $at (call $alloc (i64.const 128)))
      (loop $next
        (call $store_u64 (i64.add (local.get $at) (local.get $i)) (i64.const -1))
        (local.set $i (i64.add (local.get $i) (i64.const 8)))
        (br_if $next (i64.lt_u (local.get $i) (i64.const 128)))))
"#;

/// The offsets of loads: all over the inputs below, behind them, and where a sum overflows.
fn offsets() -> impl Iterator<Item = u64> {
    (0..=80)
        .chain([1 << 16, (1 << 32) - 8, 1 << 32, (1 << 32) + 1, 1 << 63, u64::MAX - 63])
        .chain(u64::MAX - 9..=u64::MAX)
}

/// A module with exports for each offset, which the input cannot carry, as its bytes are what is loaded.
fn loader(abi: Abi) -> Vec<u8> {
    let mut body = String::from(SURROUND);
    for offset in offsets() {
        let at = offset.cast_signed();
        let _ = write!(
            body,
            "(func (export \"u8_{offset}\") (call $surround)
               (call $answer (i64.extend_i32_u (call $input_load_u8 (i64.const {at})))))
             (func (export \"u64_{offset}\") (call $surround)
               (call $answer (call $input_load_u64 (i64.const {at}))))"
        );
    }
    module(abi, &body)
}

/// The loaded bytes as a number, or `None` if one of them is outside.
fn expected(input: &[u8], offset: u64, size: usize) -> Option<u64> {
    let start = usize::try_from(offset).ok()?;
    input.get(start..start.checked_add(size)?).map(number)
}

#[test]
fn loads_reach_every_byte_of_the_input_and_no_other() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(loader(abi));
        for length in [0, 1, 7, 8, 9, 15, 16, 64] {
            let input: Vec<u8> = (1..=length).collect();
            for (width, size) in [("u8", 1), ("u64", 8)] {
                for offset in offsets() {
                    let answer = plugin.call(&format!("{width}_{offset}"), &input);
                    let what = format!("{abi:?}: {width} at {offset} of {length} bytes: {answer:?}");
                    match (expected(&input, offset, size), abi) {
                        (Some(number), _) => assert_eq!(answer.output, number.to_le_bytes(), "{what}"),
                        (None, Abi::V1) => assert_eq!((answer.code, answer.output), (0, vec![0; 8]), "{what}"),
                        (None, Abi::V0) => {
                            assert_eq!((answer.code, answer.output.as_slice()), (-1, b"".as_slice()), "{what}");
                            assert!(answer.error().contains("out of bounds memory access"), "{what}");
                        }
                    }
                }
            }
        }
    }
}

/// Answers with the input's length, its offset, and the result of `length` for that offset.
const PLACE: &str = r#"
    (func (export "place") (local $block i64)
      (local.set $block (call $alloc (i64.const 24)))
      (call $store_u64 (local.get $block) (call $input_length))
      (call $store_u64 (i64.add (local.get $block) (i64.const 8)) (call $input_offset))
      (call $store_u64 (i64.add (local.get $block) (i64.const 16)) (call $length (call $input_offset)))
      (call $output_set (local.get $block) (i64.const 24)))
"#;

#[test]
fn the_input_is_a_block_unless_it_is_empty() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(module(abi, PLACE));
        for length in [0, 1, 8, 65_535, 65_536, 200_000, 1, 0] {
            let place = plugin.call("place", vec![7; length]);
            assert_eq!((place.code, place.error(), place.output.len()), (0, "", 24), "{abi:?}: {length}");
            let seen: Vec<u64> = place.output.chunks(8).map(number).collect();
            let length = length as u64;
            assert_eq!((seen[0], seen[2]), (length, length), "{abi:?}");
            assert_eq!(seen[1] == 0, length == 0, "{abi:?}: {length}");
        }
    }
}
