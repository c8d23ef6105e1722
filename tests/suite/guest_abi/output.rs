//! The output as its reader sees it: in place, up to the memory's last byte, and until the next call.

use extism::ffi;

use super::{Abi, BOTH, bytes, memory_size, module, numbers};
use crate::child;
#[cfg(target_os = "linux")]
use crate::faults::{limit, taken};
use crate::host::{Context, Plugin, fixture, manifest};
use crate::noise::noise;

const BODY: &str = r#"
    (memory 1)
    (func (export "output_set") (call $output_set (call $argument (i64.const 0)) (call $argument (i64.const 1))))
    (func (export "mark_and_output_set")
      (call $store_u8
        (i64.sub (i64.add (call $argument (i64.const 0)) (call $argument (i64.const 1))) (i64.const 1))
        (i32.const 0x5a))
      (call $output_set (call $argument (i64.const 0)) (call $argument (i64.const 1))))
    (func (export "output_input") (call $output_set (call $input_offset) (call $input_length)))
    (func (export "output_first") (call $output_set (i64.const 0) (i64.const 200000)))
    (func (export "fill_block") (local $block i64)
      (local.set $block (call $alloc (call $argument (i64.const 0))))
      (call $store_u8
        (i64.sub (i64.add (local.get $block) (call $argument (i64.const 0))) (i64.const 1))
        (i32.const 0x5a))
      (call $output_set (local.get $block) (call $argument (i64.const 0))))
"#;

fn address(plugin: &Plugin<'_>) -> usize {
    ffi::extism_plugin_output_data(plugin.context.0, plugin.id).addr()
}

/// The output must have `length` bytes, the last of them 0x5a, and one more byte must be readable.
fn assert_whole(plugin: &Plugin<'_>, length: u64, what: &str) {
    let read = plugin.output_and_next_byte();
    assert_eq!(read.len() as u64, length + 1, "{what}");
    assert_eq!(read[read.len() - 2], 0x5a, "{what}");
    assert_eq!(plugin.output(), read[..read.len() - 1], "{what}");
}

#[test]
fn output_may_end_with_the_last_byte_of_the_memory() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(module(abi, BODY));
        let size = memory_size(&plugin, abi);
        for (offset, length) in [(0, size), (size - 1, 1), (size - 9, 9), (size - 9, 8), (64, size - 64)] {
            let answer = plugin.call_only("mark_and_output_set", &bytes(&[offset, length]));
            assert_eq!(answer, 0, "{abi:?}: {offset}+{length}");
            assert_whole(&plugin, length, &format!("{abi:?}: {offset}+{length} of {size}"));
        }
    }
}

#[test]
fn output_may_be_a_block_that_fills_the_memory() {
    for abi in BOTH {
        for pages in 1..4_u64 {
            for missing in [0, 1, 7, 8, 9, 56, 63, 64, 65, 71, 72, 73, 74, 79, 80, 81, 82, 88, 96, 200] {
                let length = (pages << 16) - missing;
                let context = Context::new();
                let plugin = context.plugin(module(abi, BODY));
                assert_eq!(plugin.call_only("fill_block", &bytes(&[length])), 0, "{abi:?}: {length}");
                assert_whole(&plugin, length, &format!("{abi:?}: {length}"));
            }
        }
    }
}

#[test]
fn output_is_whole_in_a_memory_at_its_limit() {
    for abi in BOTH {
        let context = Context::new();
        let with_limit = |pages: u32| {
            context.create(manifest(module(abi, BODY), &format!("\"memory\": {{\"max_pages\": {pages}}}")), false)
        };
        let plugin = (1..40).find_map(|pages| with_limit(pages).ok()).expect("some limit is enough");
        let size = memory_size(&plugin, abi);
        for length in [size, 1, size - 64] {
            let range = bytes(&[size - length, length]);
            assert_eq!(plugin.call_only("mark_and_output_set", &range), 0, "{abi:?}: {length}");
            let place = address(&plugin);
            assert_whole(&plugin, length, &format!("{abi:?}: {length}"));
            assert_eq!(address(&plugin), place, "{abi:?}: {length}");
            assert_eq!(plugin.call_only("output_set", &range), 0, "{abi:?}: {length}");
            assert_eq!(plugin.output().last(), Some(&0), "{abi:?}: {length}: nothing of the call before");
        }
        assert_eq!(plugin.call_only("mark_and_output_set", &bytes(&[size - 16, 16])), 0, "{abi:?}");
        assert_eq!(plugin.call_with_output_of("output_input", &plugin), 0, "{abi:?}");
        assert_eq!(plugin.output()[15], 0x5a, "{abi:?}: also as the next input");
    }
}

