//! The directories of `allowed_paths`: what a plugin can do in them, and how they are named.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::{REACTORS, refusal, wasi};
use crate::host::{Context, Plugin, fixture, manifest};

/// The numbers of WASI's errors.
pub(super) const EXIST: i32 = 20;
pub(super) const ISDIR: i32 = 31;
pub(super) const NOENT: i32 = 44;
pub(super) const NOTDIR: i32 = 54;
pub(super) const NOTEMPTY: i32 = 55;

/// A manifest of a fixture with directories of the host, each with the place where the plugin sees it.
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

/// A folder with a file, an empty folder and one with a file.
pub(super) fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "hello").expect("writable");
    fs::create_dir(folder.path().join("empty")).expect("writable");
    fs::create_dir(folder.path().join("sub")).expect("writable");
    fs::write(folder.path().join("sub/b.txt"), "below").expect("writable");
    folder
}

#[test]
fn reading_and_writing() {
    // In order; each builds on those before.
    let steps: [(&str, &str, Result<&str, i32>); 43] = [
        ("read_file", "/mnt/a.txt", Ok("hello")),
        ("read_file", "mnt/a.txt", Ok("hello")),
        ("read_file", "/mnt/./sub/../a.txt", Ok("hello")),
        ("read_file", "/mnt//sub///b.txt", Ok("below")),
        ("read_file", "/mnt/missing", Err(NOENT)),
        ("read_file", "/mnt/missing/a.txt", Err(NOENT)),
        ("read_file", "/a.txt", Err(NOENT)),
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
    for reactor in REACTORS {
        let folder = folder();
        let context = Context::new();
        let plugin = with_paths(&context, reactor, [(text(folder.path()), "/mnt")]);
        for (function, input, expected) in steps {
            let answer = plugin.call(function, input);
            let found = if answer.code == 0 { Ok(answer.text()) } else { Err(answer.code) };
            assert_eq!(found, expected.map(str::to_owned), "{reactor}: {function} {input:?}");
            assert_eq!(answer.error, None);
        }
        let host = fs::read_to_string(folder.path().join("a.txt")).expect("still there");
        assert_eq!(host, "short and more", "the host sees it");
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

#[test]
fn forms_of_guest_paths() {
    let forms = [
        ("/mnt", "/mnt/a.txt"),
        ("mnt", "/mnt/a.txt"),
        ("/mnt/", "/mnt/a.txt"),
        ("./mnt", "/mnt/a.txt"),
        ("//mnt//", "/mnt/a.txt"),
        ("/a/b/c", "/a/b/c/a.txt"),
        ("a/b", "a/b/a.txt"),
        ("/with space é", "/with space é/a.txt"),
        ("/", "/a.txt"),
        ("/", "a.txt"),
        (".", "/a.txt"),
    ];
    for reactor in REACTORS {
        for (guest, file) in forms {
            let folder = folder();
            let context = Context::new();
            let plugin = with_paths(&context, reactor, [(text(folder.path()), guest)]);
            assert_eq!(plugin.answer("read_file", file), "hello", "{reactor}: {guest:?} {file}");
            assert_eq!(plugin.answer("write_file", format!("{file}.new\0x")), "", "{reactor}: {guest:?}");
            assert_eq!(fs::read(folder.path().join("a.txt.new")).expect("written"), b"x", "{reactor}: {guest:?}");
        }
    }
}

#[test]
fn several_directories() {
    let [one, two, inner] = [folder(), folder(), folder()];
    fs::write(two.path().join("a.txt"), "second").expect("writable");
    fs::write(inner.path().join("a.txt"), "third").expect("writable");
    let read_only = format!("ro:{}", text(inner.path()));
    for reactor in REACTORS {
        let context = Context::new();
        let paths = [(text(one.path()), "/one"), (text(two.path()), "/two"), (read_only.as_str(), "/one/inner")];
        let plugin = with_paths(&context, reactor, paths);
        for (path, expected) in [("/one/a.txt", "hello"), ("/two/a.txt", "second"), ("/one/inner/a.txt", "third")] {
            assert_eq!(plugin.answer("read_file", path), expected, "{reactor}: {path}");
        }
        assert_ne!(plugin.call_only("write_file", b"/one/inner/x\0x"), 0, "{reactor}: read-only inside of writable");
        assert_ne!(plugin.call_only("rename", b"/two/a.txt\0/one/inner/x"), 0, "{reactor}: into read-only");
        assert_ne!(plugin.call_only("rename", b"/one/inner/a.txt\0/two/x"), 0, "{reactor}: out of read-only");
        assert_eq!(plugin.answer("read_file", "/two/a.txt"), "second", "{reactor}: nothing is lost");
        assert_eq!(fs::read(inner.path().join("a.txt")).expect("still there"), b"third", "{reactor}");

        // One directory of the host in two places, once read-only.
        let read_only = format!("ro:{}", text(one.path()));
        let plugin = with_paths(&context, reactor, [(text(one.path()), "/rw"), (read_only.as_str(), "/ro")]);
        assert_eq!(plugin.answer("write_file", "/rw/shared.txt\0x"), "", "{reactor}");
        assert_eq!(plugin.answer("read_file", "/ro/shared.txt"), "x", "{reactor}");
        assert_ne!(plugin.call_only("remove", b"/ro/shared.txt"), 0, "{reactor}");
        assert_eq!(plugin.answer("remove", "/rw/shared.txt"), "", "{reactor}");
    }
}

#[test]
fn mappings_that_are_refused() {
    let folder = folder();
    let host = text(folder.path());
    let [missing, file] = ["missing", "a.txt"].map(|name| format!("{host}/{name}"));
    let [read_only, read_only_missing, read_only_file] = [host, &missing, &file].map(|path| format!("ro:{path}"));
    let sub = format!("{host}/sub");
    let cases: [(&[(&str, &str)], &[&str]); 11] = [
        (&[(host, "/mnt"), (&sub, "/mnt")], &["two directories", "`/mnt`"]),
        (&[(host, "/mnt"), (&sub, "mnt/")], &["two directories", "mnt"]),
        (&[(host, "/mnt"), (&read_only, "/mnt")], &["two directories", "`/mnt`"]),
        (&[(&missing, "/mnt")], &[&missing, "No such file or directory"]),
        (&[(&read_only_missing, "/mnt")], &[&missing, "No such file or directory"]),
        (&[(&file, "/mnt")], &[&file, "Not a directory"]),
        (&[(&read_only_file, "/mnt")], &[&file, "Not a directory"]),
        (&[("", "/mnt")], &["``", "No such file or directory"]),
        (&[(host, "")], &[host, "`` is not a path"]),
        (&[(host, "/mnt/../x")], &[host, "`/mnt/../x` is not a path"]),
        (&[(host, "..")], &[host, "`..` is not a path"]),
    ];
    for reactor in REACTORS {
        for (paths, expected) in cases {
            let error = refusal(mapped(reactor, paths.iter().copied()));
            assert!(error.starts_with("allowed_paths: "), "{error}");
            assert!(!error.contains('\n'), "one line: {error}");
            for part in expected {
                assert!(error.contains(part), "{error}: {part}");
            }
        }
    }
}

/// A plugin made anew after `_start` has its directories again.
#[test]
fn directories_stay_over_a_new_instance() {
    let folder = folder();
    let module = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "mnt/a.txt")
        (func (export "_start"))
        (func (export "open") (result i32)
            (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 0) (i64.const 2)
                (i64.const 0) (i32.const 0) (i32.const 100))))"#;
    let context = Context::new();
    let paths = json!({text(folder.path()): "/mnt"});
    let plugin = wasi(&context, manifest(module, &format!("\"allowed_paths\": {paths}")));
    for _ in 0..3 {
        let [open, start] = ["open", "_start"].map(|function| plugin.call_only(function, b""));
        assert_eq!((open, start), (0, 0), "through the root, which is file 3");
    }
}
