//! The directories of `allowed_paths`: everything that a plugin can do in them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::clocks::in_time;
use super::{REACTORS, wasi};
use crate::host::{Context, Plugin, fixture, manifest};
#[cfg(target_os = "linux")]
use crate::{child, faults::limit};

/// WASI's error numbers.
const EXIST: i32 = 20;
const ISDIR: i32 = 31;
const NOENT: i32 = 44;
const NOTDIR: i32 = 54;
const NOTEMPTY: i32 = 55;
/// No directory is mapped there.
const NOTCAPABLE: i32 = 76;

/// A manifest of a fixture with directories of the host, each with the path where the plugin sees it.
pub(super) fn mapped<'a>(name: &str, paths: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let paths: BTreeMap<_, _> = paths.into_iter().collect();
    manifest(fixture(name), &format!("\"allowed_paths\": {}", json!(paths)))
}

/// A fixture that may use directories of the host.
pub(super) fn with_paths<'a, 'b>(
    context: &'a Context,
    name: &str,
    paths: impl IntoIterator<Item = (&'b str, &'b str)>,
) -> Plugin<'a> {
    wasi(context, mapped(name, paths))
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A directory with a file, an empty directory and one with a file.
pub(super) fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "hello").expect("writable");
    fs::create_dir(folder.path().join("empty")).expect("writable");
    fs::create_dir(folder.path().join("sub")).expect("writable");
    fs::write(folder.path().join("sub/b.txt"), "below").expect("writable");
    folder
}

/// Functions, their inputs, and their outputs or errors, in order: each step builds on those before.
const STEPS: [(&str, &str, Result<&str, i32>); 47] = [
    ("read_file", "/mnt/a.txt", Ok("hello")),
    ("read_file", "mnt/a.txt", Ok("hello")),
    ("read_file", "/mnt/./sub/../a.txt", Ok("hello")),
    ("read_file", "/mnt//sub///b.txt", Ok("below")),
    ("read_file", "/mnt/missing", Err(NOENT)),
    ("read_file", "/mnt/missing/a.txt", Err(NOENT)),
    ("read_file", "/a.txt", Err(NOTCAPABLE)),
    ("read_file", "/mnt/a.txt/x", Err(NOTDIR)),
    ("list_dir", "/mnt", Ok("a.txt\nempty/\nsub/\n")),
    ("list_dir", "/mnt/", Ok("a.txt\nempty/\nsub/\n")),
    ("list_dir", "/mnt/empty", Ok("")),
    ("list_dir", "/mnt/a.txt", Err(NOTDIR)),
    ("list_dir", "/mnt/missing", Err(NOENT)),
    ("stat", "/mnt/a.txt", Ok("file 5")),
    ("stat", "/mnt/sub", Ok("dir")),
    ("stat", "/mnt", Ok("dir")),
    ("stat", "/mnt/missing", Err(NOENT)),
    ("write_file", "/mnt/new.txt\0first", Ok("")),
    ("read_file", "/mnt/new.txt", Ok("first")),
    ("write_file", "/mnt/new.txt\0a much longer text", Ok("")),
    ("read_file", "/mnt/new.txt", Ok("a much longer text")),
    ("write_file", "/mnt/new.txt\0short", Ok("")),
    ("append_file", "/mnt/new.txt\0 and more", Ok("")),
    ("read_file", "/mnt/new.txt", Ok("short and more")),
    ("append_file", "/mnt/missing\0x", Err(NOENT)),
    ("write_file", "/mnt/missing/x\0x", Err(NOENT)),
    ("write_file", "/mnt/sub\0x", Err(ISDIR)),
    ("mkdir", "/mnt/made", Ok("")),
    ("mkdir", "/mnt/made", Err(EXIST)),
    ("mkdir", "/mnt/missing/made", Err(NOENT)),
    ("write_file", "/mnt/made/c é.txt\0in", Ok("")),
    ("list_dir", "/mnt/made", Ok("c é.txt\n")),
    ("remove", "/mnt/made", Err(NOTEMPTY)),
    ("list_dir", "/mnt/made", Ok("c é.txt\n")),
    ("mkdir", "/mnt/short-lived", Ok("")),
    ("remove", "/mnt/short-lived", Ok("")),
    ("stat", "/mnt/short-lived", Err(NOENT)),
    ("rename", "/mnt/new.txt\0/mnt/made/moved.txt", Ok("")),
    ("read_file", "/mnt/made/moved.txt", Ok("short and more")),
    ("rename", "/mnt/made/moved.txt\0/mnt/a.txt", Ok("")),
    ("read_file", "/mnt/a.txt", Ok("short and more")),
    ("rename", "/mnt/missing\0/mnt/x", Err(NOENT)),
    ("rename", "/mnt/made\0/mnt/kept", Ok("")),
    ("remove", "/mnt/kept/c é.txt", Ok("")),
    ("remove", "/mnt/kept", Ok("")),
    ("remove", "/mnt/kept", Err(NOENT)),
    ("list_dir", "/mnt", Ok("a.txt\nempty/\nsub/\n")),
];

