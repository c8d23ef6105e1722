//! Bounds on what a plugin or a careless caller can use up or break: tables, names, texts, memory of earlier calls.

#[cfg(feature = "cranelift")]
mod compiling;

use std::fs;

use crate::child;
use crate::host::{Compiler, Context, fixture, manifest};
use crate::linking::modules;

/// A module that puts the name of a function, `g`, into its output.
const SAYS: &str = r#"
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store (param i64 i32)))
    (import "env" "extism_output_set" (func $output (param i64 i64)))
    (import "env" "extism_input_length" (func $length (result i64)))
    (func $say (param $first i32) (local $at i64)
        (local.set $at (call $alloc (i64.const 2)))
        (call $store (local.get $at) (local.get $first))
        (call $output (local.get $at) (i64.const 2)))
    (func (export "say") (call $say (i32.const 0x67)))
    (func (export "_start") (call $say (i32.const 0x67)))
    (func (export "g") (result i32) (i32.add (i32.const 100) (i32.wrap_i64 (call $length))))"#;

/// The library reads the function's name before it clears, overwrites or frees the output in which the name stands.
#[test]
fn a_name_may_stand_in_the_output() {
    for (speaker, input) in [("say", 0), ("say", 3), ("say", 70_000), ("_start", 0), ("_start", 70_000)] {
        let context = Context::new();
        let plugin = context.plugin(format!("(module {SAYS})"));
        assert_eq!(plugin.answer(speaker, ""), "g\0");
        assert_eq!(plugin.call_named_by_output(&vec![b'x'; input]), 100 + i32::try_from(input).expect("small"));
    }
}

#[test]
fn a_call_without_a_name_leaves_no_output() {
    let context = Context::new();
    let plugin = context.plugin(format!("(module {SAYS})"));
    plugin.answer("say", "");
    assert_eq!(plugin.call_nameless(), -1);
    assert!(context.error(plugin.id).is_some_and(|error| error.contains("`func_name` is NULL")));
    assert!(plugin.output().is_empty());
}

/// Each memory reserves address space, however small it is.
#[test]
fn memories_leave_address_space_for_others() {
    child::alone("bounds::memories_leave_address_space_for_others", || {
        let context = Context::new();
        let few = format!("(module {})", "(memory 0)".repeat(8));
        let many = format!("(module {})", "(memory 0)".repeat(100));
        match context.create(modules([("a", &many), ("b", &many), ("main", &many)]), false) {
            Ok(plugin) => {
                assert_eq!(Compiler::in_use(), "llvm", "its linked memories are no reservations");
                plugin.free();
            }
            Err(error) => assert!(error.contains("a plugin has at most 264"), "{error}"),
        }
        let mut plugins = Vec::new();
        let error = loop {
            match context.create(&many, false) {
                Ok(plugin) => plugins.push(plugin),
                Err(error) => break error,
            }
        };
        assert!(error.contains("beyond 8 of a plugin there is no more for any plugin"), "{error}");
        assert_eq!(plugins.len(), 44);
        for _ in 0..100 {
            context.plugin(&few);
        }
        plugins.pop().expect("one").free();
        context.plugin(&many).free();
        context.plugin(&many);
    });
}

