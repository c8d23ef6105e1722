//! WASI: environment, output, exit, clocks, and hosts that run tokio. `wasi/files.rs` has the directories that plugins
//! may use, `wasi/sandbox.rs` the ones they may not.

mod files;
mod sandbox;

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::child;
use crate::host::{Context, Plugin, fixture, manifest};
use crate::linking::modules;
use crate::log::LogFile;

/// Both builds of the plugin that stays.
const REACTORS: [&str; 2] = ["reactor.v0", "reactor.v1"];

/// Both builds of the plugin that is a program.
const COMMANDS: [&str; 2] = ["command.v0", "command.v1"];

fn wasi(context: &Context, module: impl AsRef<[u8]>) -> Plugin<'_> {
    context.create(module, true).expect("the plugin can be made")
}

/// Why a plugin that asks for WASI cannot be made.
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
        let log = LogFile::new("trace");
        let context = Context::new();
        assert_eq!(wasi(&context, fixture("reactor.v0")).answer("print", "inherited\n"), "");
        return assert_eq!(log.messages(), [""; 0]);
    }
    let ended = child::run(TEST, "", &[("EXTISM_ENABLE_WASI_OUTPUT", "".as_ref())]);
    let has = |text: &str, line: &str| text.lines().any(|other| other == line);
    assert!(has(&ended.stdout, "inherited") && !has(&ended.stdout, "err:inherited"), "{}", ended.stdout);
    assert!(has(&ended.stderr, "err:inherited") && !has(&ended.stderr, "inherited"), "{}", ended.stderr);
}

/// What a call comes to that ends with this exit code.
const EXITS: [(i32, i32, Option<&str>); 11] = [
    (0, 0, None),
    (1, 1, Some("Exited with i32 exit status 1")),
    (3, 3, Some("Exited with i32 exit status 3")),
    (125, 125, Some("Exited with i32 exit status 125")),
    (126, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 126")),
    (255, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 255")),
    (256, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 256")),
    (65536, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 65536")),
    (-1, -1, Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): -1")),
    (
        i32::MIN,
        -1,
        Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): -2147483648"),
    ),
    (
        i32::MAX,
        -1,
        Some("Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 2147483647"),
    ),
];

#[test]
fn exits() {
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = wasi(&context, fixture(reactor));
        for ((status, code, error), round) in EXITS.into_iter().zip(1..) {
            let answer = plugin.call("exit", status.to_string());
            assert_eq!((answer.code, answer.error.as_deref()), (code, error), "{reactor}: {status}");
            assert_eq!(plugin.answer("counter", ""), round.to_string(), "the instance stays");
        }
    }
}

/// `proc_exit` beside the plugin's own error and output; PART stands for what calls it elsewhere.
const EXITING: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store (param i64 i32)))
    (import "env" "extism_error_set" (func $error_set (param i64)))
    (import "env" "extism_output_set" (func $output_set (param i64 i64)))
    (memory (export "memory") 1)
    (func $x (result i64) (local $block i64)
        (call $store (local.tee $block (call $alloc (i64.const 1))) (i32.const 120)) (local.get $block))
    (func (export "error_0") (call $error_set (call $x)) (call $exit (i32.const 0)))
    (func (export "error_3") (call $error_set (call $x)) (call $exit (i32.const 3)))
    (func (export "error_200") (call $error_set (call $x)) (call $exit (i32.const 200)))
    (func (export "output_4") (result i32) (call $output_set (call $x) (i64.const 1)) (call $exit (i32.const 4))
        (i32.const 55))
    (func (export "fine") (result i32) (i32.const 9))
    PART)"#;

#[test]
fn exits_beside_errors_and_output() {
    let context = Context::new();
    let plugin = wasi(&context, EXITING.replace("PART", ""));
    let invalid = "x\n\nCall failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): 200";
    let cases = [("error_0", 0, "x", ""), ("error_3", 3, "x", ""), ("error_200", -1, invalid, ""), ("fine", 9, "", "")];
    for (function, code, error, output) in cases {
        let answer = plugin.call(function, "");
        assert_eq!((answer.code, answer.error(), answer.text().as_str()), (code, error, output), "{function}");
    }
    let answer = plugin.call("output_4", "");
    assert_eq!((answer.code, answer.text().as_str()), (4, "x"), "output that was set before counts");
}

#[test]
fn exits_outside_of_the_function_called() {
    let initialiser = |status| format!("(func (export \"_initialize\") (call $exit (i32.const {status})))");
    for (status, code, error) in EXITS {
        let context = Context::new();
        let plugin = wasi(&context, EXITING.replace("PART", &initialiser(status)));
        for _ in 0..2 {
            let answer = plugin.call("fine", "");
            assert_eq!((answer.code, answer.error.as_deref()), (code, error), "in an initialiser: {status}");
        }
        let start = format!("(func $s (call $exit (i32.const {status}))) (start $s)");
        let error = refusal(EXITING.replace("PART", &start));
        assert!(error.starts_with("module `main` failed at its start"), "{error}");
        assert!(error.contains(&format!("Exited with i32 exit status {status}")), "in a start section: {error}");
    }
}

#[test]
fn exits_in_libraries() {
    let main = r#"(module (import "lib" "leave" (func $leave (result i32)))
        (func (export "run") (result i32) (drop (call $leave)) (i32.const 55))
        (func (export "own") (result i32) (i32.const 3)))"#;
    for (status, code, error) in EXITS {
        let leave = format!("(func (export \"leave\") (result i32) (call $exit (i32.const {status})) (i32.const 1))");
        for kind in ["", "(func (export \"_start\"))"] {
            let library = EXITING.replace("PART", &format!("{leave} {kind}"));
            let context = Context::new();
            let plugin = wasi(&context, modules([("lib", library.as_str()), ("main", main)]));
            for _ in 0..2 {
                let answer = plugin.call("run", "");
                assert_eq!((answer.code, answer.error.as_deref()), (code, error), "{status} {kind}");
                assert_eq!(plugin.call_only("own", b""), 3);
            }
        }
    }
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

