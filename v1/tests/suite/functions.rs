//! Host functions: values, memory, tokens, contexts, errors.
#![expect(unsafe_code, reason = "tests look at the plugin's memory, and write types that are none")]

use std::ffi::CString;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{ptr, thread};

use extism_v1::ffi::{self, ExtismVal, ExtismValType, ExtismValUnion};

use crate::host::{Compiled, Current, Function, Plugin, bits, caller_of_f};

use ExtismValType::{ExternRef, F32, F64, FuncRef, I32, I64, V128};

#[test]
fn a_callback_reads_its_block_and_returns_another() {
    let upper = Function::of_i64("f", |current, handle| {
        let base = current.memory();
        // SAFETY: the memory's first byte.
        assert_eq!(unsafe { base.read() }, 0);
        let upper = current.bytes(handle).to_ascii_uppercase();
        let block = current.alloc(100_000);
        assert!(block > 0 && block < 1 << 31 && current.bytes(block).iter().all(|byte| *byte == 0));
        assert_eq!(current.memory(), base, "it does not move");
        assert_eq!((current.length(block), current.length(block + 1), current.alloc(0)), (100_000, 0, 0));
        assert_eq!((current.alloc(u64::MAX), current.alloc(1 << 32)), (0, 0));
        current.free(block);
        current.free(block);
        assert_eq!(current.length(block), 0);
        current.block(&upper)
    });
    let plugin = Plugin::new(&caller_of_f(""), &[&upper]);
    for _ in 0..3 {
        assert_eq!(plugin.output_of("run", b"abc"), b"ABC");
    }
}

#[test]
fn values_of_all_types_keep_their_bits() {
    let values: [u64; 4] = [0xffff_fff0, i64::MIN.cast_unsigned(), 0x7fa0_1234, 0x7ff4_0000_dead_beef];
    let types = [I32, I64, F32, F64];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let functions: Vec<_> = (0..4)
        .map(|number| {
            let seen = Arc::clone(&seen);
            Function::new(&format!("f{number}"), &types, &types[number..=number], move |_, inputs, outputs| {
                let types: Vec<_> = inputs.iter().map(|input| input.t).collect();
                assert_eq!(
                    (types.as_slice(), outputs[0].t, bits(&outputs[0])),
                    ([I32, I64, F32, F64].as_slice(), outputs[0].t, 0)
                );
                assert_eq!(outputs[0].t, [I32, I64, F32, F64][number]);
                seen.lock().expect("no panic").push(inputs.iter().map(bits).collect::<Vec<_>>());
                outputs[0].v = inputs[number].v;
                // A type that is none: only the value counts.
                let ty = (&raw mut outputs[0].t).cast::<u32>();
                // SAFETY: a type has four bytes.
                unsafe { ty.write(0xffff_ffff) };
            })
        })
        .collect();
    let arguments =
        "(i32.const -16) (i64.const 0x8000000000000000) (f32.const nan:0x201234) (f64.const nan:0x40000deadbeef)";
    let module = format!(
        r#"(module
            (import "extism:host/user" "f0" (func $f0 (param i32 i64 f32 f64) (result i32)))
            (import "extism:host/user" "f1" (func $f1 (param i32 i64 f32 f64) (result i64)))
            (import "extism:host/user" "f2" (func $f2 (param i32 i64 f32 f64) (result f32)))
            (import "extism:host/user" "f3" (func $f3 (param i32 i64 f32 f64) (result f64)))
            (func (export "run") (result i32)
                (if (i32.ne (call $f0 {arguments}) (i32.const -16)) (then (return (i32.const 1))))
                (if (i64.ne (call $f1 {arguments}) (i64.const 0x8000000000000000)) (then (return (i32.const 2))))
                (if (i32.ne (i32.reinterpret_f32 (call $f2 {arguments})) (i32.const 0x7fa01234)) (then (return (i32.const 3))))
                (i64.ne (i64.reinterpret_f64 (call $f3 {arguments})) (i64.const 0x7ff40000deadbeef))))"#
    );
    let plugin = Plugin::new(&module, &functions.iter().collect::<Vec<_>>());
    assert_eq!((plugin.call("run", b""), plugin.error()), (0, None));
    assert_eq!(*seen.lock().expect("no panic"), vec![values.to_vec(); 4]);
}

