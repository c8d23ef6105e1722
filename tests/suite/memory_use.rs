//! Plugins that are freed and calls that have ended leave nothing behind in the process. Each test measures a process
//! of its own.

use std::cell::Cell;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::child;
use crate::host::{Context, fixture, manifest};

/// The kernel's numbers for this process.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Memory in use, in KiB.
    rss: i64,
    /// Lines of the memory map.
    mappings: i64,
    threads: i64,
    files: i64,
}

impl Size {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let field = |name: &str| -> i64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of the kernel");
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
        };
        let mappings = fs::read_to_string("/proc/self/maps").expect("Linux").lines().count();
        let files = fs::read_dir("/proc/self/fd").expect("Linux").count();
        Self { rss: field("VmRSS"), mappings: mappings as i64, threads: field("Threads"), files: files as i64 }
    }

    /// The size once the threads of the last compilation have ended, which takes a moment.
    fn settled() -> Self {
        let mut threads = Self::now().threads;
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_millis(200) {
            if Self::now().threads != threads {
                (threads, since) = (Self::now().threads, Instant::now());
            }
            thread::yield_now();
        }
        Self::now()
    }
}

/// The number of idle threads that may be kept for reuse.
const IDLE_THREADS: i64 = 8;

/// The number of mappings that the allocator may add for itself.
const ARENAS: i64 = 40;

/// Does `work` with the numbers of `warm_up`, then of `rest`, which may add at most `max_kib`. If they add more, it
/// runs them once more: an allocator may reach its final size late, while a leak keeps growing.
fn check(test: &str, [warm_up, rest]: [u32; 2], max_kib: i64, work: impl Fn(u32)) {
    child::alone(test, || {
        (0..warm_up).for_each(&work);
        let stays = |before: &Size, after: &Size| {
            after.rss - before.rss <= max_kib
                && after.mappings - before.mappings <= ARENAS
                && after.threads - before.threads <= IDLE_THREADS
                && after.files <= before.files
        };
        let period = |before: Size| {
            (warm_up..warm_up + rest).for_each(&work);
            let after = Size::settled();
            println!("{test}: {before:?} -> {after:?}");
            (stays(&before, &after), after)
        };
        let (stayed, after) = period(Size::settled());
        assert!(stayed || period(after).0, "it grows and grows");
    });
}

/// A small plugin that differs from those of all other numbers.
fn different(number: u32) -> String {
    format!(
        r#"(module (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
            (import "env" "extism_store_u8" (func $store (param i64 i32)))
            (import "env" "extism_output_set" (func $output_set (param i64 i64)))
            (memory 2) (global $calls (mut i32) (i32.const 0))
            (func (export "run") (result i32) (local $block i64)
                (call $store (local.tee $block (call $alloc (i64.const 10000))) (i32.const 65))
                (call $output_set (local.get $block) (i64.const 10000))
                (i32.const {number}))
            (func (export "next") (result i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (global.get $calls))
            (func (export "trap") unreachable) (func (export "_start")))"#
    )
}

const MIB: i64 = 1024;

#[test]
fn plugins_that_are_freed() {
    let context = Context::new();
    check("memory_use::plugins_that_are_freed", [500, 1000], 20 * MIB, |number| {
        let plugin = context.plugin(different(number));
        let answer = plugin.call("run", "input");
        assert_eq!((answer.code, answer.output.len()), (number as i32, 10000));
        plugin.free();
    });
}

#[test]
fn contexts_that_are_freed() {
    check("memory_use::contexts_that_are_freed", [100, 300], 8 * MIB, |number| {
        let context = Context::new();
        let plugins = [0, 1, 2].map(|more| context.plugin(different(number * 3 + more)));
        assert!(plugins.iter().all(|plugin| plugin.call_only("next", b"") == 1));
    });
}

#[test]
fn plugins_that_are_updated() {
    let context = Context::new();
    let plugin = context.plugin(different(0));
    check("memory_use::plugins_that_are_updated", [100, 300], 8 * MIB, |number| {
        assert!(plugin.update(different(number), false));
        assert_eq!(plugin.call_only("run", b""), number as i32);
    });
}