/// The reader gets a copy of output that ends with the memory, and an error if the host has no memory for the copy.
#[test]
#[cfg(target_os = "linux")]
fn no_room_for_a_copy() {
    child::alone("guest_abi::output::no_room_for_a_copy", || {
        for abi in BOTH {
            let context = Context::new();
            // The size is found by traps. Without a limit, it would be all of 4 GiB.
            let rest = r#""after_trap": "keep", "memory": {"max": 2000}"#;
            let plugin = context.plugin(manifest(module(abi, BODY), rest));
            assert_eq!(plugin.call_only("fill_block", &bytes(&[64 << 20])), 0, "{abi:?}");
            let size = memory_size(&plugin, abi);
            assert!(size > 64 << 20, "{abi:?}: {size}");
            assert_eq!(plugin.call_only("mark_and_output_set", &bytes(&[0, size])), 0, "{abi:?}");
            let before = limit(libc::RLIMIT_AS, taken("VmSize:") + (8 << 20));
            for _ in 0..2 {
                assert_eq!(address(&plugin), 0, "{abi:?}");
                let error = context.error(plugin.id).expect("it says why");
                assert_eq!(error, format!("the output: the host has no room for {} more bytes", size + 1), "{abi:?}");
                assert_eq!(ffi::extism_plugin_output_length(context.0, plugin.id), 0, "{abi:?}");
            }
            limit(libc::RLIMIT_AS, before);
            assert_whole(&plugin, size, &format!("{abi:?}"));
        }
    });
}

/// Outputs outside the memory, which a careless host would read. The table in `table.rs` has more.
#[test]
fn the_host_reads_nothing_outside() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(module(abi, BODY));
        let size = memory_size(&plugin, abi);
        for range in [[size, 1], [0, size + 1], [size - 1, 2], [u64::MAX, 1], [1, u64::MAX], [1 << 63, 1 << 63]] {
            let answer = plugin.call("output_set", bytes(&range));
            assert_eq!(answer.output, b"", "{abi:?}: {range:?}");
            assert_eq!(answer.code, if abi == Abi::V0 { -1 } else { 0 }, "{abi:?}: {range:?}");
        }
    }
}

#[test]
fn output_stays_where_it_is_until_the_next_call() {
    for abi in BOTH {
        let context = Context::new();
        let echo = fixture(&format!("echo.{}", abi.suffix()));
        let (plugin, other) = (context.plugin(&echo), context.plugin(&echo));
        for length in [1, 8, 1000, 300_000] {
            let input: Vec<u8> = (0..length).map(|n| n as u8).collect();
            assert_eq!(plugin.call_only("echo", &input), 0);
            let place = address(&plugin);
            // None of the following is a call of the plugin.
            assert_eq!(plugin.output(), input);
            assert_eq!(context.error(plugin.id), None);
            assert!(plugin.configure("{\"key\": \"value\"}"));
            other.answer("echo", vec![1; 400_000]);
            context.plugin(&echo).free();
            assert_eq!(context.refusal("(module"), context.error(-1).expect("it stays"));
            assert_eq!((address(&plugin), plugin.output()), (place, input), "{abi:?}: {length}");
        }
    }
}