#[test]
fn tables_are_bounded() {
    let context = Context::new();
    let many = "(table 134217728 funcref)".repeat(100);
    for tables in ["(table 10000001 funcref)", "(table 134217728 funcref)", "(table 0xffffffff externref)", &many] {
        let error = context.refusal(format!("(module {tables})"));
        assert!(error.contains("tables of more than 10000000 elements together"), "{error}");
    }
    let few = |module: &str| manifest(module, r#""memory": {"max_table_elements": 100}"#);
    let error = context.refusal(few("(module (table 101 funcref))"));
    assert!(error.contains("tables of more than 100 elements together (memory.max_table_elements)"), "{error}");
    let growing = r#"(module (table 40 funcref) (table 0 funcref)
        (func (export "grow") (result i32) (table.grow 0 (ref.null func) (i32.const 10)))
        (func (export "other") (result i32) (table.grow 1 (ref.null func) (i32.const 30))))"#;
    let plugin = context.plugin(few(growing));
    let grown: Vec<i32> = (0..4).map(|_| plugin.call_only("grow", b"")).collect();
    assert_eq!(grown, [40, 50, 60, -1], "half of what is left is for one");
    assert_eq!([plugin.call_only("other", b""), plugin.call_only("other", b"")], [0, -1]);
    let library = r#"(module (table 400 funcref) (func (export "_start")) (func (export "f")))"#;
    let beside = r#"(module (import "lib" "f" (func)) (table 10 funcref)
        (func (export "grow") (result i32) (table.grow 0 (ref.null func) (i32.const 5))))"#;
    let linked = modules([("lib", library), ("main", beside)]);
    let linked = crate::stop::with(&linked, "memory", serde_json::json!({"max_table_elements": 100_000}));
    assert_eq!(context.plugin(linked).call_only("grow", b""), 10, "beside a command library");
    context.plugin(manifest("(module (table 1 funcref))", r#""memory": {"max_table_elements": 4294967295}"#)).free();
    for tables in ["(table 0 funcref) (table 6000000 funcref)", "(table 6000000 funcref) (table 0 funcref)"] {
        context.plugin(format!("(module {tables})")).free();
    }
    let grows = |tables: &str| {
        context.plugin(format!(
            "(module {tables} (func (export \"grow\") (result i32)
                (drop (table.grow (ref.null func) (i32.const 4000)))
                (table.grow (ref.null func) (i32.const 0x7fffffff))))"
        ))
    };
    for tables in ["(table 5 funcref)", "(table 5 20000000 funcref)"] {
        assert_eq!(grows(tables).call_only("grow", b""), -1, "{tables}");
        assert_eq!(context.error(0), None);
    }
    let exact = format!(
        "(module {} (func (export \"grow\") (result i32) (table.grow 3 (ref.null func) (i32.const 1000000))))",
        "(table 0 funcref)".repeat(10)
    );
    let plugin = context.plugin(exact);
    assert_eq!(plugin.call_only("grow", b""), 0, "each of ten tables has a tenth");
    assert_eq!(plugin.call_only("grow", b""), -1);
}

