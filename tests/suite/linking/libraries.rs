//! Libraries in use: what they share, reactors and commands, and their own calls of host functions.

use super::{calls, modules, status};
use crate::child;
use crate::host::{Answer, Context, fixture};

/// A library shares memories, tables and globals too.
#[test]
fn memories_tables_and_globals_of_a_library() {
    let lib = r#"(module
        (memory (export "memory") 1 4) (data (i32.const 8) "\2a")
        (global $g (export "counter") (mut i32) (i32.const 5))
        (global (export "constant") i64 (i64.const 11))
        (table (export "table") 2 funcref) (elem (i32.const 0) $seven)
        (func $seven (result i32) (i32.const 7))
        (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "counted") (result i32) (global.get $g))
        (func (export "size") (result i32) (memory.size))
        (func (export "second") (result i32) (call_indirect (result i32) (i32.const 1))))"#;
    let main = r#"(module
        (import "lib" "memory" (memory 1)) (import "lib" "counter" (global $counter (mut i32)))
        (import "lib" "constant" (global $constant i64)) (import "lib" "table" (table 2 funcref))
        (import "lib" "peek" (func $peek (param i32) (result i32))) (import "lib" "counted" (func $counted (result i32)))
        (import "lib" "size" (func $size (result i32))) (import "lib" "second" (func $second (result i32)))
        (elem (i32.const 1) $nine)
        (func $nine (result i32) (i32.const 9))
        (func (export "memory") (result i32) (i32.load8_u (i32.const 8)))
        (func (export "written") (result i32) (i32.store8 (i32.const 9) (i32.const 33)) (call $peek (i32.const 9)))
        (func (export "grown") (result i32) (drop (memory.grow (i32.const 2))) (call $size))
        (func (export "beyond") (result i32) (call $peek (i32.const 65536)))
        (func (export "counter") (result i32)
            (global.set $counter (i32.add (global.get $counter) (i32.const 1))) (call $counted))
        (func (export "constant") (result i32) (i32.wrap_i64 (global.get $constant)))
        (func (export "table") (result i32) (call_indirect (result i32) (i32.const 0)))
        (func (export "put") (result i32) (call $second)))"#;
    let cases = [
        ("memory", 42),
        ("written", 33),
        ("beyond", -1),
        ("grown", 3),
        ("beyond", 0),
        ("counter", 6),
        ("counter", 7),
        ("constant", 11),
        ("table", 7),
        ("put", 9),
    ];
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", lib), ("main", main)]));
    for (function, expected) in cases {
        assert_eq!(plugin.call_only(function, b""), expected, "{function}");
    }
}

/// A reactor that counts calls of `next`, and records in a decimal trace which initialisers have run.
const REACTOR: &str = r#"(module
    (global $calls (mut i32) (i32.const 0)) (global $trace (mut i32) (i32.const 0))
    (func $mark (param i32)
        (global.set $trace (i32.add (i32.mul (global.get $trace) (i32.const 10)) (local.get 0))))
    (func $start (call $mark (i32.const 1))) (start $start)
    (func (export "_initialize") (call $mark (i32.const 2)))
    (func (export "__wasm_call_ctors") (call $mark (i32.const 3)))
    (func (export "trace") (result i32) (global.get $trace))
    (func (export "next") (result i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (global.get $calls)))"#;

#[test]
fn a_reactor_is_one_instance_for_all() {
    let a = r#"(module (import "lib" "next" (func $next (result i32))) (export "also" (func $next))
        (func (export "through_a") (result i32) (call $next)))"#;
    let main = r#"(module (import "lib" "next" (func $next (result i32)))
        (import "lib" "trace" (func $trace (result i32))) (import "a" "through_a" (func $through_a (result i32)))
        (import "a" "also" (func $also (result i32)))
        (func (export "direct") (result i32) (call $next)) (func (export "through_a") (result i32) (call $through_a))
        (func (export "reexported") (result i32) (call $also))
        (func (export "trace") (result i32) (call $trace)) (func (export "_start")))"#;
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", REACTOR), ("a", a), ("main", main)]));
    let calls = [
        ("trace", 12),
        ("direct", 1),
        ("through_a", 2),
        ("reexported", 3),
        ("direct", 4),
        ("trace", 12),
        ("_start", 0),
        ("direct", 1),
        ("trace", 12),
    ];
    for (function, expected) in calls {
        assert_eq!(plugin.call_only(function, b""), expected, "{function}");
    }
    let other = context.plugin(modules([("lib", REACTOR), ("a", a), ("main", main)]));
    assert_eq!((other.call_only("direct", b""), plugin.call_only("direct", b"")), (1, 2), "plugins share nothing");
    let library_only = plugin.call("next", "");
    assert_eq!(library_only.error(), "Function not found: next", "a library's functions are not the plugin's");
}

