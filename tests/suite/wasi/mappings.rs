//! The directories of `allowed_paths`: the paths where a plugin sees them, several of them, and those that are refused.

use std::fs;

use super::files::{folder, mapped, text, with_paths};
use super::{REACTORS, refusal};
use crate::host::{Context, Plugin};

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
    for reactor in REACTORS {
        let [one, two, inner] = [folder(), folder(), folder()];
        fs::write(two.path().join("a.txt"), "second").expect("writable");
        fs::write(inner.path().join("a.txt"), "third").expect("writable");
        let read_only = format!("ro:{}", text(inner.path()));
        let context = Context::new();
        let paths = [(text(one.path()), "/one"), (text(two.path()), "/two"), (read_only.as_str(), "/one/inner")];
        let plugin = with_paths(&context, reactor, paths);
        let mut wrong = Vec::new();
        let mut check = |plugin: Plugin<'_>, function: &str, input: &str, expected: Option<&str>| {
            let answer = plugin.call(function, input);
            let found = (answer.code == 0).then(|| answer.text());
            if found.as_deref() != expected {
                wrong.push(format!("{function} {input:?}: {} {found:?}, not {expected:?}", answer.code));
            }
        };
        for (path, expected) in [("/one/a.txt", "hello"), ("/two/a.txt", "second"), ("/one/inner/a.txt", "third")] {
            check(plugin, "read_file", path, Some(expected));
        }
        // Read-only inside writable: no write, no rename into it or out of it; other renames may be refused.
        check(plugin, "write_file", "/one/inner/x\0x", None);
        check(plugin, "rename", "/two/a.txt\0/one/inner/x", None);
        check(plugin, "rename", "/one/inner/a.txt\0/two/x", None);
        check(plugin, "stat", "/two/x", None);
        check(plugin, "read_file", "/two/a.txt", Some("second"));
        check(plugin, "read_file", "/one/inner/a.txt", Some("third"));
        let moved = plugin.call_only("rename", b"/two/sub/b.txt\0/one/moved") == 0;
        check(plugin, "read_file", if moved { "/one/moved" } else { "/two/sub/b.txt" }, Some("below"));
        check(plugin, "stat", if moved { "/two/sub/b.txt" } else { "/one/moved" }, None);
        assert_eq!(fs::read(inner.path().join("a.txt")).expect("still there"), b"third", "{reactor}");

        // One directory of the host in two places, once read-only.
        let read_only = format!("ro:{}", text(one.path()));
        let plugin = with_paths(&context, reactor, [(text(one.path()), "/rw"), (read_only.as_str(), "/ro")]);
        check(plugin, "write_file", "/rw/shared.txt\0x", Some(""));
        check(plugin, "read_file", "/ro/shared.txt", Some("x"));
        check(plugin, "remove", "/ro/shared.txt", None);
        check(plugin, "remove", "/rw/shared.txt", Some(""));
        check(plugin, "read_file", "/ro/shared.txt", None);
        assert!(wrong.is_empty(), "{reactor}:\n{}", wrong.join("\n"));
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
