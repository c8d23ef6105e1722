//! Each host function, with the most work that a plugin can give it, ends soon after the plugin's deadline: long work
//! checks between slices whether the plugin must stop (`core/src/host/slices.rs`, which tests their size).

use std::thread;
use std::time::{Duration, Instant};

use super::{Abi, BOTH, module};
use crate::faults::processor_time;
use crate::host::{Context, Plugin, manifest};

const TIMEOUT: Duration = Duration::from_millis(20);

/// The most that a call may end too late by, in CPU time of its thread.
const LATE: Duration = Duration::from_millis(50);

/// The most time that a call may take, with waiting for a processor or a lock of the system's.
const LONG: Duration = Duration::from_secs(2);

/// The number of tries of a late call. Other tests may delay the kernel's work on memory for a while: the first pause
/// is [`PAUSE`], and each is twice as long as the one before.
const TRIES: u32 = 9;
const PAUSE: Duration = Duration::from_millis(20);

/// Functions, and calls for a loop: `$big` is a block of nearly 4 GiB, `$key` one of 8 bytes, the input is a request.
const CALLS: &[(&str, &str)] = &[
    ("input_length", "(drop (call $input_length))"),
    ("input_offset", "(drop (call $input_offset))"),
    ("input_load_u8", "(drop (call $input_load_u8 (i64.const 0)))"),
    ("input_load_u64", "(drop (call $input_load_u64 (i64.const 0)))"),
    ("input_set", "(call $input_set (local.get $big) (i64.const 0xff000000))"),
    ("alloc", ""),
    ("free", ""),
    ("length", "(drop (call $length (local.get $big)))"),
    ("length_unsafe", "(drop (call $length_unsafe (local.get $big)))"),
    ("load_u8", "(drop (call $load_u8 (local.get $big)))"),
    ("load_u64", "(drop (call $load_u64 (local.get $big)))"),
    ("store_u8", "(call $store_u8 (local.get $big) (i32.const 1))"),
    ("store_u64", "(call $store_u64 (local.get $big) (i64.const 1))"),
    (
        "output_set",
        "(call $output_set (local.get $big) (i64.const 0xff000000)) (call $output_set (i64.const 0) (i64.const 0))",
    ),
    ("output_offset", "(drop (call $output_offset))"),
    ("output_length", "(drop (call $output_length))"),
    ("error_set", "(call $error_set (local.get $big))"),
    ("error_get", "(drop (call $error_get))"),
    ("reset", "(call $store_u8 (i64.add (local.get $big) (i64.const 0xfefffff8)) (i32.const 1)) (call $reset)"),
    ("memory_bytes", "(drop (call $memory_bytes))"),
    ("config_get", "(drop (call $config_get (local.get $big)))"),
    ("var_get", "(drop (call $var_get (local.get $big)))"),
    ("var_set", "(call $var_set (local.get $key) (local.get $big))"),
    ("http_request", "(drop (call $http_request (call $input_offset) (local.get $big)))"),
    ("http_status_code", "(drop (call $http_status_code))"),
    ("http_headers", "(drop (call $http_headers))"),
    ("log_warn", "(call $log_warn (local.get $big))"),
    ("log_info", "(call $log_info (local.get $big))"),
    ("log_debug", "(call $log_debug (local.get $big))"),
    ("log_error", "(call $log_error (local.get $big))"),
    ("log_trace", "(call $log_trace (local.get $big))"),
    ("get_log_level", "(drop (call $get_log_level))"),
];

/// Nobody listens at this address: a request that was sent would fail with another error than the timeout.
const REQUEST: &str = r#"{"url": "http://127.0.0.1:1/", "method": "POST"}"#;

fn plugin(context: &Context, abi: Abi) -> Plugin<'_> {
    // All, also in a build without HTTP: code for this module is in the cache under the hash of the whole text.
    let functions = abi.functions();
    let body = functions.map(|function| {
        let name = function.name;
        let (_, calls) =
            CALLS.iter().find(|(named, _)| *named == name).unwrap_or_else(|| panic!("{name} is not called"));
        format!(
            r#"(func (export "run_{name}") (local $big i64) (local $key i64)
                 (loop $again
                   (local.set $key (call $alloc (i64.const 8)))
                   (local.set $big (call $alloc (i64.const 0xff000000)))
                   (if (i64.eqz (local.get $big)) (then unreachable))
                   {calls}
                   (call $free (local.get $big))
                   (call $free (local.get $key))
                   (br $again)))"#
        )
    });
    let body: String = body.collect();
    let keys = format!(
        r#""timeout_ms": {}, "allowed_hosts": ["127.0.0.1"], "memory": {{"max_var_bytes": 8000000000}},
           "config": {{"{}": "value"}}"#,
        TIMEOUT.as_millis(),
        "long".repeat(1 << 20)
    );
    context.plugin(manifest(module(abi, &body), &keys))
}

/// Repeats a call that ends at its deadline until it is not late.
fn check(case: &str, plugin: &Plugin<'_>, function: &str, input: &[u8]) {
    let mut late = Vec::new();
    for tried in 0..TRIES {
        let (begin, start) = (Instant::now(), processor_time());
        plugin.call_only(function, input);
        late.push((processor_time() - start).saturating_sub(TIMEOUT));
        let error = plugin.context.error(plugin.id).unwrap_or_default();
        assert!(error.contains("timeout: "), "{case}: {error}");
        if begin.elapsed() <= LONG && late.last().is_some_and(|late| *late <= LATE) {
            return;
        }
        thread::sleep(PAUSE * 2_u32.pow(tried));
    }
    panic!("{case}: {late:?}");
}

#[test]
fn no_function_goes_on_after_the_deadline() {
    for abi in BOTH {
        let context = Context::new();
        let plugin = plugin(&context, abi);
        for function in abi.functions() {
            if cfg!(feature = "http") || function.name != "http_request" {
                let case = format!("{abi:?} {}", function.name);
                check(&case, &plugin, &format!("run_{}", function.name), REQUEST.as_bytes());
            }
        }
    }
}

/// The memory of blocks moves when it grows.
#[test]
fn no_memory_is_copied_after_the_deadline() {
    const GROW: &str = "(func (export \"grow\") (loop (drop (call $alloc (i64.const 0x100000))) (br 0)))";
    let context = Context::new();
    let keys = format!("\"timeout_ms\": {}", TIMEOUT.as_millis());
    let plugin = context.plugin(manifest(module(Abi::V1, GROW), &keys));
    check("alloc", &plugin, "grow", b"");
}

/// The host copies the input before it calls the function.
#[test]
fn no_input_is_copied_after_the_deadline() {
    let context = Context::new();
    let plugin = context
        .plugin(manifest("(module (func (export \"run\")))", &format!("\"timeout_ms\": {}", TIMEOUT.as_millis())));
    let input = vec![0; 3 << 30];
    check("input", &plugin, "run", &input);
    assert_eq!(plugin.call_only("run", b"short"), 0, "the next call is right");
}