#[test]
fn a_library_that_fails_at_its_start() {
    let main = calls("lib", "run");
    let run = "(func (export \"run\") (result i32) (i32.const 1))";
    let cases = [
        format!("(module {run} (func $start unreachable) (start $start))"),
        format!("(module {run} (func (export \"_initialize\") unreachable))"),
    ];
    for library in cases {
        let error = Context::new().refusal(modules([("lib", &library), ("main", &main)]));
        let expected = "module `lib` failed at its start\n\nCaused by:\n    wasm trap: unreachable";
        assert!(error.starts_with(expected) && error.contains("lib!"), "{error}");
    }
    let parameters = format!("(module {run} (func (export \"_initialize\") (param i32)))");
    let error = Context::new().refusal(modules([("lib", &parameters), ("main", &main)]));
    assert!(error.starts_with("module `lib` failed at its start"), "{error}");
}

/// A command: every call gets a fresh instance.
const COMMAND: &str = r#"(module
    (import "env" "extism_input_length" (func $input_length (result i64)))
    (memory (export "memory") 1) (global $calls (mut i32) (i32.const 0)) (global $started (mut i32) (i32.const 0))
    (func $start (global.set $started (i32.add (global.get $started) (i32.const 1)))) (start $start)
    (func (export "_start") (global.set $started (i32.const 99)))
    (func (export "next") (result i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 100)))
        (i32.add (global.get $calls) (i32.load (i32.const 0))))
    (func (export "started") (result i32) (global.get $started))
    (func (export "fails") (result i32) unreachable)
    (func (export "input") (result i32) (i32.wrap_i64 (call $input_length)))
    (func (export "mixed") (param i32 i64 f32 f64) (result f64)
        (f64.add (f64.promote_f32 (local.get 2)) (f64.add (local.get 3)
            (f64.convert_i64_s (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1)))))))"#;

/// Calls all of [`COMMAND`]'s functions.
const COMMANDER: &str = r#"(module
    (import "lib" "next" (func $next (result i32))) (import "lib" "started" (func $started (result i32)))
    (import "lib" "fails" (func $fails (result i32))) (import "lib" "input" (func $input (result i32)))
    (import "lib" "mixed" (func $mixed (param i32 i64 f32 f64) (result f64)))
    (func (export "next") (result i32) (call $next)) (func (export "started") (result i32) (call $started))
    (func (export "fails") (result i32) (call $fails)) (func (export "input") (result i32) (call $input))
    (func (export "twice") (result i32) (i32.add (call $next) (call $next)))
    (func (export "mixed") (result i32)
        (call $mixed (i32.const -3) (i64.const 4294967299) (f32.const 0.5) (f64.const 0.25))
        (f64.ne (f64.const 4294967296.75)))
    (func (export "own") (result i32) (i32.const 3))
    (func (export "many") (result i32) (local $n i32)
        (loop (drop (call $next)) (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $n) (i32.const 250))))
        (local.get $n)))"#;

#[test]
fn a_command_has_an_instance_a_call() {
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", COMMAND), ("main", COMMANDER)]));
    let calls = [("next", 101), ("next", 101), ("twice", 202), ("started", 1), ("mixed", 0), ("own", 3), ("input", 5)];
    for (function, expected) in calls {
        let answer = plugin.call(function, "input");
        assert_eq!((answer.code, answer.error()), (expected, ""), "{function}");
    }
    for _ in 0..3 {
        let answer = plugin.call("fails", "");
        assert_eq!(answer.code, -1);
        let expected = "Call failed\n\nCaused by:\n    wasm trap: unreachable";
        assert!(answer.error().starts_with(expected) && answer.error().contains("lib!"), "{answer:?}");
        assert_eq!(plugin.call_only("next", b""), 101, "it goes on after a trap");
    }
}

#[test]
fn a_command_has_256_instances() {
    let context = Context::new();
    let kept = crate::stop::with(&modules([("lib", COMMAND), ("main", COMMANDER)]), "after_trap", "keep".into());
    let plugin = context.plugin(kept);
    assert_eq!(plugin.call_only("many", b""), 250);
    for call in 251..=256 {
        assert_eq!(plugin.call_only("next", b""), 101, "{call}");
    }
    let is_the_bound = |answer: &Answer| {
        answer.code == -1
            && answer.error().contains("command library `lib` was called more than 256 times")
            && answer.error().contains("reactor")
    };
    for function in ["next", "many", "started"] {
        let answer = plugin.call(function, "");
        assert!(is_the_bound(&answer), "{answer:?}");
    }
    assert_eq!(plugin.call_only("own", b""), 3, "the plugin's own functions work on");
    assert!(plugin.update(modules([("lib", COMMAND), ("main", COMMANDER)]), false));
    assert_eq!(plugin.call_only("many", b""), 250);
    let answer = plugin.call("many", "");
    assert!(is_the_bound(&answer), "{answer:?}");
    assert_eq!(plugin.call_only("many", b""), 250, "in a new instance of the plugin");
}

