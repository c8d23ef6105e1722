//! The kitchen fixture, compiled from C: each of its exports once, and its failures.

use std::fs;

use super::{Abi, BOTH};
use crate::host::{Answer, Context, fixture, manifest, root};

const CONFIG: &str = r#""config": {"key": "value", "empty": ""}"#;

/// Export, input, and results in 0.x and 1.x: `CODE OUTPUT`, `CODE ! ERROR`, or `-` where the export is missing. The
/// order matters: later rows see the variables of earlier ones.
const CALLS: &[(&str, &str, &str, &str)] = &[
    ("config_get", "key", "0 value", "0 value"),
    ("config_get", "none", "1 ! no such key", "1 ! no such key"),
    ("config_get", "empty", "0 ", "0 "),
    ("var_get", "a", "1 ! no such var", "1 ! no such var"),
    ("var_set", "a=one=two", "0 ", "0 "),
    ("var_get", "a", "0 one=two", "0 one=two"),
    ("var_set", "a=", "0 ", "0 "),
    ("var_get", "a", "0 ", "1 ! no such var"),
    ("var_set", "a=again", "0 ", "0 "),
    ("var_set", "a", "0 ", "0 "),
    ("var_get", "a", "1 ! no such var", "1 ! no such var"),
    ("log", "warn:text", "0 ", "0 "),
    ("log", "info:text", "0 ", "0 "),
    ("log", "debug:text", "0 ", "0 "),
    ("log", "error:text", "0 ", "0 "),
    ("log", "trace:text", "1 ! no such level", "0 "),
    ("log", "loud:text", "1 ! no such level", "1 ! no such level"),
    ("error", "it is \"bad\"\nvery", "1 ! it is \"bad\"\nvery", "1 ! it is \"bad\"\nvery"),
    ("error_zero", "but all is well", "0 ! but all is well", "0 ! but all is well"),
    ("error_clear", "never mind", "0 ", "0 "),
    ("fail", "", "7 ", "7 "),
    ("nothing", "", "0 ", "0 "),
    ("http_status", "", "0 0", "0 0"),
    ("headers", "", "-", "1 ! no headers"),
    ("alloc_free", "", "0 ok", "0 ok"),
    ("keep_block", "kept", "0 ", "0 "),
    ("last_block", "", "0 \0\0\0\0", "0 \0\0\0\0"),
    ("output_twice", "", "0 second", "0 second"),
    ("indirect", "through a table", "0 through a table", "0 through a table"),
    ("indirect", "", "0 ", "0 "),
    ("input_set", "", "-", "0 replaced"),
    ("error_get", "what was wrong", "-", "0 what was wrong"),
    ("reset", "input", "-", "0 input_length=0\noutput_length=0\nerror=0\n"),
];

/// Exports whose answers are no fixed text; each has a test of its own.
const OTHERS: [&str; 3] = ["error_trap", "http", "host_memory"];

fn answer(expected: &str) -> Answer {
    let (code, rest) = expected.split_once(' ').expect("a code");
    let (error, output) = match rest.strip_prefix("! ") {
        Some(error) => (Some(error.to_owned()), ""),
        None => (None, rest),
    };
    Answer { code: code.parse().expect("a number"), error, output: output.into() }
}

#[test]
fn each_export_answers_as_documented() {
    for abi in BOTH {
        let context = Context::new();
        let kitchen = fixture(&format!("kitchen.{}", abi.suffix()));
        let plugin = context.plugin(manifest(kitchen, CONFIG));
        for (export, input, v0, v1) in CALLS {
            let found = plugin.call(export, input);
            match if abi == Abi::V0 { v0 } else { v1 } {
                &"-" => assert_eq!(found.error(), format!("Function not found: {export}")),
                expected => assert_eq!(found, answer(expected), "{abi:?}: {export} {input:?}"),
            }
        }
    }
}

#[test]
fn each_export_is_called() {
    let source = fs::read_to_string(root().join("fixtures/c/kitchen.c")).expect("it is committed");
    let exports = source.lines().filter(|line| line.starts_with("PDK_EXPORT"));
    let names: Vec<&str> = exports.filter_map(|line| line.split(['(', ')']).nth(1)).collect();
    assert!(names.len() > 20, "only {} exports were found", names.len());
    for name in names {
        let called = CALLS.iter().any(|(export, ..)| *export == name) || OTHERS.contains(&name);
        assert!(called, "{name} is never called");
    }
}

#[test]
fn the_plugins_error_comes_before_the_trap() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(fixture(&format!("kitchen.{}", abi.suffix())));
        let trapped = plugin.call("error_trap", "my own words");
        assert_eq!((trapped.code, trapped.output.as_slice()), (-1, b"".as_slice()));
        let (own, host) = trapped.error().split_once("\n\n").expect("two parts");
        assert_eq!(own, "my own words", "{abi:?}");
        assert!(host.starts_with("Call failed\n\nCaused by:\n"), "{abi:?}: {host}");
        assert!(host.contains("unreachable"), "{abi:?}: {host}");
        assert_eq!(plugin.call("nothing", ""), answer("0 "), "{abi:?}: the error is gone, the instance goes on");
    }
}

/// In 1.x an empty text has no block, and so is no error.
#[test]
fn an_empty_error_is_one_in_0_x_only() {
    for (abi, error) in [(Abi::V0, Some(String::new())), (Abi::V1, None)] {
        let context = Context::new();
        let plugin = context.plugin(fixture(&format!("kitchen.{}", abi.suffix())));
        assert_eq!(plugin.call("error", ""), Answer { code: 1, error, output: Vec::new() }, "{abi:?}");
    }
}

#[test]
fn an_error_that_is_not_text() {
    let context = Context::new();
    let trapped = context.plugin(fixture("kitchen.v0")).call("error", b"a\xffb");
    assert_eq!(trapped.code, -1);
    assert!(trapped.error().contains("invalid utf-8 sequence"), "{trapped:?}");
    let lossy = context.plugin(fixture("kitchen.v1")).call("error", b"a\xffb");
    assert_eq!((lossy.code, lossy.error()), (1, "a\u{fffd}b"));
}

#[test]
fn a_request_that_is_not_allowed_stops_the_plugin() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = context.plugin(fixture(&format!("kitchen.{}", abi.suffix())));
        for export in ["http", "http_status"] {
            let refused = plugin.call(export, r#"{"url": "http://127.0.0.1:1/"}"#);
            assert_eq!((refused.code, refused.output.as_slice()), (-1, b"".as_slice()), "{abi:?}");
            assert!(refused.error().starts_with("Call failed"), "{abi:?}: {refused:?}");
            assert!(refused.error().contains("http"), "{abi:?}: {refused:?}");
        }
        assert_eq!(plugin.answer("http_status", ""), "0");
    }
}

#[test]
fn the_host_describes_its_memory() {
    let context = Context::new();
    let plugin = context.plugin(fixture("kitchen.v1"));
    for input in ["", "some input"] {
        let text = plugin.answer("host_memory", input);
        let number = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().expect("a number")
        };
        assert!(number("memory_bytes") >= 65_536 && number("memory_bytes").is_multiple_of(65_536), "{text}");
        assert_eq!(number("input_offset") == 0, input.is_empty(), "{text}");
        assert_eq!(number("output_length"), input.len() as u64, "{text}");
        assert_eq!(number("output_is_where_it_was_set"), 1, "{text}");
        assert!(number("log_level") <= 4 || number("log_level") == i32::MAX as u64, "{text}");
    }
}