#[test]
fn plugins_that_cannot_be_made() {
    let context = Context::new();
    check("memory_use::plugins_that_cannot_be_made", [200, 600], 8 * MIB, |number| {
        let broken = [
            format!("(module (import \"env\" \"missing{number}\" (func)))"),
            format!("(module (memory 2) (func $start unreachable (drop (i32.const {number}))) (start $start))"),
            format!("(module (func (result i32) (i64.const {number})))"),
        ];
        context.refusal(&broken[number as usize % broken.len()]);
    });
}

#[test]
fn instances_that_are_made_anew() {
    let context = Context::new();
    let plugin = context.plugin(different(0));
    check("memory_use::instances_that_are_made_anew", [200, 1000], 4 * MIB, |_| {
        assert_eq!(plugin.call_only("next", b""), 1);
        assert_eq!(plugin.call_only("_start", b""), 0);
    });
}

#[test]
fn a_million_calls() {
    let context = Context::new();
    let plugin = context.plugin(different(0));
    let calls = Cell::new(0);
    check("memory_use::a_million_calls", [10_000, 1_000_000], 2 * MIB, |_| {
        calls.set(calls.get() + 1);
        assert_eq!(plugin.call_only("next", b"input"), calls.get());
    });
}

#[test]
fn calls_that_fail() {
    let context = Context::new();
    let plugin = context.plugin(different(0));
    check("memory_use::calls_that_fail", [2_000, 20_000], 2 * MIB, |number| {
        let function = ["trap", "missing", "run"][number as usize % 3];
        assert_eq!(plugin.call_only(function, b""), if function == "run" { 0 } else { -1 });
        assert_eq!(context.error(plugin.id).is_some(), function != "run");
    });
}

/// An instance remembers names of functions, but only of those that exist.
#[test]
fn functions_that_do_not_exist() {
    let context = Context::new();
    let plugin = context.plugin(different(0));
    check("memory_use::functions_that_do_not_exist", [2_000, 50_000], 2 * MIB, |number| {
        assert_eq!(plugin.call_only(&format!("missing {number}"), b""), -1);
    });
}

/// Memory for a large input is given back, or at least used again.
#[test]
fn large_inputs() {
    let context = Context::new();
    let plugin = context.plugin(fixture("echo.v1"));
    let input = vec![7; 16 << 20];
    check("memory_use::large_inputs", [5, 20], 2 * MIB, |_| {
        assert_eq!(plugin.call_only("echo", &input), 0);
        assert_eq!(plugin.output().len(), input.len());
    });
}

/// Plugins on WASI hold files, memory and threads of their own while they live.
#[cfg(feature = "wasi")]
#[test]
fn plugins_on_wasi() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "content").expect("writable");
    let paths = json!({folder.path().to_str().expect("UTF-8"): "/mnt"});
    let source = manifest(fixture("reactor.v0"), &format!("\"allowed_paths\": {paths}"));
    let context = Context::new();
    check("memory_use::plugins_on_wasi", [20, 60], 12 * MIB, |_| {
        let plugin = context.create(&source, true).expect("made");
        assert_eq!(plugin.answer("read_file", "/mnt/a.txt"), "content");
        assert_eq!(plugin.answer("sleep_ms", "1"), "");
        plugin.free();
    });
}

#[cfg(feature = "wasi")]
#[test]
fn calls_on_wasi() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "content").expect("writable");
    let paths = json!({folder.path().to_str().expect("UTF-8"): "/mnt"});
    let source = manifest(fixture("reactor.v0"), &format!("\"allowed_paths\": {paths}"));
    let context = Context::new();
    let plugin = context.create(&source, true).expect("made");
    check("memory_use::calls_on_wasi", [200, 3000], 2 * MIB, |_| {
        assert_eq!(plugin.answer("read_file", "/mnt/a.txt"), "content");
        assert_eq!(plugin.answer("print", "a line\n"), "");
    });
}