#[test]
fn reading_and_writing() {
    for reactor in REACTORS {
        let folder = folder();
        let context = Context::new();
        let plugin = with_paths(&context, reactor, [(text(folder.path()), "/mnt")]);
        let mut wrong = Vec::new();
        for (function, input, expected) in STEPS {
            let answer = plugin.call(function, input);
            let found = if answer.code == 0 { Ok(answer.text()) } else { Err(answer.code) };
            if found != expected.map(str::to_owned) || answer.error.is_some() {
                wrong.push(format!("{function} {input:?}: {found:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{reactor}:\n{}", wrong.join("\n"));
        let host = fs::read_to_string(folder.path().join("a.txt")).expect("still there");
        assert_eq!(host, "short and more", "the host sees it");
    }
}

/// Changes of the host in a directory, in order, and a plugin's calls after each: functions, inputs and outputs.
const CHANGES: [(&str, fn(&Path), &[(&str, &str, &str)]); 7] = [
    ("as it was", |_| {}, &[("read_file", "/mnt/a.txt", "hello"), ("stat", "/mnt/a.txt", "file 5")]),
    (
        "longer",
        |folder| fs::write(folder.join("a.txt"), "a longer text").expect("writable"),
        &[
            ("stat", "/mnt/a.txt", "file 13"),
            ("read_file", "/mnt/a.txt", "a longer text"),
            ("append_file", "/mnt/a.txt\0 appended", ""),
            ("read_file", "/mnt/a.txt", "a longer text appended"),
        ],
    ),
    (
        "shorter",
        |folder| fs::write(folder.join("a.txt"), "short").expect("writable"),
        &[
            ("append_file", "/mnt/a.txt\0!", ""),
            ("read_file", "/mnt/a.txt", "short!"),
            ("stat", "/mnt/a.txt", "file 6"),
        ],
    ),
    (
        "grown",
        |folder| fs::write(folder.join("a.txt"), "short! and more").expect("writable"),
        &[("append_file", "/mnt/a.txt\0.", ""), ("read_file", "/mnt/a.txt", "short! and more.")],
    ),
    (
        "a new file",
        |folder| fs::write(folder.join("new.txt"), "new").expect("writable"),
        &[("read_file", "/mnt/new.txt", "new"), ("list_dir", "/mnt", "a.txt\nempty/\nnew.txt\nsub/\n")],
    ),
    (
        "another in its place",
        |folder| fs::rename(folder.join("new.txt"), folder.join("a.txt")).expect("writable"),
        &[("read_file", "/mnt/a.txt", "new"), ("list_dir", "/mnt", "a.txt\nempty/\nsub/\n")],
    ),
    (
        "a file where a directory was",
        |folder| {
            fs::remove_dir(folder.join("empty")).expect("writable");
            fs::write(folder.join("empty"), "a file").expect("writable");
        },
        &[("read_file", "/mnt/empty", "a file"), ("stat", "/mnt/empty", "file 6")],
    ),
];

/// A plugin sees the changes that others make to its files between its calls.
#[test]
fn the_host_changes_files_meanwhile() {
    for reactor in REACTORS {
        let folder = folder();
        let context = Context::new();
        let plugin = with_paths(&context, reactor, [(text(folder.path()), "/mnt")]);
        assert_eq!(plugin.answer("list_dir", "/mnt/empty"), "");
        let mut wrong = Vec::new();
        for (step, change, calls) in CHANGES {
            change(folder.path());
            for (function, input, expected) in calls {
                let answer = plugin.call(function, input);
                if (answer.code, answer.text().as_str()) != (0, *expected) {
                    wrong.push(format!("{step}: {function} {input:?}: {} {:?}", answer.code, answer.text()));
                }
            }
        }
        fs::remove_file(folder.path().join("a.txt")).expect("writable");
        for function in ["read_file", "stat"] {
            let code = plugin.call_only(function, b"/mnt/a.txt");
            if code != NOENT {
                wrong.push(format!("removed: {function}: {code}"));
            }
        }
        assert!(wrong.is_empty(), "{reactor}:\n{}", wrong.join("\n"));
    }
}

/// Opening a FIFO would wait for its other end.
#[test]
fn files_that_are_no_files() {
    for reactor in REACTORS {
        let folder = folder();
        let made = Command::new("mkfifo").arg(folder.path().join("fifo")).status();
        assert!(made.expect("mkfifo is there").success());
        let _listener = UnixListener::bind(folder.path().join("socket")).expect("writable");
        let source = mapped(reactor, [(text(folder.path()), "/mnt")]);
        let answers = in_time(move || {
            let context = Context::new();
            let plugin = wasi(&context, source);
            let list = plugin.answer("list_dir", "/mnt");
            let attempts = ["fifo", "socket"].map(|name| {
                let calls = [("read_file", ""), ("write_file", "\0x"), ("append_file", "\0x"), ("list_dir", "")];
                calls.map(|(function, more)| plugin.call_only(function, format!("/mnt/{name}{more}").as_bytes()))
            });
            (list, attempts, ["fifo", "socket"].map(|name| plugin.answer("stat", format!("/mnt/{name}"))))
        });
        let (list, attempts, stats) = answers.unwrap_or_else(|| panic!("{reactor} waits"));
        assert_eq!(list, "a.txt\nempty/\nfifo\nsocket\nsub/\n", "{reactor}");
        assert!(attempts.iter().flatten().all(|code| *code > 0), "{reactor}: {attempts:?}");
        assert_eq!(stats, ["other", "other"], "{reactor}");
    }
}

#[test]
fn large_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7 + n / 251) as u8).collect();
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = with_paths(&context, reactor, [(text(folder.path()), "/mnt")]);
        let answer = plugin.call("write_file", [b"/mnt/large\0".as_slice(), &bytes].concat());
        assert_eq!((answer.code, answer.error()), (0, ""), "{reactor}");
        assert!(fs::read(folder.path().join("large")).expect("written") == bytes, "{reactor}");
        assert!(plugin.call("read_file", "/mnt/large").output == bytes, "{reactor}");
        fs::remove_file(folder.path().join("large")).expect("there");
    }
}

