//! A plugin that tries every operation of WASI on files, and the host's view of the files afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::json;

use super::files::{folder, text};
use super::wasi;
use crate::host::{Context, Plugin, manifest};

/// One export for each operation, and a `_start`, which makes the next call use a new instance. Input: the descriptor
/// of an open directory as one digit, then PATH, a NUL, SECOND. The result is WASI's error number.
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
    (func (export "_start"))
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
        (call $link (global.get $dir) (i32.const 0) (global.get $second) (global.get $second_length)
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
pub(super) const CHANGES: [&str; 17] = [
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

/// The operations that bring SECOND to PATH.
pub(super) const TRANSFERS: [&str; 2] = ["symlink", "link"];

/// The descriptors of a plugin's open directories: those that are mapped, and perhaps the root.
pub(super) const DIRECTORIES: [u8; 4] = [3, 4, 5, 6];

pub(super) fn probe<'a>(context: &'a Context, paths: &[(&str, &str)]) -> Plugin<'a> {
    let paths: BTreeMap<_, _> = paths.iter().copied().collect();
    wasi(context, manifest(PROBE, &format!("\"allowed_paths\": {}", json!(paths))))
}

/// Like [`attempt`], on a new instance, which has no state.
pub(super) fn attempt_anew(plugin: Plugin<'_>, operation: &str, directory: u8, path: &str, second: &str) -> i32 {
    assert_eq!(plugin.call_only("_start", b""), 0);
    attempt(plugin, operation, directory, path, second)
}

/// Calls an operation on `path` below an open directory. A trap counts as a refusal.
pub(super) fn attempt(plugin: Plugin<'_>, operation: &str, directory: u8, path: &str, second: &str) -> i32 {
    plugin.call_only(operation, format!("{directory}{path}\0{second}").as_bytes())
}

/// Everything below `folder`: contents, targets of links, times.
pub(super) fn snapshot(folder: &Path) -> BTreeMap<String, (String, i64)> {
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

/// The open directory in which the plugin can read `file`.
pub(super) fn directory_of(plugin: Plugin<'_>, file: &str) -> u8 {
    let found = DIRECTORIES.into_iter().find(|directory| attempt(plugin, "read", *directory, file, "") == 0);
    found.unwrap_or_else(|| panic!("{file} is in none of the directories"))
}

/// Refusals prove something only if the operations work where they are allowed.
#[test]
fn the_probe_works() {
    let folder = folder();
    let context = Context::new();
    let plugin = probe(&context, &[(text(folder.path()), "/mnt")]);
    let directory = directory_of(plugin, "a.txt");
    assert_eq!(plugin.output(), b"hello");
    let steps = [
        ("read", "sub/b.txt", "", "sub/b.txt", "below"),
        ("write", "a.txt", "", "a.txt", "PWNlo"),
        ("append", "a.txt", "", "a.txt", "PWNloPWN"),
        ("pwrite", "a.txt", "", "a.txt", "PPWNoPWN"),
        ("resize", "a.txt", "", "a.txt", "P"),
        ("truncate", "a.txt", "", "a.txt", ""),
        ("create", "new", "", "new", "PWN"),
        ("rename", "new", "moved", "moved", "PWN"),
        ("unlink", "moved", "", "moved", "nothing there"),
        ("mkdir", "made", "", "made", "nothing there"),
        ("rmdir", "made", "", "made", "nothing there"),
        ("link", "linked", "sub/b.txt", "linked", "below"),
        ("unlink", "linked", "", "sub/b.txt", "below"),
        ("symlink", "linked", "sub/b.txt", "linked", "below"),
        ("unlink", "linked", "", "sub/b.txt", "below"),
        ("create_exclusive", "last", "", "last", ""),
        ("open_unlink", "last", "", "last", "nothing there"),
    ];
    for (operation, path, second, file, expected) in steps {
        assert_eq!(attempt(plugin, operation, directory, path, second), 0, "{operation} of {path}");
        let found = fs::read_to_string(folder.path().join(file)).unwrap_or("nothing there".to_owned());
        assert_eq!(found, expected, "{operation} of {path}");
    }
    for operation in ["path_times", "fd_times"] {
        fs::write(folder.path().join("a.txt"), "new").expect("writable");
        assert_eq!(attempt(plugin, operation, directory, "a.txt", ""), 0, "{operation}");
        let modified = fs::metadata(folder.path().join("a.txt")).expect("still there").mtime();
        assert_eq!(modified, 1, "{operation}");
    }
    assert_eq!(attempt(plugin, "list", directory, "sub", ""), 0);
    assert!(String::from_utf8_lossy(&plugin.output()).contains("b.txt"));
    assert_eq!(attempt(plugin, "symlink", directory, "there", "a.txt"), 0);
    assert_eq!(attempt(plugin, "readlink", directory, "there", ""), 0);
    assert_eq!(plugin.output(), b"a.txt");
    assert_eq!(snapshot(folder.path()).len(), 6);
}

/// A new instance has the plugin's directories again.
#[test]
fn directories_stay_over_a_new_instance() {
    let folder = folder();
    let context = Context::new();
    let plugin = probe(&context, &[(text(folder.path()), "/mnt")]);
    let directory = directory_of(plugin, "a.txt");
    for _ in 0..3 {
        assert_eq!(attempt_anew(plugin, "read", directory, "a.txt", ""), 0);
        assert_eq!(plugin.output(), b"hello");
    }
}
