//! Tests of host functions: their types, what they see of the plugin, and which import they serve.

use std::ffi::CStr;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use crate::compiler;

use super::{CallFailure, CurrentPlugin, FailureKind, HostFunction, Options, Plugin, PluginError, Val, ValType};

const TYPES: [ValType; 4] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];

fn function(
    namespace: &str,
    name: &str,
    types: (&[ValType], &[ValType]),
    body: impl Fn(&mut CurrentPlugin<'_>, &[Val], &mut [Val]) -> Result<(), String> + Send + Sync + 'static,
) -> HostFunction {
    let (parameters, results) = types;
    HostFunction {
        namespace: namespace.into(),
        name: name.into(),
        parameters: parameters.into(),
        results: results.into(),
        body: Arc::new(body),
    }
}

fn plugin(wat: &str, functions: Vec<HostFunction>) -> Result<Plugin, PluginError> {
    Plugin::new(wat.as_bytes(), Options { functions, ..Options::default() })
}

fn call(plugin: &mut Plugin, name: &CStr) -> Result<i32, Box<CallFailure>> {
    plugin.call(name, b"")
}

/// A number of this type that has all its bits in use; a NaN with a payload for floats.
fn sample(ty: ValType, number: u32) -> Val {
    match ty {
        ValType::I32 => Val::I32(-7 - number.cast_signed()),
        ValType::I64 => Val::I64(-0x1234_5678_9abc - i64::from(number)),
        ValType::F32 => Val::F32(0x7fa0_0001 + number),
        ValType::F64 => Val::F64(0xfff4_0000_0000_0001 + u64::from(number)),
    }
}

fn name(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "i32",
        ValType::I64 => "i64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
    }
}

/// An instruction that pushes `value`.
fn push(value: Val) -> String {
    match value {
        Val::I32(number) => format!("i32.const {number}"),
        Val::I64(number) => format!("i64.const {number}"),
        Val::F32(bits) => format!("i32.const {} f32.reinterpret_i32", bits.cast_signed()),
        Val::F64(bits) => format!("i64.const {} f64.reinterpret_i64", bits.cast_signed()),
    }
}

/// Instructions that add 1 to local 0 if the value on the stack is not `value`, bit for bit.
fn check(value: Val) -> String {
    let compare = match value {
        Val::I32(_) => "i32.ne",
        Val::I64(_) => "i64.ne",
        Val::F32(bits) => return format!("i32.reinterpret_f32 {}", check(Val::I32(bits.cast_signed()))),
        Val::F64(bits) => return format!("i64.reinterpret_f64 {}", check(Val::I64(bits.cast_signed()))),
    };
    format!("{} {compare} local.get 0 i32.add local.set 0", push(value))
}

/// Each list of up to `most` types.
fn lists(most: usize) -> Vec<Vec<ValType>> {
    let mut all = vec![vec![]];
    let mut last = all.clone();
    for _ in 0..most {
        last = last.iter().flat_map(|list| TYPES.map(|ty| [list.as_slice(), &[ty]].concat())).collect();
        all.extend(last.clone());
    }
    all
}

