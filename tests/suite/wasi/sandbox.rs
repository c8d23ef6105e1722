//! What plugins must not reach: files outside of their directories, and changes of read-only ones. A probe tries every
//! operation of WASI on every kind of path; what counts is what the host finds afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use serde_json::json;

use super::files::{folder, text, with_paths};
use super::{REACTORS, wasi};
use crate::host::{Context, Plugin, fixture, manifest};

/// One export for each operation. Input: the number of the directory's file as one digit, then PATH, a NUL, SECOND.
/// The result is WASI's error number.
const PROBE: &str = r#"(module
    (import "env" "extism_input_length" (func $input_length (result i64)))
    (import "env" "extism_input_load_u8" (func $input (param i64) (result i32)))
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store (param i64 i32)))
    (import "env" "extism_output_set" (func $output_set (param i64 i64)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_remove_directory" (func $rmdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_symlink" (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_link" (func $link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_readlink" (func $readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_filestat_set_times"
        (func $path_times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_times" (func $fd_times (param i32 i64 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $fd_size (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_allocate" (func $fd_allocate (param i32 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_sync" (func $fd_sync (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
    (memory (export "memory") 2)
    ;; 0: what a call gives back; 16: one buffer, "PWN" at 32; 64: one buffer, 4096 bytes at 65536; 1024: the input
    (data (i32.const 16) "\20\00\00\00\03\00\00\00") (data (i32.const 32) "PWN")
    (data (i32.const 64) "\00\00\01\00\00\10\00\00")
    (global $dir (mut i32) (i32.const 0))
    (global $length (mut i32) (i32.const 0))
    (global $second (mut i32) (i32.const 0))
    (global $second_length (mut i32) (i32.const 0))
    (global $path i32 (i32.const 1025))
    (func $arguments (local $at i32) (local $all i32)
        (local.set $all (i32.wrap_i64 (call $input_length)))
        (loop
            (i32.store8 (i32.add (i32.const 1024) (local.get $at)) (call $input (i64.extend_i32_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $at) (local.get $all))))
        (i32.store8 (i32.add (i32.const 1024) (local.get $all)) (i32.const 0))
        (global.set $dir (i32.sub (i32.load8_u (i32.const 1024)) (i32.const 48)))
        (local.set $at (global.get $path))
        (block (loop
            (br_if 1 (i32.eqz (i32.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br 0)))
        (global.set $length (i32.sub (local.get $at) (global.get $path)))
        (global.set $second (i32.add (local.get $at) (i32.const 1)))
        (global.set $second_length (i32.sub (i32.add (i32.const 1024) (local.get $all)) (global.get $second)))
        (if (i32.lt_s (global.get $second_length) (i32.const 0)) (then (global.set $second_length (i32.const 0)))))
    ;; Opens PATH, following links, with these open flags, rights and descriptor flags; the descriptor is at 0.
    (func $open (param $flags i32) (param $rights i64) (param $fd_flags i32) (result i32)
        (call $arguments)
        (call $path_open (global.get $dir) (i32.const 1) (global.get $path) (global.get $length) (local.get $flags)
            (local.get $rights) (local.get $rights) (local.get $fd_flags) (i32.const 0)))
    (func $close (param i32) (result i32) (drop (call $fd_close (i32.load (i32.const 0)))) (local.get 0))
    (func $write (result i32)
        (call $fd_write (i32.load (i32.const 0)) (i32.const 16) (i32.const 1) (i32.const 8)))
    (func (export "create") (result i32)
        (if (call $open (i32.const 1) (i64.const 0x1fffffff) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (call $write)))
    (func (export "create_exclusive") (result i32)
        (if (call $open (i32.const 5) (i64.const 0x1fffffff) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (i32.const 0)))
    (func (export "truncate") (result i32)
        (if (call $open (i32.const 8) (i64.const 0x1fffffff) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (i32.const 0)))
    (func (export "create_truncate_few_rights") (result i32)
        (if (call $open (i32.const 9) (i64.const 2) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (i32.const 0)))
    (func (export "write") (result i32)
        (if (call $open (i32.const 0) (i64.const 0x1fffffff) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (call $write)))
    (func (export "write_few_rights") (result i32)
        (if (call $open (i32.const 0) (i64.const 2) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (call $write)))
    (func (export "append") (result i32)
        (if (call $open (i32.const 0) (i64.const 0x1fffffff) (i32.const 1)) (then (return (i32.const 1))))
        (call $close (call $write)))
    (func (export "pwrite") (result i32)
        (if (call $open (i32.const 0) (i64.const 0x1fffffff) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (call $fd_pwrite (i32.load (i32.const 0)) (i32.const 16) (i32.const 1) (i64.const 1) (i32.const 8))))
    (func (export "resize") (result i32)
        (if (call $open (i32.const 0) (i64.const 0x1fffffff) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (call $fd_size (i32.load (i32.const 0)) (i64.const 1))))
    (func (export "allocate") (result i32)
        (if (call $open (i32.const 0) (i64.const 0x1fffffff) (i32.const 0)) (then (return (i32.const 1))))
        (call $close (call $fd_allocate (i32.load (i32.const 0)) (i64.const 0) (i64.const 100))))
    (func (export "open_unlink") (result i32) (local $result i32)
        (if (call $open (i32.const 0) (i64.const 2) (i32.const 0)) (then (return (i32.const 1))))
        (local.set $result (call $unlink (global.get $dir) (global.get $path) (global.get $length)))
        (drop (call $fd_sync (i32.load (i32.const 0))))
        (call $close (local.get $result)))
    (func (export "unlink") (result i32) (call $arguments)
        (call $unlink (global.get $dir) (global.get $path) (global.get $length)))
    (func (export "rmdir") (result i32) (call $arguments)
        (call $rmdir (global.get $dir) (global.get $path) (global.get $length)))
    (func (export "mkdir") (result i32) (call $arguments)
        (call $mkdir (global.get $dir) (global.get $path) (global.get $length)))
    (func (export "rename") (result i32) (call $arguments)
        (call $rename (global.get $dir) (global.get $path) (global.get $length)
            (global.get $dir) (global.get $second) (global.get $second_length)))
    ;; Makes PATH point to SECOND.
    (func (export "symlink") (result i32) (call $arguments)
        (call $symlink (global.get $second) (global.get $second_length)
            (global.get $dir) (global.get $path) (global.get $length)))
    (func (export "link") (result i32) (call $arguments)
        (call $link (global.get $dir) (i32.const 1) (global.get $second) (global.get $second_length)
            (global.get $dir) (global.get $path) (global.get $length)))
    (func (export "path_times") (result i32) (call $arguments)
        (call $path_times (global.get $dir) (i32.const 1) (global.get $path) (global.get $length)
            (i64.const 1000000000) (i64.const 1000000000) (i32.const 5)))
    (func (export "fd_times") (result i32)
        (if (call $open (i32.const 0) (i64.const 0x1fffffff) (i32.const 0)) (then (return (i32.const 1))))
        (call $close
            (call $fd_times (i32.load (i32.const 0)) (i64.const 1000000000) (i64.const 1000000000) (i32.const 5))))
    (func $show (param $length i32) (local $block i64) (local $at i32)
        (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
        (block (loop
            (br_if 1 (i32.ge_u (local.get $at) (local.get $length)))
            (call $store (i64.add (local.get $block) (i64.extend_i32_u (local.get $at)))
                (i32.load8_u (i32.add (i32.const 65536) (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br 0)))
        (call $output_set (local.get $block) (i64.extend_i32_u (local.get $length))))
    (func (export "read") (result i32) (local $result i32)
        (if (call $open (i32.const 0) (i64.const 2) (i32.const 0)) (then (return (i32.const 1))))
        (local.set $result (call $fd_read (i32.load (i32.const 0)) (i32.const 64) (i32.const 1) (i32.const 8)))
        (if (i32.eqz (local.get $result)) (then (call $show (i32.load (i32.const 8)))))
        (call $close (local.get $result)))
    (func (export "list") (result i32) (local $result i32)
        (if (call $open (i32.const 2) (i64.const 0x4000) (i32.const 0)) (then (return (i32.const 1))))
        (local.set $result
            (call $fd_readdir (i32.load (i32.const 0)) (i32.const 65536) (i32.const 4096) (i64.const 0) (i32.const 8)))
        (if (i32.eqz (local.get $result)) (then (call $show (i32.load (i32.const 8)))))
        (call $close (local.get $result)))
    (func (export "readlink") (result i32) (local $result i32) (call $arguments)
        (local.set $result (call $readlink (global.get $dir) (global.get $path) (global.get $length)
            (i32.const 65536) (i32.const 4096) (i32.const 8)))
        (if (i32.eqz (local.get $result)) (then (call $show (i32.load (i32.const 8)))))
        (local.get $result)))"#;

/// The operations that change something at PATH.
const CHANGES: [&str; 17] = [
    "create",
    "create_exclusive",
    "truncate",
    "create_truncate_few_rights",
    "write",
    "write_few_rights",
    "append",
    "pwrite",
    "resize",
    "allocate",
    "open_unlink",
    "unlink",
    "rmdir",
    "mkdir",
    "path_times",
    "fd_times",
    "rename",
];

/// Those that bring SECOND to PATH.
const TRANSFERS: [&str; 2] = ["symlink", "link"];

/// The open directories a plugin may have: the root, then those that are mapped.
const DIRECTORIES: [u8; 4] = [3, 4, 5, 6];

fn probe<'a>(context: &'a Context, paths: &[(&str, &str)]) -> Plugin<'a> {
    let paths: BTreeMap<_, _> = paths.iter().copied().collect();
    wasi(context, manifest(PROBE, &format!("\"allowed_paths\": {}", json!(paths))))
}

/// Calls an operation on `path` below an open directory. A trap counts as a refusal.
fn attempt(plugin: Plugin<'_>, operation: &str, directory: u8, path: &str, second: &str) -> i32 {
    plugin.call_only(operation, format!("{directory}{path}\0{second}").as_bytes())
}

/// Everything there is below `folder`: contents, targets of links, times.
fn snapshot(folder: &Path) -> BTreeMap<String, (String, i64)> {
    fn collect(path: &Path, found: &mut BTreeMap<String, (String, i64)>) {
        let metadata = fs::symlink_metadata(path).expect("it was listed");
        let contents = if metadata.is_dir() {
            for entry in fs::read_dir(path).expect("readable") {
                collect(&entry.expect("readable").path(), found);
            }
            "a directory".to_owned()
        } else if metadata.is_symlink() {
            format!("to {}", fs::read_link(path).expect("readable").display())
        } else {
            String::from_utf8_lossy(&fs::read(path).expect("readable")).into_owned()
        };
        found.insert(text(path).to_owned(), (contents, metadata.mtime()));
    }
    let mut found = BTreeMap::new();
    collect(folder, &mut found);
    found
}

/// Probes are only worth something if they work where they may.
#[test]
fn the_probe_works() {
    let folder = folder();
    let context = Context::new();
    let plugin = probe(&context, &[(text(folder.path()), "/mnt")]);
    let host = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    for (directory, mnt) in [(3, "mnt/"), (4, "")] {
        let path = |name: &str| format!("{mnt}{name}");
        fs::write(folder.path().join("a.txt"), "hello").expect("writable");
        assert_eq!(attempt(plugin, "read", directory, &path("a.txt"), ""), 0);
        assert_eq!(plugin.output(), b"hello", "{directory}");
        assert_eq!(attempt(plugin, "list", directory, &path("sub"), ""), 0);
        assert!(String::from_utf8_lossy(&plugin.output()).contains("b.txt"), "{directory}");
        assert_eq!(attempt(plugin, "write", directory, &path("a.txt"), ""), 0);
        assert_eq!(host("a.txt"), "PWNlo", "{directory}");
        assert_eq!(attempt(plugin, "append", directory, &path("a.txt"), ""), 0);
        assert_eq!(host("a.txt"), "PWNloPWN", "{directory}");
        assert_eq!(attempt(plugin, "resize", directory, &path("a.txt"), ""), 0);
        assert_eq!(host("a.txt"), "P", "{directory}");
        assert_eq!(attempt(plugin, "create", directory, &path("new"), ""), 0);
        assert_eq!(host("new"), "PWN", "{directory}");
        assert_eq!(attempt(plugin, "rename", directory, &path("new"), &path("moved")), 0);
        assert_eq!(host("moved"), "PWN", "{directory}");
        assert_eq!(attempt(plugin, "unlink", directory, &path("moved"), ""), 0);
        assert_eq!(attempt(plugin, "mkdir", directory, &path("made"), ""), 0);
        assert_eq!(attempt(plugin, "rmdir", directory, &path("made"), ""), 0);
        assert_eq!(snapshot(folder.path()).len(), 5, "{directory}");
    }
}

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
                    for second in ["taken", "mnt/taken", "mnt/a.txt", "a.txt"] {
                        let code = attempt(plugin, operation, directory, &path, second);
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

/// A directory `in` that a plugin may use, beside one `out` that it may not, with links between them.
struct Neighbours(tempfile::TempDir);

const SECRET: &str = "the secret";

impl Neighbours {
    fn new() -> Self {
        let neighbours = Self(tempfile::tempdir().expect("a folder"));
        for folder in ["in/sub", "out/deep"] {
            fs::create_dir_all(neighbours.0.path().join(folder)).expect("writable");
        }
        for file in ["out/secret", "out/deep/secret", "in-secret", "secret"] {
            fs::write(neighbours.0.path().join(file), SECRET).expect("writable");
        }
        neighbours.restore();
        neighbours
    }

    fn inside(&self) -> std::path::PathBuf {
        self.0.path().join("in")
    }

    /// Puts back what a plugin may have changed inside.
    fn restore(&self) {
        let inside = self.inside();
        let out = self.0.path().join("out");
        fs::write(inside.join("own"), "own").expect("writable");
        let links = [
            ("file", "../out/secret".into()),
            ("directory", "../out".into()),
            ("absolute", out.join("secret")),
            ("absolute_directory", out),
            ("parent", "..".into()),
            ("two_steps", "directory/deep/secret".into()),
            ("sub/up", "../../out".into()),
            ("dangling", "../made".into()),
        ];
        for (name, target) in links {
            if fs::read_link(inside.join(name)).ok().as_ref() != Some(&target) {
                let _ = fs::remove_file(inside.join(name));
                let _ = fs::remove_dir_all(inside.join(name));
                symlink(target, inside.join(name)).expect("writable");
            }
        }
    }

    /// What is outside of `in`.
    fn outside(&self) -> BTreeMap<String, (String, i64)> {
        let inside = format!("{}/", text(&self.inside()));
        let mut found = snapshot(self.0.path());
        found.retain(|path, _| !path.starts_with(&inside));
        // The times of the directories themselves say nothing about what is outside.
        for name in [self.0.path(), &self.inside()] {
            if let Some(found) = found.get_mut(text(name)) {
                found.1 = 0;
            }
        }
        found
    }

    /// Paths that lead outside, or try to, as seen from the directory that is mapped.
    fn ways_out(&self) -> Vec<String> {
        let absolute = text(self.0.path());
        let ways = [
            "../out/secret",
            "../secret",
            "../in-secret",
            "../in/../out/secret",
            "sub/../../out/secret",
            "sub/../../../../../../../../../etc/hostname",
            "./.././out/secret",
            "..//out//secret",
            "-secret",
            "file",
            "directory/secret",
            "directory/deep/secret",
            "directory/../out/secret",
            "directory",
            "absolute",
            "absolute_directory/secret",
            "parent/out/secret",
            "parent/secret",
            "parent",
            "two_steps",
            "sub/up/secret",
            "sub/up/../out/secret",
            "dangling",
            "..",
            "../made",
            "directory/made",
            "parent/made",
            "/etc/hostname",
            "/proc/self/environ",
        ];
        let own = ["/out/secret", "/secret", "/out", "/made", "/in/file", ""].map(|rest| format!("{absolute}{rest}"));
        ways.into_iter().map(str::to_owned).chain(own).collect()
    }
}

#[test]
fn nothing_outside_is_reachable() {
    for (guest, prefixes) in [("/mnt", ["", "mnt/", "/mnt/", "mnt/sub/../"]), ("/", ["", "/", "sub/../", "./"])] {
        let neighbours = Neighbours::new();
        let before = neighbours.outside();
        let context = Context::new();
        let inside = neighbours.inside();
        let plugin = probe(&context, &[(text(&inside), guest)]);
        let check = |what: &str| {
            assert_eq!(neighbours.outside(), before, "{guest}: {what}");
            assert!(!String::from_utf8_lossy(&plugin.output()).contains("secret"), "{guest}: {what} shows it");
            neighbours.restore();
        };
        for directory in DIRECTORIES {
            for way in neighbours.ways_out() {
                for path in prefixes.map(|prefix| format!("{prefix}{way}")) {
                    for operation in CHANGES.into_iter().chain(["read", "list"]) {
                        let code = attempt(plugin, operation, directory, &path, "own");
                        check(&format!("{operation} of {directory} {path:?}, which gives {code},"));
                    }
                    let code = attempt(plugin, "rename", directory, &format!("{}own", prefixes[1]), &path);
                    check(&format!("rename of own in {directory} to {path:?}, which gives {code},"));
                }
            }
        }
    }
}

/// Links that a plugin makes itself lead no further.
#[test]
fn links_of_a_plugin_do_not_lead_outside() {
    for (guest, prefix) in [("/mnt", "mnt/"), ("/", "")] {
        let neighbours = Neighbours::new();
        let before = neighbours.outside();
        let context = Context::new();
        let inside = neighbours.inside();
        let plugin = probe(&context, &[(text(&inside), guest)]);
        for (directory, prefix) in [(3, prefix), (4, ""), (4, prefix), (5, "")] {
            for way in neighbours.ways_out() {
                for transfer in TRANSFERS {
                    let link = format!("{prefix}made_link");
                    for second in [way.clone(), format!("{prefix}{way}")] {
                        let made = attempt(plugin, transfer, directory, &link, &second);
                        for operation in
                            ["read", "list", "write", "truncate", "append", "create", "resize", "path_times"]
                        {
                            for path in [link.clone(), format!("{link}/secret"), format!("{link}/made")] {
                                let code = attempt(plugin, operation, directory, &path, "");
                                let what = format!(
                                    "{guest}: {transfer} ({made}) to {second:?}, {operation} of {path} ({code})"
                                );
                                let shown = plugin.output();
                                assert!(!String::from_utf8_lossy(&shown).contains(SECRET), "{what} shows the secret");
                                assert_eq!(neighbours.outside(), before, "{what}");
                            }
                        }
                        attempt(plugin, "unlink", directory, &link, "");
                        let _ = fs::remove_file(inside.join("made_link"));
                        neighbours.restore();
                    }
                }
            }
        }
    }
}

/// Real plugins, through libc, see the same.
#[test]
fn plugins_find_no_way_out() {
    let neighbours = Neighbours::new();
    let before = neighbours.outside();
    let inside = neighbours.inside();
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = with_paths(&context, reactor, [(text(&inside), "/mnt")]);
        for way in neighbours.ways_out() {
            for path in [format!("/mnt/{way}"), way] {
                for (function, more) in [
                    ("read_file", ""),
                    ("list_dir", ""),
                    ("write_file", "\0x"),
                    ("append_file", "\0x"),
                    ("mkdir", ""),
                    ("remove", ""),
                    ("rename", "\0/mnt/taken"),
                ] {
                    let answer = plugin.call(function, format!("{path}{more}"));
                    assert!(!answer.text().contains(SECRET), "{reactor}: {function} {path:?} shows the secret");
                    assert_eq!(neighbours.outside(), before, "{reactor}: {function} {path:?}: {}", answer.code);
                    neighbours.restore();
                }
            }
        }
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

/// Only the way to the directories can be seen in the root, and nothing made there.
#[test]
fn the_root_holds_the_directories_and_nothing_else() {
    let folder = folder();
    let context = Context::new();
    let plugin = probe(&context, &[(text(folder.path()), "/a/mnt")]);
    let before = snapshot(folder.path());
    for operation in ["create", "create_exclusive", "create_truncate_few_rights", "mkdir", "symlink", "link"] {
        for path in ["x", "/x", "a/x", "/a/x", "a/mnt/../x", "../x"] {
            let code = attempt(plugin, operation, 3, path, "a/mnt/a.txt");
            assert_ne!(code, 0, "{operation} of {path:?}");
        }
    }
    for (operation, path) in [("unlink", "a"), ("rmdir", "a"), ("rmdir", "a/mnt"), ("rename", "a"), ("rename", "a/mnt")]
    {
        assert_ne!(attempt(plugin, operation, 3, path, "b"), 0, "{operation} of {path:?}");
    }
    assert_eq!(snapshot(folder.path()), before);
    assert_eq!(attempt(plugin, "read", 3, "a/mnt/a.txt", ""), 0);
}
