//! Loggers of hosts that are written in Rust: the records that they get, and their use of the library.

use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use ::log::{Level, LevelFilter, Log, Metadata, Record};
use extism::ffi;

use super::{LogFile, set};
use crate::child;
use crate::host::{Context, Plugin, fixture, manifest};

/// A logger as a host in Rust installs it.
struct HostLogger<F>(F);

impl<F: Fn(&Record<'_>) + Send + Sync> Log for HostLogger<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    /// Leaves out the library's records of failed calls, which these tests are not about.
    fn log(&self, record: &Record<'_>) {
        if (record.target(), record.level()) != ("extism", Level::Error) {
            (self.0)(record);
        }
    }

    fn flush(&self) {}
}

/// Makes `hook` the logger of this process.
pub(crate) fn install(level: LevelFilter, hook: impl Fn(&Record<'_>) + Send + Sync + 'static) {
    ::log::set_boxed_logger(Box::new(HostLogger(hook))).expect("the first logger of this process");
    ::log::set_max_level(level);
}

#[test]
fn without_a_sink_lines_go_to_the_hosts_logger() {
    child::alone("log::hosts::without_a_sink_lines_go_to_the_hosts_logger", || {
        static SEEN: Mutex<Vec<(String, Level, String)>> = Mutex::new(Vec::new());
        let seen = || SEEN.lock().expect("no test fails in it").clone();
        install(LevelFilter::Info, |record| {
            let seen = (record.target().to_owned(), record.level(), record.args().to_string());
            SEEN.lock().expect("no test fails in it").push(seen);
        });
        let context = Context::new();
        let plugin = context.plugin(fixture("kitchen.v1"));
        plugin.answer("log", "warn:two\nlines");
        plugin.answer("log", "debug:below the host's level");
        let first = ("extism::plugin".to_owned(), Level::Warn, "two\\nlines".to_owned());
        assert_eq!(seen(), [first]);

        let log = LogFile::new("info");
        plugin.answer("log", "warn:to the file");
        assert_eq!((seen().len(), log.lines().len()), (1, 1), "a sink takes the place of the host's logger");
    });
}

/// A plugin with a counter, a variable, and `log`, during which the host's logger is called.
const LOGS: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store (param i64 i32)))
    (import "env" "extism_log_info" (func $log (param i64)))
    (import "env" "extism_var_set" (func $var_set (param i64 i64)))
    (import "env" "extism_var_get" (func $var_get (param i64) (result i64)))
    (global $calls (mut i32) (i32.const 0))
    (func $x (result i64) (local $block i64)
        (call $store (local.tee $block (call $alloc (i64.const 1))) (i32.const 120))
        (local.get $block))
    (func (export "log") (result i32) (call $log (call $x)) (i32.const 5))
    (func (export "count") (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (global.get $calls))
    (func (export "set") (call $var_set (call $x) (call $x)))
    (func (export "is_set") (result i32) (i64.ne (call $var_get (call $x)) (i64.const 0))))"#;

/// A name, an action of the logger on a plugin, and its result.
type Attempt = (&'static str, fn(Plugin<'_>) -> String, &'static str);

const REENTERED: &str = "plugin 0 is running on this very thread and cannot be used from inside its own call";

/// Actions of a logger on the plugin that is logging.
const ON_ITSELF: [Attempt; 7] = [
    ("call", |plugin| format!("{} {}", plugin.call_only("count", b""), why(plugin)), "-1 REENTERED"),
    ("config", |plugin| format!("{} {}", plugin.configure("{}"), why(plugin)), "false REENTERED"),
    ("update", |plugin| format!("{} {}", plugin.update(LOGS, false), context_why(plugin)), "false REENTERED"),
    (
        "output length",
        |plugin| format!("{} {}", ffi::extism_plugin_output_length(plugin.context.0, plugin.id), why(plugin)),
        "0 REENTERED",
    ),
    (
        "output data",
        |plugin| format!("{} {}", ffi::extism_plugin_output_data(plugin.context.0, plugin.id).is_null(), why(plugin)),
        "true REENTERED",
    ),
    ("error", |plugin| why(plugin), "no error"),
    (
        "free",
        |plugin| {
            plugin.free();
            why(plugin)
        },
        "REENTERED",
    ),
];

fn why(plugin: Plugin<'_>) -> String {
    text(plugin.context.error(plugin.id))
}

fn context_why(plugin: Plugin<'_>) -> String {
    text(plugin.context.error(-1))
}

fn text(error: Option<String>) -> String {
    error.map_or("no error".to_owned(), |error| error.replace(REENTERED, "REENTERED"))
}