#[test]
fn numbers_of_all_types_arrive_bit_for_bit() {
    let parameters = [lists(3), vec![vec![ValType::I64; 4], TYPES.repeat(5)]].concat();
    let mut results = lists(1);
    // Singlepass takes no imported functions with several results.
    if compiler::chosen() != Some(c"singlepass") {
        results.extend([vec![ValType::I64, ValType::F64], TYPES.to_vec()]);
    }
    let (mut imports, mut calls, mut functions) = (String::new(), String::new(), Vec::new());
    let samples = |types: &[ValType]| types.iter().zip(0..).map(|(ty, number)| sample(*ty, number)).collect::<Vec<_>>();
    for parameters in &parameters {
        for results in &results {
            let number = functions.len();
            let (arguments, returned) = (samples(parameters), samples(results));
            let names = |types: &[ValType]| types.iter().map(|ty| name(*ty)).collect::<Vec<_>>().join(" ");
            let (of, to) = (names(parameters), names(results));
            let _ = writeln!(imports, r#"(import "host" "f{number}" (func $f{number} (param {of}) (result {to})))"#);
            arguments.iter().for_each(|value| calls.extend([push(*value), " ".to_owned()]));
            let _ = write!(calls, "call $f{number} ");
            returned.iter().rev().for_each(|value| calls.extend([check(*value), " ".to_owned()]));
            let types = (parameters.as_slice(), results.as_slice());
            functions.push(function("host", &format!("f{number}"), types, move |_, given, out| {
                if given != arguments
                    || out.iter().any(|value| ![Val::I32(0), Val::I64(0), Val::F32(0), Val::F64(0)].contains(value))
                {
                    return Err(format!("{given:?} for {arguments:?}"));
                }
                out.copy_from_slice(&returned);
                Ok(())
            }));
        }
    }
    let wat = format!(r#"(module {imports} (func (export "run") (result i32) (local i32) {calls} local.get 0))"#);
    let mut plugin = plugin(&wat, functions).expect("valid");
    assert_eq!(call(&mut plugin, c"run").map_err(|failure| failure.text()), Ok(0));
}

const ONE: (&[ValType], &[ValType]) = (&[ValType::I64], &[ValType::I64]);

/// Calls `host::f` with the offset of the input, and makes the block that it returns the output.
const THROUGH: &str = r#"(module
    (import "host" "f" (func $f (param i64) (result i64)))
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (func (export "run") (local i64)
        (local.set 0 (call $f (call $input)))
        (call $output (local.get 0) (call $length (local.get 0)))))"#;

#[test]
#[expect(unsafe_code, reason = "host functions access memory by address")]
fn blocks_are_new_and_the_memory_stays() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let body = {
        let seen = Arc::clone(&seen);
        move |plugin: &mut CurrentPlugin<'_>, arguments: &[Val], results: &mut [Val]| {
            let [Val::I64(input)] = *arguments else { return Err("an i64".to_owned()) };
            let before = plugin.memory();
            let (length, block) = (plugin.length(input.cast_unsigned()), plugin.alloc(100 << 20));
            assert_eq!(plugin.memory(), before, "a hundred MiB more, and at the same place");
            seen.lock().expect("no panic").push((length, block));
            assert!(block != 0 && plugin.length(block) == 100 << 20);
            assert_eq!((plugin.length(block + 1), plugin.alloc(0)), (0, 0));
            assert_eq!((plugin.alloc(u64::MAX), plugin.alloc(3 << 30)), (0, 0), "no room, or not below 2 GiB");
            let last = before.wrapping_add(usize::try_from(block).expect("64 bits") + (100 << 20) - 1);
            // SAFETY: the last byte of the block, which is in the memory.
            let was = unsafe { last.replace(7) };
            assert_eq!(was, 0);
            plugin.free(block);
            plugin.free(block);
            let again = plugin.alloc(100 << 20);
            let last = before.wrapping_add(usize::try_from(again).expect("64 bits") + (100 << 20) - 1);
            // SAFETY: as above.
            assert_eq!(unsafe { last.read() }, 0, "a new block in the same place");
            // SAFETY: as above.
            unsafe { last.write(9) };
            results[0] = Val::I64(again.cast_signed());
            Ok(())
        }
    };
    let mut plugin = plugin(THROUGH, vec![function("host", "f", ONE, body)]).expect("valid");
    for _ in 0..2 {
        assert_eq!(plugin.call(c"run", b"input").map_err(|failure| failure.text()), Ok(0));
        let output = plugin.output_bytes();
        assert_eq!((output.len(), output.last()), (100 << 20, Some(&9)));
    }
    let seen = seen.lock().expect("no panic").clone();
    assert!(seen.len() == 2 && seen[0] == seen[1] && seen[0].0 == 5, "{seen:?}");
}

#[test]
fn an_error_ends_the_call_with_its_text() {
    let body = |_: &mut CurrentPlugin<'_>, _: &[Val], _: &mut [Val]| Err("the database is closed".to_owned());
    let mut plugin = plugin(THROUGH, vec![function("host", "f", ONE, body)]).expect("valid");
    let failure = call(&mut plugin, c"run").expect_err("fails");
    let host = failure.host.expect("the host's");
    assert_eq!((failure.code, host.kind, host.reason.as_str()), (-1, FailureKind::Fault, "the database is closed"));
}

/// A module that returns what `module::name` returns, and the result or the error with these host functions.
fn who_serves(module: &str, name: &str, functions: &[(&str, &str, i32)]) -> Result<i32, String> {
    let wat = format!(
        r#"(module (import "{module}" "{name}" (func $f (result i32))) (func (export "run") (result i32) (call $f)))"#
    );
    let make = |(namespace, name, number): &(&str, &str, i32)| {
        let number = *number;
        function(namespace, name, (&[], &[ValType::I32]), move |_, _, results| {
            results[0] = Val::I32(number);
            Ok(())
        })
    };
    let mut plugin = plugin(&wat, functions.iter().map(make).collect()).map_err(|error| error.to_string())?;
    call(&mut plugin, c"run").map_err(|failure| failure.text())
}

