//! Where log lines go: files, streams, the host's own logger, and what that may do to the library. The log belongs to
//! the whole process, so every test that sets it runs in one of its own.
#![expect(unsafe_code, reason = "extism_log_file takes pointers")]

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::panic;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use ::log::{Level, LevelFilter, Log, Metadata, Record};
use extism::ffi;
use tempfile::TempDir;

use crate::child;
use crate::host::{Context, Plugin, fixture, manifest};

/// Calls the C function; `None` is NULL.
pub(crate) fn set(filename: Option<&str>, level: Option<&str>) -> bool {
    let text = |text: &str| CString::new(text).expect("no NUL in it");
    set_bytes(filename.map(text).as_deref(), level.map(text).as_deref())
}

fn set_bytes(filename: Option<&CStr>, level: Option<&CStr>) -> bool {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: both are NULL or C strings.
    unsafe { ffi::extism_log_file(pointer(filename), pointer(level)) }
}

/// One line of a log file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) target: String,
    pub(crate) level: String,
    pub(crate) time: String,
    pub(crate) message: String,
}

/// A file that the log goes to.
pub(crate) struct LogFile(TempDir);

impl LogFile {
    /// Sends lines of `level` and above to a new file.
    pub(crate) fn new(level: &str) -> Self {
        let file = Self(tempfile::tempdir().expect("a folder"));
        assert!(set(file.path().to_str(), Some(level)), "{level}");
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("log")
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.path()).expect("the log is UTF-8");
        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
        text.lines().map(parse).collect()
    }

    /// The lines as `LEVEL message`.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.lines().iter().map(|line| format!("{} {}", line.level, line.message)).collect()
    }
}

fn parse(line: &str) -> Line {
    let mut fields = line.splitn(5, ' ').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_else(|| panic!("a line of the log: {line:?}"));
    let [target, level, time, dash, message] = [field(), field(), field(), field(), field()];
    assert_eq!(dash, "-", "{line:?}");
    Line { target, level, time, message }
}

/// Both builds of the plugin whose `log` writes LEVEL:MESSAGE.
const KITCHENS: [&str; 2] = ["kitchen.v0", "kitchen.v1"];

fn says(message: &str) {
    let context = Context::new();
    context.plugin(fixture("kitchen.v0")).answer("log", format!("error:{message}"));
}

#[test]
fn streams() {
    const TEST: &str = "log::streams";
    let cases =
        [("-", "stdout"), ("stdout", "stdout"), ("stderr", "stderr"), ("NULL", "stderr"), ("./stderr", "neither")];
    if let Some(case) = child::case() {
        let name = Some(case.as_str()).filter(|case| *case != "NULL");
        assert!(set(name, None));
        let context = Context::new();
        let plugin = context.plugin(fixture("kitchen.v0"));
        plugin.answer("log", "error:to a stream");
        plugin.answer("log", "warn:below the default level");
        if case == "./stderr" {
            fs::remove_file(case).expect("a file of that name was made");
        }
        return;
    }
    for (case, stream) in cases {
        let ended = child::run(TEST, case, &[]);
        let count = |text: &str| text.lines().filter(|line| line.contains("- to a stream")).count();
        let expected = (usize::from(stream == "stdout"), usize::from(stream == "stderr"));
        assert_eq!((count(&ended.stdout), count(&ended.stderr)), expected, "{case}");
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("below the default"), "{case}");
    }
}

#[test]
fn files() {
    child::alone("log::files", || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
        let count = |name: &str| fs::read_to_string(path(name)).expect("it was made").lines().count();

        assert!(set(Some(&path("not/yet/there/log")), Some("info")), "missing directories are made");
        says("1");
        assert_eq!(count("not/yet/there/log"), 1);

        fs::write(path("second"), "it was here\n").expect("writable");
        assert!(set(Some(&path("second")), Some("info")), "set again");
        says("2");
        assert_eq!((count("not/yet/there/log"), count("second")), (1, 2));
        assert!(fs::read_to_string(path("second")).expect("text").starts_with("it was here\n"), "appended to");

        assert!(set(Some(&path("second")), Some("info")), "the same one again");
        says("3");
        assert_eq!(count("second"), 3);
    });
}

/// Nothing is changed by a setting that is refused.
#[test]
fn refused() {
    child::alone("log::refused", || {
        let log = LogFile::new("error");
        let path = log.path();
        let path = path.to_str().expect("UTF-8");
        let below_a_file = format!("{path}/below");
        let folder = log.0.path().to_str().expect("UTF-8");
        let other = format!("{folder}/other");
        let cases = [
            ("bad level", other.as_str(), "loud"),
            ("empty level", &other, ""),
            ("level with blanks", &other, " info"),
            ("a number", &other, "1"),
            ("a directory", folder, "info"),
            ("below a file", &below_a_file, "info"),
            ("no name", "", "info"),
        ];
        for (case, name, level) in cases {
            assert!(!set(Some(name), Some(level)), "{case}");
        }
        let not_utf8 = c"\xff";
        assert!(!set_bytes(Some(not_utf8), None), "file name that is not UTF-8");
        assert!(!set_bytes(Some(c"stderr"), Some(not_utf8)), "level that is not UTF-8");
        says("still here");
        assert!(log.messages().contains(&"ERROR still here".to_owned()), "{:?}", log.messages());
        assert!(!fs::exists(other).expect("can be asked"), "no file is made for a bad level");
    });
}

