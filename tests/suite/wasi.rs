//! WASI: environment, output, programs, and which plugins get it. `wasi/files.rs` and
//! `wasi/mappings.rs` test directories, `wasi/sandbox.rs` and `wasi/outside.rs` their bounds, `wasi/streams.rs`
//! inherited output, `wasi/table.rs` each function.

mod clocks;
mod exits;
mod files;
mod inside_tokio;
mod mappings;
mod outside;
mod probe;
mod sandbox;
#[cfg(target_os = "linux")]
mod scarce;
mod streams;
mod table;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::child;
use crate::host::{Context, Plugin, fixture, manifest};
use crate::linking::modules;
use crate::log::LogFile;

/// Both builds of the plugin that is a reactor.
const REACTORS: [&str; 2] = ["reactor.v0", "reactor.v1"];

/// Both builds of the plugin that is a command.
const COMMANDS: [&str; 2] = ["command.v0", "command.v1"];

fn wasi(context: &Context, module: impl AsRef<[u8]>) -> Plugin<'_> {
    context.create(module, true).expect("the plugin can be made")
}

/// The error of a plugin that asks for WASI and cannot be made.
fn refusal(module: impl AsRef<[u8]>) -> String {
    Context::new().create(module, true).err().expect("it must not be made")
}

#[test]
fn the_environment_is_the_configuration() {
    for reactor in REACTORS {
        let context = Context::new();
        let config = json!({"B": "two", "A": "1", "EMPTY": "", "with space": "é = x"});
        let plugin = wasi(&context, manifest(fixture(reactor), &format!("\"config\": {config}")));
        let changes = [
            ("{}", "A=1\nB=two\nEMPTY=\nwith space=é = x\n"),
            (r#"{"B": "2", "with space": null, "EMPTY": null}"#, "A=1\nB=2\n"),
            (r#"{"B": "3", "C": "new", "missing": null}"#, "A=1\nB=3\nC=new\n"),
            (r#"{"B": "4"}"#, "A=1\nB=4\nC=new\n"),
            (r#"{"": "no name", "a=b": "no name either", "N": "a\u0000b", "n\u0000": "x"}"#, "A=1\nB=4\nC=new\n"),
            (r#"{"A": null, "B": null, "C": null}"#, ""),
            (r#"{"A": "again"}"#, "A=again\n"),
        ];
        for (change, expected) in changes {
            assert!(plugin.configure(change), "{change}");
            assert_eq!(plugin.answer("environ", ""), expected, "{reactor} after {change}");
        }
        assert!(!plugin.configure(r#"{"A": "x", "B": 1}"#));
        assert_eq!(plugin.answer("environ", ""), "A=again\n", "what is refused changes nothing");
        assert_eq!(plugin.answer("getenv", "A"), "again");
        assert_eq!(plugin.call_only("getenv", b"B"), 1);
        let none = wasi(&context, fixture(reactor));
        assert_eq!((none.answer("environ", ""), none.call_only("getenv", b"PATH")), (String::new(), 1));
    }
}

#[test]
fn output_goes_to_the_log() {
    child::alone("wasi::output_goes_to_the_log", || {
        let long = "x".repeat(20_000);
        let cases: [(&str, &[&str]); 7] = [
            ("one\ntwo\n", &["INFO one", "INFO two", "WARN err:one", "WARN two"]),
            ("no end", &["INFO no end", "WARN err:no end"]),
            ("a\n\nb\n", &["INFO a", "INFO ", "INFO b", "WARN err:a", "WARN ", "WARN b"]),
            ("", &["WARN err:"]),
            ("color \u{1b}[1m\r\n", &["INFO color \\u{1b}[1m\\r", "WARN err:color \\u{1b}[1m\\r"]),
            ("é\n", &["INFO é", "WARN err:é"]),
            ("100%s {}\n", &["INFO 100%s {}", "WARN err:100%s {}"]),
        ];
        for reactor in REACTORS {
            for (text, expected) in cases {
                let log = LogFile::new("info");
                let context = Context::new();
                let plugin = wasi(&context, fixture(reactor));
                assert_eq!(plugin.answer("print", text), "");
                plugin.free();
                let mut messages = log.messages();
                messages.sort_by_key(|message| message.starts_with("WARN"));
                assert_eq!(messages, expected, "{reactor}: {text:?}");
                assert!(log.lines().iter().all(|line| line.target == "extism::plugin"));
            }
            let log = LogFile::new("info");
            let context = Context::new();
            let plugin = wasi(&context, fixture(reactor));
            plugin.answer("print", format!("{long}\nshort\n"));
            let lines = log.lines();
            let pieces: Vec<_> = lines.iter().filter(|line| line.level == "INFO").map(|line| &line.message).collect();
            assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= 8192), "a long line comes in pieces");
            assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), 20_005, "{reactor}");
            assert_eq!(pieces.last().map(|piece| piece.as_str()), Some("short"), "{reactor}");

            let log = LogFile::new("warn");
            plugin.answer("print", "quiet\n");
            assert_eq!(log.messages(), ["WARN err:quiet"], "{reactor}: information is not asked for");
        }
    });
}

#[test]
fn lines_are_put_together_over_calls() {
    child::alone("wasi::lines_are_put_together_over_calls", || {
        let log = LogFile::new("info");
        let context = Context::new();
        let plugin = wasi(&context, fixture("reactor.v1"));
        for text in ["a", "b", "c\nd", "e\n"] {
            plugin.answer("print", text);
        }
        let messages = log.messages();
        let info: Vec<_> = messages.iter().filter(|message| message.starts_with("INFO")).collect();
        assert_eq!(info, ["INFO abc", "INFO de"]);
    });
}

#[test]
fn output_is_inherited_when_the_variable_is_set() {
    const TEST: &str = "wasi::output_is_inherited_when_the_variable_is_set";
    if child::case().is_some() {
        println!();
        let log = LogFile::new("info");
        let context = Context::new();
        assert_eq!(wasi(&context, fixture("reactor.v0")).answer("print", "inherited\n"), "");
        return assert_eq!(log.messages(), [""; 0]);
    }
    let ended = child::run(TEST, "", &[("EXTISM_ENABLE_WASI_OUTPUT", "1".as_ref())]);
    let has = |text: &str, line: &str| text.lines().any(|other| other == line);
    assert!(has(&ended.stdout, "inherited") && !has(&ended.stdout, "err:inherited"), "{}", ended.stdout);
    assert!(has(&ended.stderr, "err:inherited") && !has(&ended.stderr, "inherited"), "{}", ended.stderr);
}

#[test]
fn programs() {
    child::alone("wasi::programs", || {
        for command in COMMANDS {
            let log = LogFile::new("info");
            let context = Context::new();
            let plugin = wasi(&context, fixture(command));
            assert_eq!([plugin.answer("after", ""), plugin.answer("after", "")], ["1", "2"], "{command}");
            for _ in 0..3 {
                assert_eq!(plugin.answer("_start", "input"), "main:input", "{command}");
                assert_eq!([plugin.answer("after", ""), plugin.answer("after", "")], ["1", "2"], "{command}: anew");
            }
            assert_eq!(log.messages(), ["INFO hello from main"; 3], "{command}");
        }
    });
}

/// A WASI command as a library: each call of its functions has an instance of its own.
#[test]
fn programs_as_libraries() {
    let main = |export: &str| {
        format!(
            r#"(module (import "lib" "{export}" (func $f (result i32)))
                (func (export "run") (result i32) (call $f)))"#
        )
    };
    for command in COMMANDS {
        let context = Context::new();
        let plugin = wasi(&context, modules([("lib", fixture(command)), ("main", main("after").into_bytes())]));
        for round in 0..20 {
            assert_eq!(plugin.answer("run", ""), "1", "{command}, round {round}");
        }
    }
    for reactor in REACTORS {
        for (export, answers) in [("counter", ["1", "2", "3"]), ("initialized", ["1", "1", "1"])] {
            let context = Context::new();
            let plugin = wasi(&context, modules([("lib", fixture(reactor)), ("main", main(export).into_bytes())]));
            assert_eq!([(); 3].map(|()| plugin.answer("run", "")), answers, "{reactor}: {export}");
        }
    }
}

#[test]
fn a_reactor_is_initialised_once_and_stays() {
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = wasi(&context, fixture(reactor));
        for round in 1..=3 {
            assert_eq!(plugin.answer("initialized", ""), "1", "{reactor}");
            assert_eq!(plugin.answer("counter", ""), round.to_string(), "{reactor}");
        }
    }
}

/// A module that writes a line to the standard output, and whose memory may have any name, or none.
fn greeter(namespace: &str, memory: &str, rest: &str) -> String {
    format!(
        r#"(module (import "{namespace}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory {memory} 1) (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
            (func $greet (export "greet") (result i32)
                (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
            (func (export "written") (result i32) (i32.load (i32.const 100))) {rest})"#
    )
}

#[test]
fn both_previews_and_any_memory() {
    child::alone("wasi::both_previews_and_any_memory", || {
        for namespace in ["wasi_snapshot_preview1", "wasi_unstable"] {
            for memory in ["(export \"memory\")", "", "(export \"other\")"] {
                let log = LogFile::new("info");
                let context = Context::new();
                let plugin = wasi(&context, greeter(namespace, memory, ""));
                assert_eq!((plugin.call_only("greet", b""), plugin.call_only("written", b"")), (0, 6));
                assert_eq!(log.messages(), ["INFO hello"], "{namespace} {memory}");
            }
        }
    });
}

#[test]
fn a_start_section_can_use_wasi() {
    child::alone("wasi::a_start_section_can_use_wasi", || {
        let start = "(func $start (drop (call $greet))) (start $start)";
        for memory in ["(export \"memory\")", ""] {
            let module = greeter("wasi_snapshot_preview1", memory, start);
            let log = LogFile::new("info");
            let context = Context::new();
            let plugin = wasi(&context, &module);
            assert_eq!(log.messages(), ["INFO hello"], "at the creation");
            assert_eq!(plugin.call_only("written", b""), 6);

            let log = LogFile::new("info");
            let main = "(module (import \"lib\" \"written\" (func (result i32))))";
            wasi(&context, modules([("lib", module.as_str()), ("main", main)]));
            assert_eq!(log.messages(), ["INFO hello"], "in a library");
        }
    });
}

#[test]
fn modules_that_need_wasi_and_do_not_get_it() {
    for name in REACTORS.into_iter().chain(COMMANDS) {
        let error = Context::new().refusal(fixture(name));
        let first = error.lines().next().expect("a text");
        assert!(first.starts_with("unknown import: `wasi_snapshot_preview1::"), "{name}: {error}");
        assert!(first.ends_with("` has not been defined"), "{name}: {error}");
        assert!(error.contains("WASI"), "a hint: {error}");
    }
    for (namespace, name) in [
        ("wasi_snapshot_preview1", "no_such_function"),
        ("wasi_unstable", "no_such_function"),
        ("wasix_32v1", "thread_spawn_v2"),
        ("wasix_32v1", "fd_write"),
        ("wasi_snapshot_preview2", "fd_write"),
        ("wasi", "thread-spawn"),
    ] {
        let error = refusal(format!("(module (import \"{namespace}\" \"{name}\" (func)) (memory 1))"));
        let first = format!("unknown import: `{namespace}::{name}` has not been defined");
        assert_eq!(error.lines().next(), Some(first.as_str()), "{error}");
    }
    let error = refusal(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (memory 1))"#);
    assert!(error.starts_with("incompatible import type for `wasi_snapshot_preview1::fd_write`"), "{error}");
}

/// The number of threads and of open files of this process.
fn resources() -> [usize; 2] {
    ["/proc/self/task", "/proc/self/fd"].map(|folder| fs::read_dir(folder).expect("Linux").count())
}

/// Asks until the answer is yes, or for five seconds.
fn comes_true(question: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !question() {
        if Instant::now() > deadline {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// The numbers once they have not changed for 200 ms.
fn settled() -> [usize; 2] {
    let mut found = resources();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(200) {
        if resources() != found {
            (found, since) = (resources(), Instant::now());
        }
        thread::yield_now();
    }
    found
}

/// A plugin that does not import WASI is the same with WASI and without.
#[test]
fn plugins_without_wasi_pay_nothing() {
    child::alone("wasi::plugins_without_wasi_pay_nothing", || {
        let context = Context::new();
        // The first plugin starts threads for the compiler, some of which stay, after a while.
        context.plugin(fixture("echo.v0"));
        let before = settled();
        // Directories that do not exist are an error only for modules that import WASI.
        let missing = manifest(fixture("echo.v0"), "\"allowed_paths\": {\"/not/there\": \"/mnt\"}");
        for (module, with_wasi) in [(fixture("echo.v0"), false), (fixture("echo.v0"), true), (missing.into(), true)] {
            let plugin = context.create(module, with_wasi).expect("made");
            assert_eq!(plugin.answer("echo", "1"), "1");
            assert!(comes_true(|| resources() == before), "with WASI {with_wasi}: {before:?} {:?}", resources());
        }
        let missing = manifest(fixture("reactor.v0"), "\"allowed_paths\": {\"/not/there\": \"/mnt\"}");
        assert!(context.create(missing, true).is_err(), "who imports WASI does ask");
    });
}