#[test]
fn imports_are_found_by_namespace_and_name() {
    for (module, name, functions, expected) in [
        ("a", "f", &[("a", "f", 1)][..], Ok(1)),
        ("a", "f", &[("a", "f", 1), ("b", "f", 2), ("a", "g", 3)], Ok(1)),
        // Of two equal ones the later counts.
        ("a", "f", &[("a", "f", 1), ("a", "f", 2)], Ok(2)),
        // They may stand for functions of the guest ABIs.
        ("extism:host/env", "get_log_level", &[("extism:host/env", "get_log_level", 7)], Ok(7)),
        ("wasi_snapshot_preview1", "sched_yield", &[("wasi_snapshot_preview1", "sched_yield", 8)], Ok(8)),
        ("a", "f", &[("b", "f", 1)], Err("unknown import: `a::f` has not been defined\nThe program has `b::f`")),
        ("extism:host/env", "f", &[("b", "f", 1), ("c", "f", 2), ("d", "g", 2)], Err("\nThe program has `c::f`")),
        ("a", "f", &[("a", "g", 1)], Err("unknown import: `a::f` has not been defined")),
        (
            "extism:host/env",
            "input_length",
            &[("extism:host/env", "input_length", 1)],
            Err("cannot take the place of Extism's own function"),
        ),
        (
            "env",
            "extism_input_length",
            &[("env", "extism_input_length", 1)],
            Err("cannot take the place of Extism's own function"),
        ),
    ] {
        match (who_serves(module, name, functions), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{module}::{name}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{module}::{name}: {error}"),
            (found, _) => panic!("{module}::{name}: {found:?} for {expected:?}"),
        }
    }
}

#[test]
fn a_function_of_another_type_is_refused_by_name() {
    let body = |_: &mut CurrentPlugin<'_>, _: &[Val], _: &mut [Val]| Ok(());
    let refused = plugin(THROUGH, vec![function("host", "f", (&[ValType::I32], &[]), body)]);
    let error = refused.err().map(|error| error.to_string()).unwrap_or_default();
    let expected = "expected a function (i64) -> (i64), found a function (i32) -> (): the first is the plugin's import";
    assert!(error.contains("`host::f`") && error.contains(expected), "{error}");
}

#[test]
fn tables_and_references_call_them_too() {
    const WAT: &str = r#"(module
        (import "host" "f" (func $f (param i64) (result i64)))
        (memory 1) (data (i32.const 0) "own memory")
        (table 2 funcref) (elem (i32.const 1) $f)
        (elem declare func $f)
        (type $t (func (param i64) (result i64)))
        (func (export "run") (result i32)
            (table.set (i32.const 0) (ref.func $f))
            (i32.wrap_i64 (i64.add
                (call_indirect (type $t) (i64.const 1) (i32.const 0))
                (call_indirect (type $t) (i64.const 10) (i32.const 1))))))"#;
    let body = |_: &mut CurrentPlugin<'_>, arguments: &[Val], results: &mut [Val]| {
        let [Val::I64(number)] = *arguments else { return Err("an i64".to_owned()) };
        results[0] = Val::I64(2 * number);
        Ok(())
    };
    let mut plugin = plugin(WAT, vec![function("host", "f", ONE, body)]).expect("valid");
    assert_eq!(call(&mut plugin, c"run").map_err(|failure| failure.text()), Ok(22));
}

#[test]
#[expect(unsafe_code, reason = "host functions access memory by address")]
fn the_first_byte_is_0_whatever_the_plugin_stores() {
    const WAT: &str = r#"(module
        (import "host" "f" (func $f (param i64) (result i64)))
        (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
        (func (export "run") (result i32)
            (call $store (i64.const 0) (i32.const 65))
            (i32.wrap_i64 (call $f (i64.const 0)))))"#;
    let body = |plugin: &mut CurrentPlugin<'_>, _: &[Val], results: &mut [Val]| {
        // SAFETY: the memory has at least a page, and the plugin waits.
        results[0] = Val::I64(i64::from(unsafe { plugin.memory().read() }));
        Ok(())
    };
    let mut plugin = plugin(WAT, vec![function("host", "f", ONE, body)]).expect("valid");
    assert_eq!(call(&mut plugin, c"run").map_err(|failure| failure.text()), Ok(0));
}