#[test]
fn environment_variables_in_paths() {
    const TEST: &str = "log::environment_variables_in_paths";
    if child::case().is_some() {
        assert!(set(Some("$ENV{EXTISM_TEST_FOLDER}/$ENV{EXTISM_TEST_NAME}.log"), None));
        return says("expanded");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("EXTISM_TEST_FOLDER", folder.path().as_os_str()), ("EXTISM_TEST_NAME", OsStr::new("name"))];
    child::run(TEST, "", &variables);
    let log = fs::read_to_string(folder.path().join("name.log")).expect("the names are replaced");
    assert!(log.ends_with(" - expanded\n"), "{log}");
}

#[test]
fn levels() {
    child::alone("log::levels", || {
        let all = ["error", "warn", "info", "debug", "trace"];
        let settings = [("off", 0), ("error", 1), ("WARN", 2), ("Info", 3), ("debug", 4), ("tRaCe", 5)];
        for (setting, logged) in settings {
            for kitchen in KITCHENS {
                let log = LogFile::new(setting);
                let context = Context::new();
                let plugin = context.plugin(fixture(kitchen));
                // The 0.x ABI has no trace.
                let known = if kitchen == "kitchen.v0" { 4 } else { 5 };
                for level in &all[..known] {
                    plugin.answer("log", format!("{level}:as {level}"));
                }
                let expected: Vec<String> = all[..known.min(logged)]
                    .iter()
                    .map(|level| format!("{} as {level}", level.to_uppercase()))
                    .collect();
                assert_eq!(log.messages(), expected, "{setting}, {kitchen}");
            }
        }
    });
}

/// A plugin can ask what is worth logging.
#[test]
fn the_level_that_plugins_see() {
    child::alone("log::the_level_that_plugins_see", || {
        let context = Context::new();
        let plugin = context.plugin(
            r#"(module (import "extism:host/env" "get_log_level" (func $level (result i32)))
                (func (export "level") (result i32) (call $level)))"#,
        );
        assert_eq!(plugin.call_only("level", b""), i32::MAX, "nobody listens");
        let levels = [("trace", 0), ("debug", 1), ("info", 2), ("warn", 3), ("error", 4), ("off", i32::MAX)];
        for (setting, level) in levels {
            let _log = LogFile::new(setting);
            assert_eq!(plugin.call_only("level", b""), level, "{setting}");
        }
    });
}

#[test]
fn lines_are_whole_and_single() {
    child::alone("log::lines_are_whole_and_single", || {
        let long = "long ".repeat(100_000);
        let cases = [
            ("plain", "plain"),
            ("", ""),
            (" blanks - and dashes ", " blanks - and dashes "),
            ("a\nb\r\nc", "a\\nb\\r\\nc"),
            ("\u{1b}[31mred\u{7f}", "\\u{1b}[31mred\\u{7f}"),
            ("tab\tand \"quotes\" and é", "tab\tand \"quotes\" and é"),
            (
                "fake\nextism ERROR 2000-01-01T00:00:00.000Z - line",
                "fake\\nextism ERROR 2000-01-01T00:00:00.000Z - line",
            ),
            (&long, &long),
        ];
        for (message, expected) in cases {
            for kitchen in KITCHENS {
                let log = LogFile::new("info");
                let context = Context::new();
                context.plugin(fixture(kitchen)).answer("log", format!("warn:{message}"));
                let lines = log.lines();
                assert_eq!(lines.len(), 1, "{message:?}");
                let Line { target, level, time, message } = &lines[0];
                assert_eq!((target.as_str(), level.as_str(), message.as_str()), ("extism::plugin", "WARN", expected));
                assert!(
                    time.len() == 24 && time.starts_with("20") && time.ends_with('Z') && &time[10..11] == "T",
                    "{time}"
                );
            }
        }
    });
}

#[test]
fn bytes_that_are_no_text_are_shown_as_well_as_can_be() {
    child::alone("log::bytes_that_are_no_text_are_shown_as_well_as_can_be", || {
        for kitchen in KITCHENS {
            let log = LogFile::new("info");
            let context = Context::new();
            context.plugin(fixture(kitchen)).answer("log", b"info:a\xffb");
            assert_eq!(log.messages(), ["INFO a\u{fffd}b"], "{kitchen}");
        }
    });
}