#[test]
fn logs_are_bounded() {
    use std::sync::Mutex;
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    crate::child::alone("bounds::logs_are_bounded", || {
        crate::log::install(::log::LevelFilter::Info, |record| {
            SEEN.lock().expect("no panic").push(record.args().to_string())
        });
        let seen = || std::mem::take(&mut *SEEN.lock().expect("no panic"));
        let logging = r#"(module (import "env" "extism_log_info" (func $log (param i64)))
            (import "env" "extism_log_debug" (func $debug (param i64)))
            (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
            (func (export "log") (local $left i32) (local $block i64)
                (local.set $block (call $alloc (i64.const 936)))
                (local.set $left (i32.const 100))
                (loop (call $log (local.get $block)) (call $debug (local.get $block))
                    (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;
        let context = Context::new();
        // A message of 936 zeros is a line of 4,680 bytes, as each is escaped; a line counts 64 bytes more.
        let plugin = context.plugin(manifest(logging, r#""memory": {"max_log_bytes": 24000}"#));
        for _ in 0..2 {
            assert_eq!(plugin.call_only("log", b""), 0);
            let lines = seen();
            assert_eq!(lines.len(), 6, "five lines, and a last one");
            let last = "the plugin has logged 24000 bytes (memory.max_log_bytes): this call logs no more";
            assert_eq!((lines[4].len(), lines[5].as_str()), (936 * 5, last));
        }
        assert_eq!(context.plugin(logging).call_only("log", b""), 0);
        assert_eq!(seen().len(), 100);
        let plugin = context.plugin(manifest(logging, r#""memory": {"max_log_bytes": 0}"#));
        assert_eq!((plugin.call_only("log", b""), seen().len()), (0, 0));
        #[cfg(feature = "wasi")]
        for (max, expected) in [(1000, vec!["begun".to_owned()]), (0, Vec::new())] {
            let writing = r#"(module
                (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\05\00\00\00begun")
                (func (export "write") (result i32)
                    (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100))))"#;
            let memory = format!(r#""memory": {{"max_log_bytes": {max}}}"#);
            let plugin = context.create(manifest(writing, &memory), true).expect("a plugin");
            assert_eq!((plugin.call_only("write", b""), seen().len()), (0, 0), "the line has not ended");
            plugin.free();
            assert_eq!(seen(), expected, "with the instance it has");
        }
    });
}

/// A backtrace repeats a function's name for every frame, so names are cut.
#[test]
fn long_names_do_not_make_long_errors() {
    let name = "n".repeat(90_000);
    let context = Context::new();
    let plugin = context.plugin(format!(
        "(module (func ${name} (param $left i32)
            (if (i32.eqz (local.get $left)) (then unreachable))
            (call ${name} (i32.sub (local.get $left) (i32.const 1))))
         (func (export \"trap\") (call ${name} (i32.const 500))))"
    ));
    let answer = plugin.call("trap", "");
    assert_eq!(answer.code, -1);
    assert!(answer.error().contains(&"n".repeat(256)) && answer.error().len() < 16_384, "{}", answer.error().len());
}

/// The host keeps a bounded part of a plugin's error text and says how many bytes it left out.
#[test]
fn errors_are_cut() {
    for kitchen in ["kitchen.v0", "kitchen.v1"] {
        let context = Context::new();
        let plugin = context.plugin(fixture(kitchen));
        let answer = plugin.call("error", "é".repeat(3 << 20));
        assert_eq!(answer.code, 1);
        assert!(answer.error().len() < (1 << 20) + 100, "{kitchen}: {}", answer.error().len());
        assert!(answer.error().ends_with("... 5242880 more bytes"), "{kitchen}");
    }
}

#[test]
fn messages_are_cut() {
    const TEST: &str = "bounds::messages_are_cut";
    child::alone(TEST, || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        assert!(crate::log::set(path.to_str(), Some("info")));
        for kitchen in ["kitchen.v0", "kitchen.v1"] {
            let context = Context::new();
            let message = format!("warn:{}", "\u{7f}".repeat(32 << 20));
            assert_eq!(context.plugin(fixture(kitchen)).answer("log", message), "");
            let log = fs::read_to_string(&path).expect("it is written");
            assert!(log.len() < 1 << 20 && log.contains("more bytes"), "{kitchen}: {}", log.len());
        }
    });
}

#[cfg(feature = "compiler")]
#[test]
fn proposals_that_cannot_be_bounded_are_off() {
    let context = Context::new();
    for (module, reason) in [
        ("(module (memory 1 1 shared))", "threads"),
        // This function would wait for another thread to wake it, and there is none.
        (
            r#"(module (memory 1) (func (export "f") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"#,
            "threads",
        ),
        ("(module (tag) (func (export \"f\") (throw 0)))", "exceptions"),
        ("(module (memory i64 1))", "memory64"),
    ] {
        let error = context.refusal(module);
        assert!(error.contains(reason) && error.contains("module `main`"), "{error}");
    }
}

#[test]
fn the_number_of_modules_is_bounded() {
    let entries = |count: usize| {
        let entry = |number: usize| format!("{{\"name\": \"m{number:03}\", \"data\": \"AGFzbQEAAAA=\"}}");
        format!("{{\"wasm\": [{}]}}", (0..count).map(entry).collect::<Vec<_>>().join(","))
    };
    let context = Context::new();
    assert!(context.refusal(entries(257)).contains("257 modules, above the limit of 256"));
    context.plugin(entries(40));
}

/// The memory that one huge call used is given back to the system at the next call.
#[test]
fn huge_input_is_given_back() {
    child::alone("bounds::huge_input_is_given_back", || {
        let resident = || {
            let status = fs::read_to_string("/proc/self/status").expect("Linux");
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is there");
            line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number")
        };
        let context = Context::new();
        let plugin = context.plugin(fixture("echo.v0"));
        plugin.answer("empty", "");
        let before = resident();
        let huge = vec![1_u8; 100 << 20];
        assert_eq!(plugin.call_only("echo", &huge), 0);
        drop(huge);
        assert!(resident() > before + (150 << 10), "it was in memory");
        plugin.answer("empty", "");
        assert!(resident() < before + (10 << 10), "{before} KB before, {} KB after", resident());
        assert_eq!(plugin.answer("echo", "still works"), "still works");
    });
}

/// The instances of a command library count against the plugin's pages, and the error says what to do.
#[test]
fn command_libraries_that_use_up_the_pages_say_so() {
    let library = "(module (memory 2) (func (export \"_start\")) (func (export \"f\") (result i32) (i32.const 1)))";
    let main = "(module (import \"lib\" \"f\" (func $f (result i32))) (func (export \"run\") (result i32) (call $f)))";
    let entry = |name: &str, module: &str| {
        let mut data = String::new();
        crate::host::base64(module.as_bytes(), &mut data);
        format!("{{\"name\": \"{name}\", \"data\": \"{data}\"}}")
    };
    let context = Context::new();
    let manifest = format!(
        "{{\"wasm\": [{}, {}], \"memory\": {{\"max_pages\": 16}}}}",
        entry("lib", library),
        entry("main", main)
    );
    let plugin = context.plugin(manifest);
    let codes: Vec<i32> = (0..8).map(|_| plugin.call_only("run", b"")).collect();
    assert_eq!(codes, [1, 1, 1, 1, 1, 1, 1, -1]);
    let error = context.error(plugin.id).expect("the last one failed");
    for part in ["command library `lib`", "memory.max_pages", "build it as a reactor"] {
        assert!(error.contains(part), "{error}");
    }
}

/// The globals of Extism's own implementation in WebAssembly can be imported.
#[test]
fn what_stands_beside_the_host_functions_is_there() {
    let context = Context::new();
    let plugin = context.plugin(
        "(module
            (import \"extism:host/env\" \"__data_end\" (global $end i32))
            (import \"extism:host/env\" \"__heap_base\" (global $base i32))
            (import \"extism:host/env\" \"extism_context\" (global $context (mut externref)))
            (func (export \"test\") (result i32)
                (i32.and (i32.le_u (global.get $end) (global.get $base)) (ref.is_null (global.get $context)))))",
    );
    assert_eq!(plugin.call_only("test", b""), 1);
}

/// Only regular files are read as modules; the library does not wait for any other kind of file.
#[test]
fn modules_are_regular_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().expect("coreutils").success());
    std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket");
    fs::create_dir(at("directory")).expect("writable");
    std::os::unix::fs::symlink("/dev/zero", at("link")).expect("writable");
    std::os::unix::fs::symlink("loop", at("loop")).expect("writable");
    let cases = [
        (at("fifo"), "is not a regular file"),
        (at("socket"), "No such device or address"),
        (at("directory"), "is not a regular file"),
        (at("link"), "is not a regular file"),
        (at("loop"), "Too many levels of symbolic links"),
        (at("nothing"), "No such file or directory"),
        ("/dev/zero".to_owned(), "is not a regular file"),
        ("/dev/tty".to_owned(), ""),
        // The contents of these files are longer than they say, or cannot be read.
        ("/proc/self/mem".to_owned(), "Input/output error"),
        ("/proc/kmsg".to_owned(), ""),
    ];
    let context = Context::new();
    for (path, expected) in cases {
        for hash in ["", &format!(r#", "hash": "{}""#, "0".repeat(64))] {
            let start = std::time::Instant::now();
            let error = context.refusal(format!(r#"{{"wasm": [{{"path": "{path}"{hash}}}]}}"#));
            assert!(start.elapsed().as_secs() < 5, "{path}");
            let is_headless = cfg!(not(feature = "compiler")) && !hash.is_empty();
            assert!(is_headless || error.contains(&path) && error.contains(expected), "{path}: {error}");
        }
    }
}

/// The limits that WebAssembly engines have agreed on, <https://webassembly.github.io/spec/js-api/#limits>. The error
/// names the part of which a module has too many.
#[cfg(feature = "compiler")]
#[test]
fn a_module_s_parts_are_counted() {
    /// A module of one section, which has `count` times `item`.
    fn module(section: u8, count: u32, item: &[u8]) -> Vec<u8> {
        let number = |mut number: u32| {
            let mut bytes = Vec::new();
            while number > 127 {
                bytes.push(number as u8 | 128);
                number >>= 7;
            }
            bytes.push(number as u8);
            bytes
        };
        let contents = [number(count), item.repeat(count as usize)].concat();
        [b"\0asm\x01\0\0\0", [section].as_slice(), &number(contents.len() as u32), &contents].concat()
    }
    let context = Context::new();
    for (what, section, most, item) in [
        ("types", 1, 1_000_000, [0x60, 0, 0].as_slice()),
        ("tables", 4, 100, &[0x70, 0, 1]),
        ("memories", 5, 100, &[0, 0]),
        ("globals", 6, 1_000_000, &[0x7f, 0, 0x41, 0, 0x0b]),
    ] {
        let error = context.refusal(module(section, most + 1, item));
        assert!(error.contains(what) && error.contains("limit of"), "{what}: {error}");
        if most == 100 {
            context.plugin(module(section, most, item)).free();
        }
    }
    let section = |section, count, item: &[u8]| module(section, count, item).split_off(8);
    let functions = [module(1, 1, &[0x60, 0, 0]), section(3, 1_000_001, &[0]), section(10, 1_000_001, &[2, 0, 0x0b])];
    let functions = functions.concat();
    let error = context.refusal(functions);
    assert!(error.contains("functions") && error.contains("limit of"), "{error}");
}
