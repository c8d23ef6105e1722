//! The sinks of the log and the form of its lines. The log belongs to the whole process, so every test that sets it
//! runs in a process of its own. `log/hosts.rs` tests the loggers of hosts.
#![expect(unsafe_code, reason = "extism_log_file takes pointers")]

mod hosts;
mod ignored;
mod reports;
mod stalled;

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::path::PathBuf;
use std::ptr;
use std::thread;

use extism::ffi;
use tempfile::TempDir;

use crate::child;
use crate::host::{Context, fixture, manifest};
pub(crate) use hosts::install;

/// Calls the C function; `None` is NULL.
pub(crate) fn set(filename: Option<&str>, level: Option<&str>) -> bool {
    let text = |text: &str| CString::new(text).expect("no NUL in it");
    set_bytes(filename.map(text).as_deref(), level.map(text).as_deref())
}

fn set_bytes(filename: Option<&CStr>, level: Option<&CStr>) -> bool {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: both are NULL or C strings.
    unsafe { ffi::extism_log_file(pointer(filename), pointer(level)) }.into()
}

/// One line of a log file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) target: String,
    pub(crate) level: String,
    pub(crate) time: String,
    pub(crate) message: String,
}

/// A file that the log is written to.
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

/// The warnings that `work` logs.
#[cfg(feature = "compiler")]
pub(crate) fn warnings(work: impl FnOnce()) -> Vec<String> {
    let log = LogFile::new("warn");
    work();
    let lines = log.lines();
    let warnings = lines.iter().filter(|line| line.level == "WARN");
    warnings.map(|line| format!("{} {}", line.level, line.message)).collect()
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
        let folder = tempfile::tempdir().expect("a folder");
        std::env::set_current_dir(folder.path()).expect("it was made");
        let name = Some(case.as_str()).filter(|case| *case != "NULL");
        assert!(set(name, None));
        let context = Context::new();
        let plugin = context.plugin(fixture("kitchen.v0"));
        plugin.answer("log", "error:to a stream");
        plugin.answer("log", "warn:below the default level");
        return assert_eq!(fs::exists(folder.path().join("stderr")).expect("can be asked"), case == "./stderr");
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

/// A refused setting changes nothing.
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
            ("a variable that is not set", "$ENV{EXTISM_NOT_SET}/log", "info"),
        ];
        for (case, name, level) in cases {
            assert!(!set(Some(name), Some(level)), "{case}");
        }
        let not_utf8 = c"\xff";
        assert!(!set_bytes(Some(not_utf8), None), "file name that is not UTF-8");
        assert!(!set_bytes(Some(c"stderr"), Some(not_utf8)), "level that is not UTF-8");
        says("still here");
        let messages = log.messages();
        assert!(messages.contains(&"ERROR still here".to_owned()), "{messages:?}");
        let said = |part: &str| {
            messages.iter().filter(|line| line.starts_with("ERROR extism_log_file: ") && line.contains(part)).count()
        };
        for (reason, times) in [
            ("log_level: `loud` is not off, error, warn, info, debug or trace", 1),
            ("the environment variable `EXTISM_NOT_SET` is not set", 1),
            ("`filename` is not UTF-8 from byte 0 on", 1),
            ("`log_level` is not UTF-8 from byte 0 on", 1),
            ("", cases.len() + 2),
        ] {
            assert_eq!(said(reason), times, "{reason}: {messages:?}");
        }
        assert!(!fs::exists("$ENV{EXTISM_NOT_SET}").expect("can be asked"), "no such directory is made");
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
                // The 0.x ABI has no level `trace`.
                let known = if kitchen == "kitchen.v0" { 4 } else { 5 };
                for level in &all[..known] {
                    plugin.answer("log", format!("{level}:as {level}"));
                }
                let expected: Vec<String> = all[..known.min(logged)]
                    .iter()
                    .map(|level| format!("{} as {level}", level.to_uppercase()))
                    .collect();
                let lines = log.lines();
                let own = lines.iter().filter(|line| line.target == "extism::plugin");
                let own: Vec<_> = own.map(|line| format!("{} {}", line.level, line.message)).collect();
                assert_eq!(own, expected, "{setting}, {kitchen}");
            }
        }
    });
}

/// A plugin can ask which levels are logged.
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
        let long = "long ".repeat(12_000);
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