#[test]
fn none_and_many_values() {
    let called = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&called);
    // `run` of the tests' host checks that C sees NULL and 0.
    let none = Function::new("none", &[], &[], move |_, _, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    // Singlepass has no imported functions with several results.
    let count = if crate::host::text(ffi::extism_compiler()).as_deref() == Some("singlepass") { 1 } else { 20 };
    let many = Function::new("many", &[I32; 40], &[I64; 20][..count], |_, inputs, outputs| {
        for (number, (output, input)) in outputs.iter_mut().zip(inputs).enumerate() {
            output.v = ExtismValUnion { i64: 1 + 100 * number as i64 + bits(input).cast_signed() };
        }
    });
    let parameters = "i32 ".repeat(40);
    let results = "i64 ".repeat(count);
    let arguments: String = (0..40).map(|number| format!("(i32.const {number})")).collect();
    let sum: usize = (0..count).map(|number| 1 + 101 * number).sum();
    let module = format!(
        r#"(module
            (import "extism:host/user" "none" (func $none))
            (import "extism:host/user" "many" (func $many (param {parameters}) (result {results})))
            (func (export "run") (result i32)
                (call $none)
                (call $many {arguments})
                {}
                i64.const {sum}
                i64.ne))"#,
        "i64.add ".repeat(count - 1)
    );
    let plugin = Plugin::new(&module, &[&none, &many]);
    assert_eq!((plugin.call("run", b""), plugin.error()), (0, None));
    assert_eq!(called.load(Ordering::Relaxed), 1);
}

#[test]
fn the_later_function_of_a_namespace_counts() {
    let number = |name, number: u64| Function::of_i64(name, move |current, _| current.block(&[number as u8]));
    let (first, second) = (number("f", b'1'.into()), number("f", b'2'.into()));
    let other = number("f", b'3'.into()).in_namespace(c"other");
    let plugin = Plugin::new(&caller_of_f(""), &[&first, &second, &other]);
    assert_eq!(plugin.output_of("run", b""), b"2");
    let plugin = Plugin::new(&caller_of_f(""), &[&second, &first]);
    assert_eq!(plugin.output_of("run", b""), b"1");
    // It counts for plugins that are made later, and only for them.
    let second = second.in_namespace(c"elsewhere");
    assert_eq!(plugin.output_of("run", b""), b"1");
    let error = Plugin::try_new(&caller_of_f(""), &[&second], None).expect_err("nobody serves it");
    let expected = "Unable to compile Extism plugin: unknown import: `extism:host/user::f` has not been defined\n\
                    The program has `elsewhere::f`";
    assert_eq!(error, expected);
}

#[test]
fn functions_that_cannot_be_used_are_named() {
    let make = |inputs: &[ExtismValType], outputs: &[ExtismValType]| {
        let function = Function::new("f", inputs, outputs, |_, _, _| {}).in_namespace(c"here");
        Plugin::try_new("(module)", &[&function], None).expect_err("it cannot be used")
    };
    assert_eq!(
        make(&[I32, V128], &[]),
        "host function `here::f`: the type of its parameter 2 is 4 (V128), and must be 0 to 3 (I32, I64, F32, F64)"
    );
    assert!(make(&[], &[FuncRef]).contains("result 1 is 5 (FuncRef)"));
    assert!(make(&[ExternRef], &[]).contains("parameter 1 is 6 (ExternRef)"));
    let wrong = Function::new("f", &[I32], &[I64], |_, _, _| {});
    let error = Plugin::try_new(&caller_of_f(""), &[&wrong], None).expect_err("another type");
    assert!(error.contains("`extism:host/user::f`") && error.contains("i64"), "{error}");
}

#[test]
fn a_callback_can_fail_the_call() {
    let function = Function::of_i64("f", |current, handle| {
        match &*current.bytes(handle) {
            b"fail" => current.fail(Some(c"no such key")),
            b"fail and not" => {
                current.fail(Some(c"no such key"));
                current.fail(None);
            }
            b"empty" => current.fail(Some(c"")),
            b"invalid" => current.fail(Some(c"a\xffb")),
            b"long" => current.fail(Some(&CString::new(vec![b'x'; 2 << 20]).expect("no NUL"))),
            _ => {}
        }
        handle
    });
    let plugin = Plugin::new(&caller_of_f(""), &[&function]);
    assert_eq!(plugin.call("run", b"fail"), -1);
    // The functions of the plugin that were running follow, if they are known.
    assert_eq!(plugin.refusal().lines().next(), Some("no such key"));
    assert_eq!(plugin.output_of("run", b"fail and not"), b"fail and not");
    assert_eq!(plugin.call("run", b"invalid"), -1);
    assert_eq!(plugin.refusal().lines().next(), Some("a\u{fffd}b"));
    assert_eq!(plugin.call("run", b"empty"), -1);
    assert_eq!(plugin.refusal().lines().next(), Some("the host function failed without a text"));
    assert_eq!(plugin.call("run", b"long"), -1);
    assert_eq!(plugin.refusal().lines().next().map(str::len), Some(1 << 20));
    assert_eq!(plugin.output_of("run", b"good"), b"good");
}