/// Runs `attempts` one after the other inside the logger, during a call of `log` of the context's plugin 0.
fn check_attempts(attempts: &'static [Attempt]) {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    static ANSWER: Mutex<Option<(usize, String)>> = Mutex::new(None);
    let context = CONTEXT.get_or_init(Context::new);
    let plugin = context.plugin(LOGS);
    install(LevelFilter::Info, |_| {
        // Ignores records that the attempt itself causes.
        let Some((number, answer)) = ANSWER.lock().expect("no test fails in it").take() else { return };
        assert_eq!(answer, "");
        let context = CONTEXT.get().expect("it is made first");
        let answer = ATTEMPTS.get().expect("they are set first")[number].1(Plugin { context, id: 0 });
        *ANSWER.lock().expect("no test fails in it") = Some((number, answer));
    });
    ATTEMPTS.set(attempts).expect("once a process");
    for (number, (name, _, expected)) in attempts.iter().enumerate() {
        *ANSWER.lock().expect("no test fails in it") = Some((number, String::new()));
        let answer = plugin.call("log", "");
        assert_eq!((answer.code, answer.error()), (5, ""), "{name}: the call itself is not disturbed");
        let inner = ANSWER.lock().expect("no test fails in it").take();
        assert_eq!(inner, Some((number, (*expected).to_owned())), "{name}");
    }
    assert_eq!(plugin.call_only("count", b""), 1, "the instance is the same, and none of the attempts called it");
}

static ATTEMPTS: OnceLock<&'static [Attempt]> = OnceLock::new();

#[test]
fn a_logger_cannot_use_the_plugin_that_is_logging() {
    child::alone("log::hosts::a_logger_cannot_use_the_plugin_that_is_logging", || check_attempts(&ON_ITSELF));
}

/// Actions that a logger may do meanwhile.
const ON_OTHERS: [Attempt; 5] = [
    (
        "another plugin",
        |plugin| {
            let other = plugin.context.plugin(LOGS);
            let codes = [other.call_only("count", b""), other.call_only("count", b"")];
            other.free();
            format!("{codes:?}")
        },
        "[1, 2]",
    ),
    ("another context", |_| Context::new().plugin(LOGS).call_only("count", b"").to_string(), "1"),
    ("another plugin that logs", |plugin| plugin.context.plugin(LOGS).call_only("log", b"").to_string(), "5"),
    ("a plugin that is not there", |plugin| Plugin { id: 99, ..plugin }.call_only("log", b"").to_string(), "-1"),
    ("a refused log file", |_| set(Some(""), None).to_string(), "false"),
];

#[test]
fn a_logger_can_use_other_plugins() {
    child::alone("log::hosts::a_logger_can_use_other_plugins", || check_attempts(&ON_OTHERS));
}

/// A plugin that runs lives until its call ends.
#[test]
fn a_logger_can_free_the_context() {
    const TEST: &str = "log::hosts::a_logger_can_free_the_context";
    let Some(case) = child::case() else {
        for case in ["reset", "free"] {
            child::run(TEST, case, &[]);
        }
        return;
    };
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    static FREE: AtomicBool = AtomicBool::new(false);
    let context = CONTEXT.get_or_init(Context::new);
    FREE.store(case == "free", Ordering::Relaxed);
    install(LevelFilter::Info, |_| {
        let context = CONTEXT.get().expect("it is made first");
        if FREE.load(Ordering::Relaxed) {
            ffi::extism_context_free(context.0);
        } else {
            ffi::extism_context_reset(context.0);
        }
    });
    let plugin = context.plugin(LOGS);
    assert_eq!(plugin.call_only("log", b""), 5, "the call comes to its end");
    assert_eq!(plugin.call_only("log", b""), -1, "the plugin is gone");
}

fn panics_with(message: &'static str) {
    install(LevelFilter::Info, move |_| panic!("{message}"));
}

#[test]
fn a_logger_that_panics() {
    child::alone("log::hosts::a_logger_that_panics", || {
        panics_with("the logger broke");
        let context = Context::new();
        let plugin = context.plugin(LOGS);
        for round in 0..3 {
            assert_eq!(plugin.call_only("set", b""), 0);
            assert_eq!(plugin.call_only("count", b""), 1, "round {round}: a new instance");
            assert_eq!(plugin.call_only("count", b""), 2);
            let answer = plugin.call("log", "");
            assert_eq!((answer.code, answer.error()), (-1, "internal error: the logger broke"), "round {round}");
            assert_eq!(plugin.call_only("is_set", b""), 1, "variables stay");
            assert_eq!(plugin.call("count", "").error, None);
            assert_eq!(plugin.call_only("log", b""), -1);
        }
    });
}

/// The panic comes from the start section of a new instance.
#[test]
fn a_logger_that_panics_in_a_start_section() {
    static PANICS: AtomicBool = AtomicBool::new(false);
    child::alone("log::hosts::a_logger_that_panics_in_a_start_section", || {
        install(LevelFilter::Info, |_| assert!(!PANICS.load(Ordering::Relaxed), "the logger broke"));
        let starts = LOGS.trim_end().strip_suffix(')').expect("a module");
        let starts = format!("{starts} (func $start (call $log (call $x))) (start $start) (func (export \"_start\")))");
        let context = Context::new();
        let plugin = context.plugin(manifest(starts, "\"memory\": {\"max_var_bytes\": 60}"));
        assert_eq!(plugin.call_only("set", b""), 0);
        assert_eq!(plugin.call_only("_start", b""), 0);
        PANICS.store(true, Ordering::Relaxed);
        for _ in 0..2 {
            let answer = plugin.call("is_set", "");
            assert_eq!((answer.code, answer.error()), (-1, "internal error: the logger broke"));
        }
        PANICS.store(false, Ordering::Relaxed);
        assert_eq!(plugin.call_only("is_set", b""), 1, "variables stay");
    });
}