#[test]
fn clocks_random_and_arguments() {
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = wasi(&context, fixture(reactor));
        let clocks = || {
            let text = plugin.answer("clock", "");
            let mut numbers = text.lines().map(|line| line.parse::<u64>().expect("a number"));
            (numbers.next().expect("two clocks"), numbers.next().expect("two clocks"))
        };
        let now = || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            u64::try_from(now.as_nanos()).expect("before 2554")
        };
        let (before, first, second, after) = (now(), clocks(), clocks(), now());
        let slack = 20_000_000;
        assert!(before - slack <= first.0 && second.0 <= after + slack, "{before} {first:?} {second:?} {after}");
        assert!(first.1 < second.1, "{first:?} {second:?}");

        let random = || plugin.call("random", "").output;
        let (one, other) = (random(), random());
        assert_eq!((one.len(), other.len()), (8, 8), "{reactor}");
        assert_ne!(one, other, "{reactor}");

        assert_eq!(plugin.answer("args", ""), "0", "{reactor}: a plugin has no command line");
    }
}

#[test]
fn sleeps() {
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = wasi(&context, fixture(reactor));
        for (milliseconds, at_most) in [("0", 2_000), ("30", 2_000), ("1", 2_000), ("120", 2_000)] {
            let start = Instant::now();
            assert_eq!(plugin.answer("sleep_ms", milliseconds), "");
            let (slept, least) = (start.elapsed(), Duration::from_millis(milliseconds.parse().expect("a number")));
            assert!(slept >= least && slept < Duration::from_millis(at_most), "{reactor}: {milliseconds} {slept:?}");
        }
    }
}

/// Writes a line to the standard output, in a module whose memory may have any name, or none.
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

/// What this process has: threads, lines of its memory map, open files.
fn resources() -> [usize; 3] {
    let count = |folder: &str| fs::read_dir(folder).expect("Linux").count();
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux").lines().count();
    [count("/proc/self/task"), maps, count("/proc/self/fd")]
}

/// Whether WASI is on makes no difference for a plugin that does not import it.
#[test]
fn plugins_without_wasi_pay_nothing() {
    const TEST: &str = "wasi::plugins_without_wasi_pay_nothing";
    let Some(case) = child::case() else {
        let taken = |case: &str| {
            let ended = child::run(TEST, case, &[]);
            ended.stdout.lines().find_map(|line| line.strip_prefix("taken: ").map(str::to_owned)).expect("it says so")
        };
        let [without, with, uses] = ["without WASI", "with WASI", "uses WASI"].map(taken);
        assert_eq!(without, with);
        assert_ne!(with, uses, "WASI can be seen in these numbers");
        return;
    };
    let context = Context::new();
    let (module, input) =
        if case == "uses WASI" { (fixture("reactor.v0"), "sleep_ms") } else { (fixture("echo.v0"), "echo") };
    context.create(fixture("echo.v0"), false).expect("whatever is made once is made").answer("echo", "1");
    let before = resources();
    let plugin = context.create(module, case != "without WASI").expect("made");
    plugin.answer(input, "1");
    let after = resources();
    println!("\ntaken: {:?}", std::array::from_fn::<_, 3, _>(|i| after[i] as i64 - before[i] as i64));
}

/// Everything that waits for tokio inside, from a thread on which tokio runs already.
fn use_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "content").expect("writable");
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = files::with_paths(&context, reactor, [(folder.path().to_str().expect("UTF-8"), "/mnt")]);
        assert_eq!(plugin.answer("read_file", "/mnt/a.txt"), "content");
        assert_eq!(plugin.answer("write_file", "/mnt/b.txt\0more"), "");
        assert_eq!(plugin.answer("rename", "/mnt/b.txt\0/mnt/c.txt"), "");
        assert_eq!(plugin.answer("list_dir", "/mnt"), "a.txt\nc.txt\n");
        assert_eq!(plugin.answer("remove", "/mnt/c.txt"), "");
        assert_eq!(plugin.answer("sleep_ms", "5"), "");
        assert_eq!(plugin.answer("print", "text"), "");
        plugin.free();
    }
}

#[test]
fn inside_of_tokio() {
    let multi = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("tokio");
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    use_everything();
    multi().block_on(async { use_everything() });
    single().block_on(async { use_everything() });
    multi().block_on(async { tokio::spawn(async { use_everything() }).await.expect("no panic") });
    single().block_on(async { tokio::spawn(async { use_everything() }).await.expect("no panic") });
    multi().block_on(async { tokio::task::spawn_blocking(use_everything).await.expect("no panic") });
    single().block_on(tokio::task::LocalSet::new().run_until(async {
        tokio::task::spawn_local(async { use_everything() }).await.expect("no panic");
    }));
}

/// A plugin may be made in one runtime, used in another, and freed when both are gone.
#[test]
fn across_runtimes() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let context = Context::new();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "content").expect("writable");
    let path = folder.path().to_str().expect("UTF-8");
    let plugin = runtime().block_on(async { files::with_paths(&context, "reactor.v1", [(path, "/mnt")]) });
    for _ in 0..2 {
        let answer = runtime().block_on(async { plugin.answer("read_file", "/mnt/a.txt") });
        assert_eq!(answer, "content");
    }
    assert_eq!(plugin.answer("read_file", "/mnt/a.txt"), "content");
}