/// The signal for a file that grows beyond the process's limit would end a host that does not handle it. The plugin
/// gets the error; the part that fits is written.
#[cfg(target_os = "linux")]
#[test]
fn files_at_the_size_limit() {
    const FBIG: i32 = 22;
    const LIMIT: u64 = 1 << 20;
    /// Calls with a new file as descriptor 4, the error of the last call, and the size of the file afterwards.
    const CASES: [(&str, i32, u64); 6] = [
        ("(call $pwrite (i32.const 4) (i32.const 16) (i32.const 1) (i64.const 100000000) (i32.const 0))", FBIG, 0),
        ("(call $pwrite (i32.const 4) (i32.const 16) (i32.const 1) (i64.const 1048575) (i32.const 0))", 0, LIMIT),
        ("(call $size (i32.const 4) (i64.const 100000000))", FBIG, 0),
        ("(call $size (i32.const 4) (i64.const 1048577))", FBIG, 0),
        ("(call $size (i32.const 4) (i64.const 1048576))", 0, LIMIT),
        ("(drop (call $size (i32.const 4) (i64.const 1048574))) (call $two)", FBIG, LIMIT),
    ];
    child::alone("wasi::files::files_at_the_size_limit", || {
        let functions: String = CASES
            .iter()
            .zip(0..)
            .map(|((calls, ..), index)| format!("(func (export \"case{index}\") (result i32) (call $open) {calls})"))
            .collect();
        let module = format!(
            r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $size (param i32 i64) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "file") (data (i32.const 16) "\40\00\00\00\04\00\00\00")
            (func (export "_start"))
            (func $open (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 4) (i32.const 9)
                (i64.const 0x40) (i64.const 0) (i32.const 0) (i32.const 0))))
            ;; Two writes at the end, of which two bytes fit.
            (func $two (result i32)
                (drop (call $seek (i32.const 4) (i64.const 0) (i32.const 2) (i32.const 0)))
                (drop (call $write (i32.const 4) (i32.const 16) (i32.const 1) (i32.const 0)))
                (if (i32.ne (i32.load (i32.const 0)) (i32.const 2)) (then (return (i32.const -5))))
                (call $write (i32.const 4) (i32.const 16) (i32.const 1) (i32.const 0)))
            {functions})"#
        );
        let folder = tempfile::tempdir().expect("a folder");
        let context = Context::new();
        let paths = json!({text(folder.path()): "/"});
        let plugin = wasi(&context, manifest(module, &format!("\"allowed_paths\": {paths}")));
        limit(libc::RLIMIT_FSIZE, LIMIT);
        for ((calls, code, size), index) in CASES.into_iter().zip(0..) {
            assert_eq!(plugin.call_only("_start", b""), 0);
            assert_eq!(plugin.call_only(&format!("case{index}"), b""), code, "{calls}");
            assert_eq!(fs::metadata(folder.path().join("file")).expect("made").len(), size, "{calls}");
        }
    });
}