#[test]
fn a_logger_that_panics_without_words() {
    child::alone("log::hosts::a_logger_that_panics_without_words", || {
        install(LevelFilter::Info, |_| panic::panic_any(7));
        let context = Context::new();
        let answer = context.plugin(LOGS).call("log", "");
        assert_eq!((answer.code, answer.error()), (-1, "internal error: a panic without a message"));
    });
}

#[test]
fn a_logger_that_panics_during_a_creation() {
    child::alone("log::hosts::a_logger_that_panics_during_a_creation", || {
        panics_with("the logger broke");
        let context = Context::new();
        let warned = manifest(LOGS, "\"unknown\": 1");
        let body = LOGS.strip_suffix(')').expect("a module");
        let started = format!("{body} (func $start (call $log (call $x))) (start $start))");
        for (case, module) in [("a warning", &warned), ("a start section", &started)] {
            assert_eq!(context.refusal(module), "internal error: the logger broke", "{case}");
            let plugin = context.plugin(LOGS);
            assert!(!plugin.update(module, false), "{case}");
            assert_eq!(context.error(-1).as_deref(), Some("internal error: the logger broke"), "{case}");
            assert_eq!(plugin.call_only("count", b""), 1, "{case}: the old plugin stays");
        }
    });
}

#[cfg(feature = "wasi")]
#[test]
fn a_logger_that_panics_over_a_line_of_output() {
    child::alone("log::hosts::a_logger_that_panics_over_a_line_of_output", || {
        panics_with("the logger broke");
        let context = Context::new();
        for reactor in ["reactor.v0", "reactor.v1"] {
            let plugin = context.create(fixture(reactor), true).expect("made");
            for text in ["a line\n", "several\nlines\n", "a line\nand a half"] {
                let answer = plugin.call("print", text);
                assert_eq!((answer.code, answer.error()), (-1, "internal error: the logger broke"), "{text:?}");
                assert_eq!(plugin.answer("counter", ""), "1", "{reactor}: a new instance after {text:?}");
                assert_eq!(plugin.answer("counter", ""), "2", "{reactor}: which stays");
            }
            plugin.free();
        }
    });
}

/// When a plugin ends, its unfinished output is logged: a logger that panics over it must not end the process.
#[cfg(feature = "wasi")]
#[test]
fn a_logger_that_panics_over_last_words() {
    const TEST: &str = "log::hosts::a_logger_that_panics_over_last_words";
    let ends: [(&str, fn(Plugin<'_>)); 4] = [
        ("free", |plugin| plugin.free()),
        ("update", |plugin| assert!(plugin.update(LOGS, false), "{:?}", plugin.context.error(-1))),
        ("reset", |plugin| ffi::extism_context_reset(plugin.context.0)),
        ("context free", |plugin| ffi::extism_context_free(plugin.context.0)),
    ];
    let Some(case) = child::case() else {
        return ends.iter().for_each(|(case, _)| drop(child::run(TEST, case, &[])));
    };
    panics_with("the logger broke");
    for reactor in ["reactor.v0", "reactor.v1"] {
        let context = Context::new();
        let plugin = context.create(fixture(reactor), true).expect("made");
        // Half a line waits on both streams for its end.
        assert_eq!(plugin.call_only("print", b"half a line"), 0);
        ends.iter().find(|(name, _)| *name == case).expect("a known case").1(plugin);
        assert_eq!(plugin.call_only("counter", b""), -1, "it is gone");
        assert_eq!(Context::new().plugin(LOGS).call_only("count", b""), 1);
    }
}

/// Loggers are called on the thread of the call, several at once.
#[test]
fn a_logger_is_called_by_many_threads() {
    child::alone("log::hosts::a_logger_is_called_by_many_threads", || {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inside = Arc::clone(&seen);
        install(LevelFilter::Info, move |_| inside.lock().expect("no test fails in it").push(thread::current().id()));
        let context = Context::new();
        let mut callers: Vec<_> = thread::scope(|scope| {
            let call = |_| scope.spawn(|| (context.plugin(LOGS).call_only("log", b""), thread::current().id()));
            let calls: Vec<_> = (0..4).map(call).collect();
            calls.into_iter().map(|call| call.join().expect("no panic")).collect()
        });
        let mut seen = seen.lock().expect("no test fails in it").clone();
        let order = |id: &thread::ThreadId| format!("{id:?}");
        seen.sort_by_key(order);
        callers.sort_by_key(|(_, id)| order(id));
        assert_eq!(callers, seen.iter().map(|id| (5, *id)).collect::<Vec<_>>());
    });
}