#[test]
fn the_library_says_what_it_ignores() {
    child::alone("log::the_library_says_what_it_ignores", || {
        let log = LogFile::new("warn");
        Context::new().plugin(manifest("(module)", "\"alowed_hosts\": []"));
        let lines = log.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].target.as_str(), lines[0].level.as_str()), ("extism", "WARN"));
        assert!(lines[0].message.contains("`alowed_hosts`"), "{:?}", lines[0]);
    });
}

#[test]
fn threads_do_not_mix_their_lines() {
    child::alone("log::threads_do_not_mix_their_lines", || {
        let log = LogFile::new("info");
        let context = Context::new();
        let wasm = fixture("kitchen.v1");
        thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let plugin = context.plugin(&wasm);
                scope.spawn(move || {
                    for _ in 0..200 {
                        plugin.answer("log", format!("info:{}", name.repeat(300)));
                    }
                });
            }
        });
        let mut messages = log.messages();
        messages.sort();
        let expected: Vec<String> =
            ["a", "b", "c", "d"].iter().flat_map(|name| vec![format!("INFO {}", name.repeat(300)); 200]).collect();
        assert_eq!(messages, expected);
    });
}

/// A logger as a host written in Rust has one.
struct HostLogger<F>(F);

impl<F: Fn(&Record<'_>) + Send + Sync> Log for HostLogger<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        (self.0)(record);
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
    child::alone("log::without_a_sink_lines_go_to_the_hosts_logger", || {
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

/// What the logger does with a plugin, and what that comes to.
type Attempt = (&'static str, fn(Plugin<'_>) -> String, &'static str);

const REENTERED: &str = "plugin 0 is running on this very thread and cannot be used from inside its own call";

/// What a logger tries on the plugin that is logging.
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

/// Runs `attempts` one after the other from inside the logger, during a call of `log` on the context's plugin 0.
fn check_attempts(attempts: &'static [Attempt]) {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    static ANSWER: Mutex<Option<(usize, String)>> = Mutex::new(None);
    let context = CONTEXT.get_or_init(Context::new);
    let plugin = context.plugin(LOGS);
    install(LevelFilter::Info, |_| {
        // What an attempt logs itself is not of interest.
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
    child::alone("log::a_logger_cannot_use_the_plugin_that_is_logging", || check_attempts(&ON_ITSELF));
}

/// What a logger may do meanwhile.
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
    child::alone("log::a_logger_can_use_other_plugins", || check_attempts(&ON_OTHERS));
}

/// The plugin that runs lives until its call ends.
#[test]
fn a_logger_can_free_the_context() {
    const TEST: &str = "log::a_logger_can_free_the_context";
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
    child::alone("log::a_logger_that_panics", || {
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

#[test]
fn a_logger_that_panics_without_words() {
    child::alone("log::a_logger_that_panics_without_words", || {
        install(LevelFilter::Info, |_| panic::panic_any(7));
        let context = Context::new();
        let answer = context.plugin(LOGS).call("log", "");
        assert_eq!((answer.code, answer.error()), (-1, "internal error: a panic without a message"));
    });
}

#[test]
fn a_logger_that_panics_during_a_creation() {
    child::alone("log::a_logger_that_panics_during_a_creation", || {
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

/// A plugin's last words are logged when it is freed: a logger that panics over them must not end the process.
#[cfg(feature = "wasi")]
#[test]
fn a_logger_that_panics_over_the_output_of_a_plugin() {
    child::alone("log::a_logger_that_panics_over_the_output_of_a_plugin", || {
        panics_with("the logger broke");
        let context = Context::new();
        for reactor in ["reactor.v0", "reactor.v1"] {
            let create = || context.create(fixture(reactor), true).expect("made");
            let plugin = create();
            let answer = plugin.call("print", "a line\n");
            assert_eq!((answer.code, answer.error()), (-1, "internal error: the logger broke"));
            assert_eq!(plugin.answer("counter", ""), "1");

            // Half a line on both streams waits to be logged.
            let ends: [fn(Plugin<'_>); 4] = [
                |plugin| plugin.free(),
                |plugin| drop(plugin.update(LOGS, false)),
                |plugin| ffi::extism_context_reset(plugin.context.0),
                |plugin| ffi::extism_context_free(plugin.context.0),
            ];
            for end in ends {
                let context = Context::new();
                let plugin = context.create(fixture(reactor), true).expect("made");
                assert_eq!(plugin.call_only("print", b"half a line"), 0);
                end(plugin);
                assert_ne!(plugin.call_only("counter", b""), 0, "it is gone");
            }
            assert_eq!(create().answer("counter", ""), "1");
        }
    });
}

/// Loggers are called on the thread of the call, several at once.
#[test]
fn a_logger_is_called_by_many_threads() {
    child::alone("log::a_logger_is_called_by_many_threads", || {
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