#[test]
fn a_token_is_good_in_its_callback_only() {
    fn is_good(current: Current) -> bool {
        let good = !current.memory().is_null();
        let handle = current.alloc(5);
        assert_eq!((good, good), (handle != 0, current.length(handle) == 5));
        current.free(handle);
        current.fail(None);
        good
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tokens = Arc::clone(&seen);
    let function = Function::of_i64("f", move |current, handle| {
        assert!(is_good(current));
        assert!(thread::scope(|scope| scope.spawn(move || !is_good(current)).join().expect("no panic")), "elsewhere");
        let mut tokens = tokens.lock().expect("no panic");
        assert!(tokens.iter().all(|before| *before != current && !is_good(*before)));
        tokens.push(current);
        handle
    });
    let plugin = Plugin::new(&caller_of_f(""), &[&function]);
    for _ in 0..1000 {
        assert_eq!(plugin.output_of("run", b"x"), b"x");
    }
    let tokens = seen.lock().expect("no panic").clone();
    assert!(tokens.iter().all(|before| !is_good(*before)));
    assert!(!is_good(Current(ptr::null_mut())) && !is_good(Current(plugin.0.cast())));
    assert!(!is_good(Current(ptr::without_provenance_mut(usize::MAX))));
}

#[test]
fn a_call_has_its_own_host_context() {
    let inner = Function::of_i64("f", |current, handle| {
        assert!(current.host_context().is_null());
        handle
    });
    let seen = Arc::new(AtomicUsize::new(0));
    let contexts = Arc::clone(&seen);
    let start = r#"(func $start (drop (call $f (i64.const 0)))) (start $start)"#;
    let outer = Function::of_i64("f", move |current, handle| {
        let context = current.host_context();
        // A new plugin and its calls have none, also in a start function; the same plugin's is as before.
        let plugin = Plugin::new(&caller_of_f(start), &[&inner]);
        assert_eq!(plugin.output_of("run", b"y"), b"y");
        assert_eq!(current.host_context(), context);
        contexts.store(context.addr(), Ordering::Relaxed);
        if current.bytes(handle) == b"fail" {
            current.fail(Some(c"failed"));
        }
        handle
    });
    let plugin = Plugin::new(&caller_of_f(""), &[&outer]);
    for (input, context, code) in [("a", 5, 0), ("fail", 6, -1), ("a", 0, 0), ("a", 7, 0)] {
        assert_eq!(plugin.call_with("run", input.as_bytes(), ptr::without_provenance_mut(context)), code);
        assert_eq!(seen.load(Ordering::Relaxed), context);
    }
}

#[test]
fn a_start_function_can_call_the_host() {
    let length = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&length);
    let function = Function::of_i64("f", move |current, argument| {
        if argument == 77 {
            let block = current.block(b"12345");
            seen.fetch_add(current.length(block), Ordering::Relaxed);
        }
        argument
    });
    let start = r#"(func $start (drop (call $f (i64.const 77)))) (start $start)"#;
    let compiled = Compiled::try_new(&caller_of_f(start), &[&function], None).expect("it compiles");
    assert_eq!(length.load(Ordering::Relaxed), 0, "nothing has run");
    let plugin = compiled.instance().expect("it starts");
    assert_eq!(length.load(Ordering::Relaxed), 5);
    assert_eq!(plugin.output_of("run", b"x"), b"x");
    assert_eq!(length.load(Ordering::Relaxed), 5, "once");
}

/// Values are read by their declared type, whatever else is in their place.
#[test]
fn the_size_of_a_value_is_that_of_the_header() {
    assert_eq!((size_of::<ExtismVal>(), size_of::<ExtismValType>(), size_of::<ExtismValUnion>()), (16, 4, 8));
}
