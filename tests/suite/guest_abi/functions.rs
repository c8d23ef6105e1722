//! Makes the calls of the table, by every way in which a module can come to call a function of the host.

use super::calls::{How, manifest};
use super::table::rows;
use super::{Abi, BOTH, bytes, memory_size};
use crate::host::Context;

/// What the table's plugins are configured with.
const CONFIG: &str = r#""config": {"key": "value", "empty": "", "": "nothing"}"#;

fn check(abi: Abi, how: How) {
    let rows = rows(abi);
    let context = Context::new();
    let plugin = context.plugin(manifest(abi, how, rows.iter().map(|(calls, _)| *calls), CONFIG));
    let mut failures = Vec::new();
    for (index, (calls, expected)) in rows.iter().enumerate() {
        // It may have grown for the row before.
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