/// Data of an instance outside its memory counts in pages too: it can be ten times as large as in the module.
#[test]
fn large_instances_of_a_command_use_up_the_pages() {
    let repeated = |count: u32, text: &dyn Fn(u32) -> String| (0..count).map(text).collect::<String>();
    let rest = "(func (export \"_start\")) (func (export \"f\") (result i32) (i32.const 1))";
    // Contents of a library, and the least number of pages that an instance takes.
    let libraries = [
        (repeated(1_500, &|_| "(func)".to_owned()), 1),
        (repeated(8_000, &|_| "(global i32 (i32.const 0))".to_owned()), 2),
        (repeated(2_000, &|number| format!("(export \"{number:0100}\" (memory 0))")) + "(memory 0)", 3),
        (format!("(func $e) (elem func {})", "$e ".repeat(50_000)), 6),
    ];
    let main = calls("lib", "f");
    for (contents, pages) in libraries {
        let library = format!("(module {contents} {rest})");
        let all = modules([("lib", library.as_str()), ("main", main.as_str())]);
        let limited = all.replacen('{', "{\"memory\": {\"max_pages\": 40},", 1);
        let context = Context::new();
        let plugin = context.plugin(&limited);
        let count = (0..256).take_while(|_| plugin.call_only("run", b"") == 1).count();
        assert!((2..=1 + 40 / pages).contains(&count), "{count} of {pages} pages: {}", &contents[..30]);
        let error = context.error(plugin.id).expect("the last one failed");
        for part in ["command library `lib`", "memory.max_pages", "beside its memory", "build it as a reactor"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(context.plugin(&all).call_only("run", b"") == 1, "without a limit");
    }
}

/// `depth` command libraries that call each other, and a main module that calls the first and answers their number.
fn nested(depth: usize) -> String {
    let name = |number: usize| format!("lib{number:03}");
    let library = |number: usize| {
        let (import, call) = match number + 1 {
            next if next < depth => {
                let import = format!("(import \"{}\" \"f\" (func $f (result i32)))", name(next));
                (import, "(i32.add (call $f) (i32.const 1))")
            }
            _ => (String::new(), "(i32.const 1)"),
        };
        format!("(module {import} (func (export \"_start\")) (func (export \"f\") (result i32) {call}))")
    };
    let main = calls(&name(0), "f");
    let libraries = (0..depth).map(|number| (name(number), library(number)));
    let all: Vec<_> = libraries.chain([("main".to_owned(), main)]).collect();
    modules(all.iter().map(|(name, module)| (name.as_str(), module)))
}

/// Commands run on the stack of the plugin's caller, which may be small: an overflow there ends the process.
#[test]
fn commands_are_nested_as_deep_as_small_stacks_let_them() {
    child::alone("linking::libraries::commands_are_nested_as_deep_as_small_stacks_let_them", || {
        let plugins = [16, 17].map(nested);
        for stack in [128 << 10, 256 << 10] {
            let [most, more] = plugins.clone();
            let on_it = move || {
                let context = Context::new();
                for _ in 0..2 {
                    let answer = context.plugin(&most).call("run", "");
                    assert_eq!((answer.code, answer.error()), (16, ""));
                    let plugin = context.plugin(&more);
                    for _ in 0..2 {
                        let answer = plugin.call("run", "");
                        let expected = "command library `lib016` was called from the last of 16 that call each other";
                        assert!(answer.code == -1 && answer.error().contains(expected), "{answer:?}");
                    }
                }
            };
            std::thread::Builder::new().stack_size(stack).spawn(on_it).expect("a thread").join().expect("no panic");
        }
    });
}

/// Through a table of a third module, a command can call itself.
#[test]
fn a_command_that_is_entered_again() {
    let shared = r#"(module (table (export "table") 1 funcref))"#;
    let command = r#"(module (import "shared" "table" (table 1 funcref)) (func (export "_start"))
        (func (export "enter") (result i32) (call_indirect (result i32) (i32.const 0))))"#;
    let main = r#"(module (import "shared" "table" (table 1 funcref))
        (import "command" "enter" (func $enter (result i32))) (elem (i32.const 0) $again)
        (func $again (result i32) (call $enter)) (func (export "run") (result i32) (call $enter))
        (func (export "own") (result i32) (i32.const 3)))"#;
    let context = Context::new();
    let plugin = context.plugin(modules([("shared", shared), ("command", command), ("main", main)]));
    for _ in 0..2 {
        let answer = plugin.call("run", "");
        assert!(answer.error().contains("command library `command` was entered again while it ran"), "{answer:?}");
        assert_eq!((answer.code, plugin.call_only("own", b"")), (-1, 3));
    }
}

