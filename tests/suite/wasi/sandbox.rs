//! Directories that plugins must not change: read-only ones, and the root around their own. `wasi/outside.rs` tests the
//! ways out of a directory. Only the files as the host finds them afterwards count.

use super::files::{folder, text, with_paths};
use super::probe::{CHANGES, DIRECTORIES, TRANSFERS, attempt, attempt_anew, directory_of, probe, snapshot};
use super::{REACTORS, wasi};
use crate::host::{Context, fixture};

#[test]
fn read_only_directories_stay_as_they_are() {
    let folder = folder();
    let before = snapshot(folder.path());
    let read_only = format!("ro:{}", text(folder.path()));
    let context = Context::new();
    let plugin = probe(&context, &[(&read_only, "/mnt")]);
    for directory in DIRECTORIES {
        for name in ["a.txt", "sub/b.txt", "sub", "empty", "new", "sub/new", ".", ""] {
            for path in [name.to_owned(), format!("mnt/{name}"), format!("/mnt/{name}"), format!("./mnt/./{name}")] {
                for operation in CHANGES.into_iter().chain(TRANSFERS) {
                    for second in ["taken", "mnt/taken", "mnt/empty/taken"] {
                        let code = attempt_anew(plugin, operation, directory, &path, second);
                        let what = format!("{operation} of {directory} {path:?} {second:?} gives {code}");
                        assert_eq!(snapshot(folder.path()), before, "{what}");
                        assert_ne!(code, 0, "{what}");
                    }
                }
            }
        }
    }
    for reactor in REACTORS {
        let plugin = with_paths(&context, reactor, [(read_only.as_str(), "/mnt")]);
        assert_eq!(plugin.answer("read_file", "/mnt/a.txt"), "hello");
        assert_eq!(plugin.answer("list_dir", "/mnt"), "a.txt\nempty/\nsub/\n");
        assert_eq!(plugin.answer("stat", "/mnt/sub/b.txt"), "file 5");
        for (function, input) in [
            ("write_file", "/mnt/new\0x"),
            ("write_file", "/mnt/a.txt\0x"),
            ("append_file", "/mnt/a.txt\0x"),
            ("mkdir", "/mnt/made"),
            ("remove", "/mnt/a.txt"),
            ("remove", "/mnt/empty"),
            ("rename", "/mnt/a.txt\0/mnt/b.txt"),
            ("rename", "/mnt/empty\0/mnt/sub/empty"),
            ("rename", "/mnt\0/other"),
        ] {
            assert_ne!(plugin.call_only(function, input.as_bytes()), 0, "{reactor}: {function} {input:?}");
            assert_eq!(snapshot(folder.path()), before, "{reactor}: {function} {input:?}");
        }
        assert_eq!(plugin.answer("read_file", "/mnt/a.txt"), "hello", "{reactor}: reading goes on");
    }
}

/// The root around the mapped directories is empty and stays so.
#[test]
fn without_directories_there_is_nothing() {
    let context = Context::new();
    let plugin = probe(&context, &[]);
    let host = std::env::temp_dir().join("extism-wasmer-must-not-exist");
    let paths =
        ["x", "/x", "./x", "../x", "tmp/x", "/tmp/x", "dev/null", "/dev/null", "/etc/passwd", text(&host), ".", ""];
    for directory in [0, 1, 2].into_iter().chain(DIRECTORIES) {
        for path in paths {
            for operation in CHANGES.into_iter().chain(TRANSFERS).chain(["read"]) {
                let code = attempt(plugin, operation, directory, path, "y");
                assert_ne!(code, 0, "{operation} of {directory} {path:?}");
            }
        }
    }
    assert!(!host.exists());
    for reactor in REACTORS {
        let plugin = wasi(&context, fixture(reactor));
        for (function, input) in [
            ("read_file", "/etc/hostname"),
            ("write_file", "/x\0x"),
            ("write_file", "x\0x"),
            ("write_file", "/tmp/x\0x"),
            ("mkdir", "/x"),
            ("mkdir", "x"),
            ("rename", "/\0/x"),
            ("remove", "/"),
            ("stat", "/tmp"),
            ("stat", "/dev"),
            ("stat", "/bin"),
        ] {
            assert_ne!(plugin.call_only(function, input.as_bytes()), 0, "{reactor}: {function} {input:?}");
        }
        let listed = plugin.call("list_dir", "/");
        assert!(listed.code != 0 || listed.output.is_empty(), "{reactor}: the root holds {:?}", listed.text());
    }
}

/// The root shows only the way to the directories. Nothing can be made in it, and refused operations have no effect.
#[test]
fn the_root_holds_the_directories_and_nothing_else() {
    let folder = folder();
    let before = snapshot(folder.path());
    let context = Context::new();
    let create = || probe(&context, &[(text(folder.path()), "/a/mnt")]);
    let mapped = directory_of(create(), "a.txt");
    let mut wrong = Vec::new();
    let makes = ["create", "create_exclusive", "create_truncate_few_rights", "mkdir", "symlink", "link"];
    let makes = makes
        .iter()
        .flat_map(|operation| ["x", "/x", "a/x", "/a/x", "a/mnt/../x", "../x"].map(|path| (*operation, path)));
    let removals = ["unlink", "rmdir", "rename"];
    let removals = removals.iter().flat_map(|operation| ["a", "a/mnt", "/a", "/a/mnt"].map(|path| (*operation, path)));
    for (operation, path) in makes.chain(removals) {
        for directory in DIRECTORIES.into_iter().filter(|directory| *directory != mapped) {
            let plugin = create();
            let code = attempt(plugin, operation, directory, path, "b");
            let read = attempt(plugin, "read", mapped, "a.txt", "");
            if code == 0 || read != 0 {
                wrong.push(format!("{operation} of {directory} {path:?} ({code}), then reading ({read})"));
            }
            plugin.free();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(snapshot(folder.path()), before);
}
