//! A host that is short of memory: if WASI gets too little for a call, the plugin gets an error, and nothing ends.

use std::fs::File;

use serde_json::json;

use super::files::text;
use super::wasi;
use crate::child;
use crate::faults::{limit, taken};
use crate::host::{Context, manifest};

/// Functions that ask for a megabyte and for a long listing, and one that needs little.
const MODULE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (memory (export "memory") 32)
    (data (i32.const 16) "\00\00\01\00\00\00\10\00")
    (func (export "read") (result i32) (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 0)))
    (func (export "write") (result i32) (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 0)))
    (func (export "list") (result i32)
        (call $readdir (i32.const 3) (i32.const 65536) (i32.const 0x100000) (i64.const 0) (i32.const 0)))
    (func (export "random") (result i32) (call $random (i32.const 65536) (i32.const 0x100000))))"#;

#[test]
fn no_room_is_the_plugins_error() {
    const NOMEM: i32 = 48;
    const FILES: usize = 5_000;
    /// The largest block that stays free, in bytes: less than the functions above need, and more than the rest does.
    const PIECE: usize = 64 << 10;
    const LEFT: usize = 4;
    child::alone("wasi::scarce::no_room_is_the_plugins_error", || {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..FILES {
            File::create(folder.path().join(format!("{number:0200}"))).expect("writable");
        }
        let context = Context::new();
        let paths = json!({text(folder.path()): "/"});
        let plugin = wasi(&context, manifest(MODULE, &format!("\"allowed_paths\": {paths}")));
        assert_eq!(["read", "write", "list", "random"].map(|name| plugin.call_only(name, b"")), [0; 4]);
        let before = limit(libc::RLIMIT_AS, taken("VmSize:") + (1 << 20));
        let mut taken_up = Vec::with_capacity(1 << 16);
        loop {
            let mut piece: Vec<u8> = Vec::new();
            if piece.try_reserve_exact(PIECE).is_err() {
                break;
            }
            taken_up.push(piece);
        }
        taken_up.truncate(taken_up.len() - LEFT);
        let found = ["read", "write", "list", "random"].map(|name| plugin.call_only(name, b""));
        limit(libc::RLIMIT_AS, before);
        drop(taken_up);
        assert_eq!(found, [NOMEM, NOMEM, NOMEM, 0]);
        assert_eq!(["read", "write", "list", "random"].map(|name| plugin.call_only(name, b"")), [0; 4]);
    });
}