#[test]
fn command_and_reactor_at_once() {
    let both = r#"(module (func (export "_start")) (func (export "_initialize"))
        (func (export "run") (result i32) (i32.const 6)))"#;
    let error = Context::new().refusal(modules([("lib", both), ("main", &calls("lib", "run"))]));
    let expected = "module `lib` exports both `_start` and `_initialize`";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(status(&modules([("lib", "(module)"), ("main", both)])), 6, "the main module may");
    let no_function = r#"(module (func (export "_initialize")) (global (export "_start") i32 (i32.const 0))
        (func (export "run") (result i32) (i32.const 8)))"#;
    assert_eq!(status(&modules([("lib", no_function), ("main", &calls("lib", "run"))])), 8, "a global is no command");
}

/// A library reads the input, allocates and sets the output; the main module only calls it.
#[test]
fn libraries_use_the_host_themselves() {
    let main = r#"(module (import "lib" "shout" (func $shout)) (func (export "run") (call $shout)))"#;
    for (namespace, prefix) in [("env", "extism_"), ("extism:host/env", "")] {
        let library = format!(
            r#"(module
            (import "{namespace}" "{prefix}input_length" (func $input_length (result i64)))
            (import "{namespace}" "{prefix}input_load_u8" (func $input (param i64) (result i32)))
            (import "{namespace}" "{prefix}alloc" (func $alloc (param i64) (result i64)))
            (import "{namespace}" "{prefix}store_u8" (func $store (param i64 i32)))
            (import "{namespace}" "{prefix}output_set" (func $output (param i64 i64)))
            (func (export "shout") (local $block i64) (local $at i64)
                (local.set $block (call $alloc (call $input_length)))
                (loop
                    (call $store (i64.add (local.get $block) (local.get $at))
                        (i32.and (call $input (local.get $at)) (i32.const 0xdf)))
                    (local.set $at (i64.add (local.get $at) (i64.const 1)))
                    (br_if 0 (i64.lt_u (local.get $at) (call $input_length))))
                (call $output (local.get $block) (call $input_length))))"#
        );
        let command =
            library.replace("(func (export \"shout\")", "(func (export \"_start\")) (func (export \"shout\")");
        for library in [&library, &command] {
            let context = Context::new();
            let plugin = context.plugin(modules([("lib", library.as_str()), ("main", main)]));
            for _ in 0..3 {
                assert_eq!(plugin.answer("run", "hello"), "HELLO", "{namespace}");
            }
        }
    }
}

/// Both ABIs work on the same memory, also across modules.
#[test]
fn a_0_x_main_and_a_1_x_library() {
    let library = r#"(module
        (import "extism:host/env" "load_u8" (func $load (param i64) (result i32)))
        (import "extism:host/env" "length" (func $length (param i64) (result i64)))
        (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/env" "memory" (memory 1))
        (func (export "next_byte") (param i64) (result i64) (local $block i64)
            (local.set $block (call $alloc (call $length (local.get 0))))
            (call $store (local.get $block) (i32.add (call $load (local.get 0)) (i32.const 1)))
            (local.get $block))
        (func (export "peek") (param i64) (result i32) (i32.load8_u (i32.wrap_i64 (local.get 0)))))"#;
    let main = r#"(module
        (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
        (import "env" "extism_store_u8" (func $store (param i64 i32)))
        (import "env" "extism_length" (func $length (param i64) (result i64)))
        (import "env" "extism_output_set" (func $output (param i64 i64)))
        (import "lib" "next_byte" (func $next_byte (param i64) (result i64)))
        (import "env" "peek" (func $peek (param i64) (result i32)))
        (func (export "run") (result i32) (local $block i64)
            (call $store (local.tee $block (call $alloc (i64.const 1))) (i32.const 65))
            (local.set $block (call $next_byte (local.get $block)))
            (call $output (local.get $block) (call $length (local.get $block)))
            (call $peek (local.get $block))))"#;
    let context = Context::new();
    let plugin = context.plugin(modules([("lib", library), ("main", main)]));
    for _ in 0..3 {
        let answer = plugin.call("run", "some input");
        assert_eq!((answer.code, answer.error(), answer.text()), (66, "", "B".to_owned()));
    }
}

/// A plugin of one ABI with the committed fixture of the other as its library.
#[test]
fn fixtures_as_libraries() {
    let main = r#"(module (import "lib" "count_vowels" (func $count (result i32)))
        (func (export "run") (result i32) (call $count)))"#;
    for name in ["count_vowels.v0", "count_vowels.v1"] {
        let context = Context::new();
        let plugin = context.plugin(modules([("lib", fixture(name)), ("main", main.as_bytes().to_vec())]));
        assert_eq!(plugin.answer("run", "hello world"), "{\"count\": 3}", "{name}");
    }
}
