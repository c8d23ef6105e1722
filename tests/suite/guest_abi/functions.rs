//! Makes the calls of the table, in every way in which a module can call a host function.

use super::calls::{How, manifest};
use super::table::rows;
use super::{Abi, BOTH, bytes, memory_size};
use crate::host::Context;
#[cfg(feature = "compiler")]
use crate::noise::noise;

/// The configuration of the table's plugins.
const CONFIG: &str = r#""config": {"key": "value", "empty": "", "": "nothing"}"#;

fn check(abi: Abi, how: How) {
    let rows = rows(abi);
    let context = Context::new();
    let plugin = context.plugin(manifest(abi, how, rows.iter().map(|(calls, _)| *calls), CONFIG));
    let mut failures = Vec::new();
    for (index, (calls, expected)) in rows.iter().enumerate() {
        // The row before may have grown the memory.
        let mut input = bytes(&[memory_size(&plugin, abi)]);
        input.extend(b"abcdefgh");
        let answer = plugin.call(&format!("call{index}"), &input);
        if !expected.fits(&answer) {
            failures.push(format!("{calls}\n    expected {expected:?}, found {answer:?}"));
        }
    }
    assert!(failures.is_empty(), "{abi:?}, {how:?}:\n{}", failures.join("\n"));
}

#[test]
fn each_function_keeps_the_rules_of_its_abi() {
    for abi in BOTH {
        check(abi, How::Direct);
    }
}

#[test]
fn a_function_that_is_not_inlined_does_the_same() {
    for abi in BOTH {
        check(abi, How::Beside);
        check(abi, How::Called);
    }
}

#[test]
fn a_function_in_a_table_does_the_same() {
    for abi in BOTH {
        check(abi, How::Table);
    }
}

#[test]
fn a_function_that_a_library_exports_does_the_same() {
    for abi in BOTH {
        check(abi, How::Library);
    }
}

/// Places in the memory of a random call.
#[cfg(feature = "compiler")]
const PLACES: [&str; 19] = [
    "0",
    "1",
    "56",
    "64",
    "block",
    "block+1",
    "block+8",
    "block+15",
    "block+16",
    "freed",
    "input",
    "input+1",
    "sub(end, 8)",
    "sub(end, 7)",
    "end-1",
    "end",
    "-1",
    "0x100000000",
    "alloc(9)",
];

/// Numbers of bytes of a random call, and places in the input.
#[cfg(feature = "compiler")]
const LENGTHS: [&str; 12] = ["0", "1", "7", "8", "9", "16", "17", "end", "-1", "sub(end, block)", "max", "min"];

/// Up to seven random calls. `below` gives a random number below another.
#[cfg(feature = "compiler")]
fn program(abi: Abi, below: &mut impl FnMut(usize) -> usize) -> String {
    let count = below(6);
    let call = |_| {
        let (place, length) = (PLACES[below(PLACES.len())], LENGTHS[below(LENGTHS.len())]);
        match below(if abi == Abi::V1 { 16 } else { 12 }) {
            0 => format!("load_u8({place})"),
            1 => format!("load_u64({place})"),
            2 | 3 => format!("store_u8({place}, 0x12345)"),
            4 | 5 => format!("store_u64({place}, 0x0102030405060708)"),
            6 => format!("input_load_u8({length})"),
            7 => format!("input_load_u64({length})"),
            8 => "input_length()".to_owned(),
            9 => format!("output_set({place}, {length})"),
            10 => format!("free({place})"),
            11 => "input_offset()".to_owned(),
            12 => "output_offset()".to_owned(),
            13 => "output_length()".to_owned(),
            14 => format!("input_set({place}, {length})"),
            _ => "reset()".to_owned(),
        }
    };
    let calls: Vec<_> = (0..=count).map(call).collect();
    calls.join("; ")
}

/// Random calls around every edge have the same results, inlined or not.
#[test]
#[cfg(feature = "compiler")]
fn any_calls_do_the_same_inlined_or_not() {
    let mut noise = noise(1);
    let mut below = |count: usize| (noise.next().expect("without end") % count as u64) as usize;
    for abi in BOTH {
        let programs: Vec<String> = (0..1500).map(|_| program(abi, &mut below)).collect();
        let context = Context::new();
        let plugins = [How::Direct, How::Table, How::Beside, How::Called]
            .map(|how| context.plugin(manifest(abi, how, programs.iter().map(String::as_str), "")));
        let mut traps = 0;
        for (index, program) in programs.iter().enumerate() {
            let mut input = bytes(&[memory_size(&plugins[0], abi)]);
            input.extend(b"abcdefgh");
            let answers = plugins.map(|plugin| {
                let mut answer = plugin.call(&format!("call{index}"), &input);
                // The rest is a backtrace, which differs in wrappers and offsets of code.
                answer.error = answer.error.map(|error| error.lines().take(4).collect());
                answer
            });
            assert!(answers.iter().all(|answer| *answer == answers[3]), "{abi:?}: {program}\n{answers:#?}");
            traps += usize::from(answers[0].code == -1);
        }
        assert!(traps < 1000, "{abi:?}: {traps}");
    }
}