#[test]
fn without_output_the_address_is_not_null() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(fixture(&format!("echo.{}", abi.suffix())));
        assert_ne!(address(&plugin), 0, "before a call");
        plugin.answer("empty", []);
        assert_ne!(address(&plugin), 0, "after a call");
        plugin.answer("echo", "something");
        plugin.call_only("no such function", b"");
        assert_eq!((plugin.output(), address(&plugin) == 0), (Vec::new(), false), "after a failure");
        plugin.free();
        assert_eq!(address(&plugin), 0, "without a plugin");
    }
}

/// A caller may pass a plugin's output on in place, to that plugin or to another.
#[test]
fn output_may_be_the_next_input() {
    for abi in BOTH {
        let context = Context::new();
        let echo = fixture(&format!("echo.{}", abi.suffix()));
        let plugins = [context.plugin(&echo), context.plugin(&echo)];
        for length in [1, 7, 8, 9, 65_536, 1 << 20] {
            let text: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            assert_eq!(plugins[0].call_only("echo", &text), 0);
            for _ in 0..5 {
                assert_eq!(plugins[0].call_with_output_of("echo", &plugins[0]), 0);
                assert_eq!(plugins[1].call_with_output_of("echo", &plugins[0]), 0);
                assert_eq!(plugins[0].call_with_output_of("echo", &plugins[1]), 0);
            }
            assert_eq!(plugins[0].output(), text, "{abi:?}: {length}");
        }
    }
}

/// Any part of the memory may be output and then input; nothing else of the earlier call remains.
#[test]
fn any_output_may_be_the_next_input() {
    let mut noise = noise(1);
    let mut below = |bound: u64| noise.next().expect("no end") % bound;
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(module(abi, BODY));
        // Grows the memory to hold the ranges below.
        assert_eq!(plugin.call_only("fill_block", &bytes(&[300_000])), 0);
        for _ in 0..300 {
            let range = [16, 1000, 150_000][below(3) as usize];
            let (offset, length) = (below(range), below(range) + 1);
            let mut input = bytes(&[offset, length]);
            input.extend((0..200_000).map(|_| below(255) as u8 + 1));
            assert_eq!(plugin.call_only("mark_and_output_set", &input), 0);
            let output = plugin.output();
            assert_eq!(plugin.call_with_output_of("output_first", &plugin), 0);
            let mut expected = vec![0; 200_000];
            expected[64..64 + output.len()].copy_from_slice(&output);
            assert!(plugin.output() == expected, "{abi:?}: {offset}+{length}");
        }
    }
}

/// After `_start` the next call gets a new instance; the output lies in the old one.
#[test]
fn output_of_start_may_be_the_next_input() {
    let start = r#"
        (func (export "_start") (local $block i64)
          (local.set $block (call $alloc (i64.const 300000)))
          (call $store_u8 (i64.add (local.get $block) (i64.const 299999)) (i32.const 0x5a))
          (call $output_set (local.get $block) (i64.const 300000)))"#;
    child::alone("guest_abi::output::output_of_start_may_be_the_next_input", || {
        for abi in BOTH {
            let context = Context::new();
            let plugin = context.plugin(module(abi, &format!("{BODY} {start}")));
            assert_eq!(plugin.call_only("_start", b""), 0, "{abi:?}");
            assert_eq!(plugin.call_with_output_of("output_input", &plugin), 0, "{abi:?}");
            assert_eq!(plugin.output().len(), 300_000, "{abi:?}");
            assert_eq!(plugin.output().last(), Some(&0x5a), "{abi:?}");
        }
    });
}

#[test]
fn a_failed_call_leaves_no_output_of_the_one_before() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(fixture(&format!("kitchen.{}", abi.suffix())));
        for failing in ["no such function", "fail", "error_trap", "nothing"] {
            assert_eq!(plugin.answer("output_twice", "input"), "second");
            assert_eq!(plugin.call(failing, "text").output, b"", "{abi:?}: {failing}");
        }
    }
}

#[test]
fn numbers_come_out_as_they_went_in() {
    let context = Context::new();
    let plugin =
        context.plugin(module(Abi::V1, "(func (export \"same\") (call $answer (call $argument (i64.const 1))))"));
    assert_eq!(numbers(&plugin, "same", &[3, u64::MAX - 1]), [u64::MAX - 1]);
}
