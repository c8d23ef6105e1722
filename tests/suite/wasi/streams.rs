//! Standard output inherited from the host: readers that are slow, stalled or gone, and terminals.

#![expect(unsafe_code, reason = "descriptors and signals are changed by the C library's functions")]

use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
use std::ptr;
use std::thread;
use std::time::Duration;

use super::wasi;
use crate::child;
use crate::host::{Context, Plugin, manifest};

/// The bytes that `much` writes at once.
const MUCH: usize = 1 << 20;

/// Functions that write to the standard output and return the error, and that return the types of the three streams.
const MODULE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get" (func $filestat (param i32 i32) (result i32)))
    (memory (export "memory") 17)
    ;; 0: results; 16: a buffer of all that is behind 64 KiB; 24: one of a byte of it
    (data (i32.const 16) "\00\00\01\00\00\00\10\00\00\00\01\00\01\00\00\00")
    (func (export "byte") (result i32) (call $write (i32.const 1) (i32.const 24) (i32.const 1) (i32.const 0)))
    ;; Writes on until all has been written.
    (func (export "much") (result i32) (local $error i32)
        (loop
            (local.set $error (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 0)))
            (if (local.get $error) (then (return (local.get $error))))
            (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.load (i32.const 0))))
            (i32.store (i32.const 20) (i32.sub (i32.load (i32.const 20)) (i32.load (i32.const 0))))
            (br_if 0 (i32.load (i32.const 20))))
        (local.get $error))
    (func $type (param $fd i32) (result i32)
        (drop (call $filestat (local.get $fd) (i32.const 128)))
        (drop (call $stat (local.get $fd) (i32.const 64)))
        (i32.add (i32.load8_u (i32.const 64)) (i32.mul (i32.const 10) (i32.load8_u (i32.const 144)))))
    (func (export "stdin") (result i32) (call $type (i32.const 0)))
    (func (export "stdout") (result i32) (call $type (i32.const 1)))
    (func (export "stderr") (result i32) (call $type (i32.const 2))))"#;

/// Replaces the standard output by another file until it is dropped.
struct Replaced {
    before: File,
}

impl Replaced {
    fn new(file: impl Into<OwnedFd>) -> Self {
        io::stdout().flush().expect("the test's own output is a file");
        // SAFETY: takes numbers only.
        let before = unsafe { libc::dup(1) };
        assert!(before > 2);
        // SAFETY: the descriptor is new and has no other owner.
        let before = unsafe { File::from_raw_fd(before) };
        replace(&file.into());
        Self { before }
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        replace(&self.before);
    }
}

fn replace(file: &impl AsRawFd) {
    // SAFETY: both descriptors are open.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), 1) }, 1);
}

/// A terminal's two ends.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut own, mut theirs) = (-1, -1);
    // SAFETY: writes the two numbers; name and properties may be NULL.
    let made =
        unsafe { libc::openpty(&raw mut own, &raw mut theirs, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) };
    assert_eq!(made, 0);
    // SAFETY: the descriptors are new and have no other owner.
    [own, theirs].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).into()
}

/// A plugin whose standard output is a pipe.
fn piped(context: &Context, source: impl AsRef<[u8]>) -> (PipeReader, Replaced, Plugin<'_>) {
    let (reader, writer) = io::pipe().expect("descriptors are left");
    (reader, Replaced::new(writer), wasi(context, source))
}

#[test]
fn readers_of_inherited_output() {
    const TEST: &str = "wasi::streams::readers_of_inherited_output";
    match child::case().as_deref() {
        None => {
            for case in ["stalled", "stalled, with a timeout", "slow", "gone", "terminals"] {
                child::run(TEST, case, &[("EXTISM_ENABLE_WASI_OUTPUT", "1".as_ref())]);
            }
        }
        Some("stalled") => stalled(),
        Some("stalled, with a timeout") => stalled_with_a_timeout(),
        Some("slow") => slow(),
        Some("gone") => gone(),
        Some(_) => terminals(),
    }
}

/// A plugin that writes to a stalled reader waits alone: others are made and called meanwhile, and one writes too.
fn stalled() {
    let context = Context::new();
    let (_reader, _replaced, plugin) = piped(&context, MODULE);
    let handle = plugin.cancel_handle();
    thread::scope(|scope| {
        let waits = scope.spawn(|| plugin.call("much", ""));
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(20));
            let context = Context::new();
            let other = wasi(&context, manifest(MODULE, "\"timeout_ms\": 50"));
            assert_eq!(other.call_only("stdin", b""), 0);
            assert!(other.call("much", "").error().contains("timeout"));
        }
        assert!(!waits.is_finished());
        assert!(handle.cancel());
        assert!(waits.join().expect("no panic").error().contains("cancelled"));
    });
}

fn stalled_with_a_timeout() {
    let context = Context::new();
    let (_reader, _replaced, plugin) = piped(&context, manifest(MODULE, "\"timeout_ms\": 50"));
    for _ in 0..3 {
        assert!(plugin.call("much", "").error().contains("timeout"));
    }
}

/// A reader that takes small pieces gets all bytes in their order.
fn slow() {
    let context = Context::new();
    let module =
        MODULE.replace("(memory", &format!("(data (i32.const 65536) \"{}\") (memory", "\\01\\02\\03".repeat(100)));
    let (mut reader, replaced, plugin) = piped(&context, module);
    let read = thread::spawn(move || {
        let (mut all, mut piece) = (Vec::new(), [0; 3000]);
        while all.len() < MUCH {
            let count = reader.read(&mut piece).expect("readable");
            all.extend_from_slice(&piece[..count]);
        }
        all
    });
    assert_eq!(plugin.call_only("much", b""), 0);
    let all = read.join().expect("no panic");
    drop(replaced);
    assert_eq!(all.len(), MUCH);
    assert!(all[..300] == [1, 2, 3].repeat(100) && all[300..].iter().all(|byte| *byte == 0));
}

/// The signal of a pipe without a reader would end a host that does not handle it. The plugin gets the error.
fn gone() {
    const PIPE: i32 = 64;
    // SAFETY: sets the default action, as programs other than Rust's have it.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let context = Context::new();
    let (reader, _replaced, plugin) = piped(&context, MODULE);
    assert_eq!(plugin.call_only("byte", b""), 0);
    drop(reader);
    for function in ["byte", "much", "byte"] {
        assert_eq!(plugin.call_only(function, b""), PIPE, "{function}");
    }
}

/// A stream is a terminal, which is type 2, if it is inherited from one. Input never is.
fn terminals() {
    let types = |file: OwnedFd| {
        let context = Context::new();
        let _replaced = Replaced::new(file);
        let plugin = wasi(&context, MODULE);
        ["stdin", "stdout", "stderr"].map(|stream| plugin.call_only(stream, b""))
    };
    let (_own, terminal) = terminal();
    let (_reader, pipe) = io::pipe().expect("descriptors are left");
    let file = tempfile::tempfile().expect("a file");
    assert_eq!([types(terminal), types(pipe.into()), types(file.into())], [[0, 22, 0], [0; 3], [0; 3]]);
}
