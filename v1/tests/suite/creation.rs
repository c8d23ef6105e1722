//! Making plugins and compiled plugins, and what they have for themselves.
#![expect(unsafe_code, reason = "the C functions take and return pointers")]

use std::collections::BTreeSet;
use std::{ptr, slice, thread};

use extism_capi::boolean::BoolArg;
use extism_v1::ffi;

use crate::host::{Compiled, Function, Plugin, caller_of_f};

/// A module that makes the value of `key` in its configuration its output.
const CONFIGURED: &str = r#"(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (func (export "run") (local $block i64)
        (local.set $block (call $alloc (i64.const 3)))
        (call $store (local.get $block) (i32.const 0x6b))
        (call $store (i64.add (local.get $block) (i64.const 1)) (i32.const 0x65))
        (call $store (i64.add (local.get $block) (i64.const 2)) (i32.const 0x79))
        (local.set $block (call $config (local.get $block)))
        (call $output (local.get $block) (call $length (local.get $block)))))"#;

#[test]
fn the_texts_say_where_it_failed() {
    let new = |input: &str| Plugin::try_new(input, &[], None).expect_err("it fails");
    let compile = |input: &str| Compiled::try_new(input, &[], None).expect_err("it fails");
    for text in [new("garbage"), compile("garbage"), new("{}"), new(&caller_of_f(""))] {
        assert!(text.starts_with("Unable to compile Extism plugin: "), "{text}");
    }
    assert_eq!(
        new(&caller_of_f("")),
        "Unable to compile Extism plugin: unknown import: `extism:host/user::f` has not been defined"
    );
    let trap = "(module (func $start unreachable) (start $start))";
    let text = new(trap);
    assert!(text.starts_with("Unable to compile Extism plugin: ") && text.contains("wasm trap: unreachable"), "{text}");
    let instance = |input: &str, fuel| Compiled::try_new(input, &[], fuel).expect("it compiles").instance();
    let endless = "(module (func $start (loop (br 0))) (start $start))";
    let fuel = |input: &str| Plugin::try_new(input, &[], Some(1000)).expect_err("it fails");
    for (text, part) in [
        (instance(&caller_of_f(""), None).err(), "unknown import: `extism:host/user::f`"),
        (instance(trap, None).err(), "wasm trap: unreachable"),
        (instance(endless, Some(1000)).err(), "fuel"),
        (Some(fuel(endless)), "fuel"),
    ] {
        let text = text.expect("it fails");
        assert!(text.starts_with("Unable to create Extism plugin: ") && text.contains(part), "{text}");
    }
    let text = new(trap);
    assert!(text.starts_with("Unable to compile Extism plugin: ") && text.contains("wasm trap: unreachable"), "{text}");
}

#[test]
fn pointers_that_cannot_be_used_are_told() {
    let new = |wasm: *const u8, size, functions: &mut [*const ffi::ExtismFunction]| {
        let (functions, count) = (functions.as_mut_ptr(), functions.len() as u64);
        let mut message = ptr::null_mut();
        // SAFETY: the library must take NULL, and functions that are none.
        let plugin =
            unsafe { ffi::extism_plugin_new(wasm, size, functions, count, BoolArg::from(false), &raw mut message) };
        assert!(plugin.is_null());
        let text = crate::host::text(message).expect("written");
        ffi::extism_plugin_new_error_free(message);
        text
    };
    let module = "(module)";
    let (wasm, size) = (module.as_ptr(), module.len() as u64);
    assert_eq!(new(wasm, size, &mut [ptr::null()]), "Cannot pass null pointer");
    let function = Function::of_i64("f", |_, handle| handle);
    let stale = function.0.cast_const();
    drop(function);
    assert!(new(wasm, size, &mut [stale]).starts_with("functions[0] has been freed"));
    assert!(new(ptr::null(), 7, &mut []).contains("`wasm` is NULL"));
    // SAFETY: NULL for the text, and no functions, whatever their number is.
    let plugin =
        unsafe { ffi::extism_plugin_new(wasm, size, ptr::null_mut(), 7, BoolArg::from(false), ptr::null_mut()) };
    assert!(!plugin.is_null());
    ffi::extism_plugin_free(plugin);
    for compiled in [ptr::null(), plugin.cast_const().cast()] {
        let mut message = ptr::null_mut();
        // SAFETY: the library must take what is no compiled plugin.
        assert!(unsafe { ffi::extism_plugin_new_from_compiled(compiled, &raw mut message) }.is_null());
        let text = crate::host::text(message).expect("written");
        assert!(text.starts_with("Unable to create Extism plugin: `compiled` is NULL"), "{text}");
        ffi::extism_plugin_new_error_free(message);
        // SAFETY: as above.
        assert!(unsafe { ffi::extism_plugin_new_from_compiled(compiled, ptr::null_mut()) }.is_null());
    }
}

#[test]
fn instances_have_their_own_configuration_and_id() {
    let compiled = Compiled::try_new(CONFIGURED, &[], None).expect("it compiles");
    let (one, two) = (compiled.instance().expect("it starts"), compiled.instance().expect("it starts"));
    drop(compiled);
    assert!(one.configure(r#"{"key": "one", "other": null}"#));
    assert_eq!((one.output_of("run", b""), two.output_of("run", b"")), (b"one".to_vec(), Vec::new()));
    for wrong in ["", "7", r#"{"key": 7}"#, r#"{"key": "two", "other": []}"#] {
        assert!(!one.configure(wrong), "{wrong}");
    }
    assert_eq!(one.output_of("run", b""), b"one", "nothing applied");
    assert!(one.configure(r#"{"key": null}"#));
    assert_eq!(one.output_of("run", b""), b"");
    let ids: BTreeSet<_> = [&one, &two, &one].map(id).into();
    assert_eq!(ids.len(), 2);
    let address = ffi::extism_plugin_id(one.0);
    assert_eq!(one.call("missing", b""), -1);
    assert_eq!(ffi::extism_plugin_id(one.0), address);
}

/// The id of a plugin, which is a UUID of version 4.
fn id(plugin: &Plugin) -> [u8; 16] {
    // SAFETY: the library promises 16 bytes.
    let id: [u8; 16] = unsafe { slice::from_raw_parts(ffi::extism_plugin_id(plugin.0), 16) }.try_into().expect("16");
    assert_eq!((id[6] >> 4, id[8] >> 6), (4, 2));
    id
}

#[test]
fn threads_make_and_call_instances_of_one_compiled_plugin() {
    let echo = Function::of_i64("f", |_, handle| handle);
    let compiled = &Compiled::try_new(&caller_of_f(""), &[&echo], None).expect("it compiles");
    thread::scope(|scope| {
        for number in 0..8_u8 {
            scope.spawn(move || {
                for _ in 0..20 {
                    let plugin = compiled.instance().expect("it starts");
                    assert_eq!(plugin.output_of("run", &[number]), [number]);
                }
            });
        }
    });
}

#[test]
fn the_version_begins_with_the_interfaces() {
    let version = crate::host::text(ffi::extism_version()).expect("a text");
    assert!(version.starts_with("1.41."), "{version}");
}
