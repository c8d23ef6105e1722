//! Resources that the system refuses: address space, file descriptors, disk space, places to write to. Each refusal is
//! an error that names it, or the library works without; nothing is lost, and all works when the system gives again.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "limits of the process are the system's")]

mod address_space;
#[cfg(feature = "compiler")]
mod scarce_memory;

use std::fs::{self, File};
use std::path::Path;
#[cfg(feature = "compiler")]
use std::path::PathBuf;
#[cfg(feature = "compiler")]
use std::time::{Duration, UNIX_EPOCH};

use crate::child;
use crate::host::{Context, Plugin, manifest};

/// A module with a function that answers 1, one that traps, and one that never ends.
const MODULE: &str = r#"(module (memory 1)
    (func (export "one") (result i32) (i32.const 1))
    (func (export "trap") (i32.store (i32.const -1) (i32.const 1)))
    (func (export "forever") (loop (br 0))))"#;

/// The same, and asks for a GiB: `grow` in its memory, which returns the pages before; the others as a block.
const HUNGRY: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "alloc" (func $alloc_or_none (param i64) (result i64)))
    (memory 1)
    (func (export "one") (result i32) (i32.const 1))
    (func (export "trap") (i32.store (i32.const -1) (i32.const 1)))
    (func (export "grow") (result i32) (local $pages i32)
        (local.set $pages (memory.grow (i32.const 16384)))
        (i32.store8 (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1)) (i32.const 1))
        (local.get $pages))
    (func (export "block") (result i32) (i64.eqz (call $alloc (i64.const 0x40000000))))
    (func (export "block_or_none") (result i32) (i64.eqz (call $alloc_or_none (i64.const 0x40000000)))))"#;

fn all_is_well(plugin: &Plugin<'_>) {
    let works = || {
        let answer = plugin.call("one", "");
        assert_eq!(answer.code, 1, "{}", answer.error());
    };
    works();
    let trapped = plugin.call("trap", "");
    assert!(trapped.error().contains("out of bounds"), "{}", trapped.error());
    works();
}

/// Sets a limit of this process and returns the one before.
pub(crate) fn limit(resource: libc::__rlimit_resource_t, to: u64) -> u64 {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to `limits`, which has the right size.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limits) }, 0);
    let before = limits.rlim_cur;
    limits.rlim_cur = to.min(limits.rlim_max);
    // SAFETY: reads `limits`, which is initialised.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limits) }, 0);
    before
}

/// The memory that this process uses, in bytes, by its name in `/proc/self/status`.
pub(crate) fn taken(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(name)).expect("it is there");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") << 10
}

/// The CPU time of this thread: on a busy machine, less than the time that has passed.
pub(crate) fn processor_time() -> std::time::Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to `time`, which has the right size.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    std::time::Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).expect("below a second"))
}

/// Gives memory that the allocator has kept back to the system.
pub(crate) fn trim() {
    // SAFETY: may be called at any time.
    unsafe { libc::malloc_trim(0) };
}

/// Makes the allocator ask the system for each large block, instead of using memory that it has kept.
pub(crate) fn map_what_is_large() {
    // SAFETY: changes a setting of the allocator.
    assert_eq!(unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20) }, 1);
}

/// A plugin is told what the system refuses it; it keeps what it has, and gets more when there is more.
#[test]
fn no_room_to_grow() {
    child::alone("faults::no_room_to_grow", || {
        let context = Context::new();
        for (resource, name) in [(libc::RLIMIT_AS, "VmSize:"), (libc::RLIMIT_DATA, "VmData:")] {
            let plugin = context.plugin(HUNGRY);
            let grow = || {
                let pages = plugin.call_only("grow", b"");
                assert_eq!(context.error(plugin.id), None, "{name}");
                pages
            };
            let before = limit(resource, taken(name) + (512 << 20));
            for _ in 0..3 {
                let block = plugin.call("block", "");
                assert!(block.error().contains("failed to grow memory by 1073741824"), "{name}: {block:?}");
                let none = plugin.call("block_or_none", "");
                assert_eq!((none.code, none.error()), (1, ""), "{name}");
                all_is_well(&plugin);
            }
            // Under RLIMIT_AS the memory may grow, into its reservation; under RLIMIT_DATA its pages are counted.
            let grown = grow();
            assert!(grown == -1 || grown == 1 && resource == libc::RLIMIT_AS, "{name}: {grown}");
            all_is_well(&plugin);

            limit(resource, before);
            assert!(grow() > 0, "{name}");
            assert_eq!(["block", "block_or_none"].map(|function| plugin.call_only(function, b"")), [0, 0], "{name}");
            all_is_well(&plugin);
        }
    });
}

/// Opens files until the process has no descriptor left.
fn use_up_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn no_descriptors() {
    child::alone("faults::no_descriptors", || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("module.wasm");
        fs::write(&path, wat::parse_str(MODULE).expect("it is one")).expect("writable");
        let by_path = format!(r#"{{"wasm": [{{"path": {path:?}}}], "timeout_ms": 20}}"#);
        let context = Context::new();
        let plugin = context.plugin(&by_path);

        #[cfg(all(feature = "wasi", feature = "compiler"))]
        let with_files =
            manifest(crate::host::fixture("reactor.v0"), &format!(r#""allowed_paths": {{{:?}: "/"}}"#, folder.path()));
        limit(libc::RLIMIT_NOFILE, 100);
        let files = use_up_descriptors();
        all_is_well(&plugin);
        assert!(plugin.call("forever", "").error().contains("timeout"));
        let error = context.refusal(&by_path);
        assert!(error.contains("Too many open files") && error.contains("module.wasm"), "{error}");
        // These modules are not read from files, and their data is copied: a file in memory would need a descriptor.
        let data = format!(
            r#"(module (memory 40) (data (i32.const 0) "{}")
            (func (export "at") (result i32) (i32.load8_u (i32.const 65535))))"#,
            "x".repeat(100_000)
        );
        if cfg!(not(feature = "compiler")) {
            assert!(context.refusal(MODULE).contains("cannot be used: Too many open files"));
        } else {
            all_is_well(&context.plugin(MODULE));
            assert_eq!(context.plugin(data).call_only("at", b""), i32::from(b'x'));
        }
        #[cfg(all(feature = "wasi", feature = "compiler"))]
        {
            let error = context.create(with_files, true).err().expect("no file can be opened");
            assert!(error.contains("Too many open files"), "{error}");
            println!("{error}");
        }
        drop(files);
        all_is_well(&context.plugin(&by_path));
    });
}

/// The cache's file system is full, out of inodes or read-only: the log says so, and calls succeed.
#[cfg(feature = "compiler")]
#[test]
fn no_room() {
    const TEST: &str = "faults::no_room";
    if let Some(case) = child::case() {
        let module = r#"(module (func (export "one") (result i32) (i32.const 1)))"#;
        let warned = crate::log::warnings(|| assert_eq!(Context::new().plugin(module).call_only("one", b""), 1));
        let expected = if case == "ro" { "Read-only file system" } else { "No space left on device" };
        assert!(warned.iter().any(|line| line.contains(expected)), "{warned:?}");
        return;
    }
    for (case, options) in [("full", "mode=700,size=4k"), ("no inodes", "mode=700,nr_inodes=2"), ("ro", "mode=700,ro")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        child::mounted(TEST, case, (folder.path(), options), &[("EXTISM_CACHE_DIR", folder.path().as_ref())]);
    }
}

/// Files that would exceed the limit on their size are not kept, neither code nor downloads, and the signal that the
/// system sends for them does not end the process.
#[cfg(feature = "compiler")]
#[test]
fn no_large_files() {
    const TEST: &str = "faults::no_large_files";
    if child::case().is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        return drop(child::run(TEST, "", &[("EXTISM_CACHE_DIR", folder.path().as_ref())]));
    }
    // SAFETY: sets the default action, which ends the process.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
    let data = "x".repeat(40_000);
    let module = format!(
        r#"(module (memory 1) (data (i32.const 0) "{data}") (func (export "one") (result i32) (i32.const 1)))"#
    );
    // Larger than the tests' output and their log.
    let before = limit(libc::RLIMIT_FSIZE, 16 << 10);
    let count = |expected: usize, warned: Vec<String>| {
        let large = warned.iter().filter(|line| line.contains("File too large (os error 27)")).count();
        assert_eq!((large, warned.len()), (expected, expected), "{warned:?}");
    };
    count(1, crate::log::warnings(|| assert_eq!(Context::new().plugin(&module).call_only("one", b""), 1)));
    #[cfg(feature = "http")]
    {
        let server = crate::server::Server::start({
            let module = module.clone();
            move |_| crate::server::answer("200 OK", &[], module.replace("memory 1", "memory 2"))
        });
        let by_url = format!(r#"{{"wasm": [{{"url": "{}"}}]}}"#, server.url("/"));
        count(2, crate::log::warnings(|| assert_eq!(Context::new().plugin(by_url).call_only("one", b""), 1)));
    }
    let cache = PathBuf::from(std::env::var_os("EXTISM_CACHE_DIR").expect("the parent sets it"));
    assert_eq!(files(&cache).len(), 0);
    limit(libc::RLIMIT_FSIZE, before);
    count(0, crate::log::warnings(|| assert_eq!(Context::new().plugin(&module).call_only("one", b""), 1)));
    assert_eq!(files(&cache).len(), 1);
}

/// A log that accepts nothing from the start, wherever the tests run.
#[test]
fn a_log_that_takes_nothing() {
    child::alone("faults::a_log_that_takes_nothing", || {
        assert!(crate::log::set(Some("/dev/full"), Some("trace")));
        let context = Context::new();
        assert_eq!(context.plugin(crate::host::fixture("kitchen.v1")).answer("log", "warn:lost"), "");
        all_is_well(&context.plugin(MODULE));
    });
}

/// Lines that do not fit on the log's disk are lost, and nothing else; with room again, lines are written again.
#[test]
fn a_full_log() {
    const TEST: &str = "faults::a_full_log";
    if child::case().is_some() {
        let place = std::env::var("PLACE").expect("the parent sets it");
        let at = |name: &str| Path::new(&place).join(name);
        assert!(crate::log::set(at("log").to_str(), Some("info")));
        let context = Context::new();
        let plugin = context.plugin(crate::host::fixture("kitchen.v1"));
        assert_eq!(plugin.answer("log", "warn:first"), "");
        assert!(fs::write(at("ballast"), [0; 100_000]).is_err());
        let lost = format!("warn:{}", "lost".repeat(5000));
        for _ in 0..10 {
            assert_eq!(plugin.answer("log", &lost), "");
            all_is_well(&context.plugin(MODULE));
        }
        fs::remove_file(at("ballast")).expect("ours");
        assert_eq!(plugin.answer("log", "warn:last"), "");
        let log = fs::read_to_string(at("log")).expect("text");
        assert!(log.contains(" - first\n") && log.ends_with(" - last\n") && log.len() < 10_000, "{log}");
        let is_whole =
            |line: &str| ["first", &lost[5..], "last"].iter().any(|end| line.ends_with(&format!(" - {end}")));
        assert!(log.lines().all(|line| line.matches("extism").count() == 1), "two lines in one: {log}");
        let mut own = log.lines().filter(|line| line.starts_with("extism::plugin "));
        assert!(own.any(|line| !is_whole(line)), "nothing was cut: {log}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    child::mounted(TEST, "full", (folder.path(), "size=16k"), &[("PLACE", folder.path().as_ref())]);
}

/// No temporary directory, no home and no cache.
#[cfg(feature = "compiler")]
#[test]
fn nowhere_to_write() {
    const TEST: &str = "faults::nowhere_to_write";
    if child::case().is_some() {
        assert!(File::create("/tmp/x").is_err());
        return all_is_well(&Context::new().plugin(manifest(MODULE, r#""timeout_ms": 60000"#)));
    }
    // A directory in which nobody can create files, not even root.
    let nowhere: &std::ffi::OsStr = "/proc/nonexistent".as_ref();
    for home in ["/proc/nonexistent", "/tmp", ""] {
        let home: &std::ffi::OsStr = home.as_ref();
        let variables = [("TMPDIR", nowhere), ("HOME", home), ("XDG_CACHE_HOME", home), ("EXTISM_CACHE_DIR", home)];
        child::mounted(TEST, "", (Path::new("/tmp"), "ro"), &variables);
    }
}

/// A plugin that writes to a full disk gets the error.
#[cfg(feature = "wasi")]
#[test]
fn no_room_for_a_plugin() {
    const TEST: &str = "faults::no_room_for_a_plugin";
    if child::case().is_some() {
        let place = std::env::var("PLACE").expect("the parent sets it");
        let input =
            manifest(crate::host::fixture("reactor.v0"), &format!(r#""allowed_paths": {{"{place}": "/disk"}}"#));
        let context = Context::new();
        let plugin = context.create(input, true).expect("made");
        const ENOSPC: i32 = 51;
        assert_eq!(plugin.call_only("write_file", format!("/disk/file\0{}", "x".repeat(20_000)).as_bytes()), ENOSPC);
        assert_eq!(plugin.call_only("write_file", b"/disk/file\0x"), 0);
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    child::mounted(TEST, "full", (folder.path(), "size=4k"), &[("PLACE", folder.path().as_ref())]);
}

/// Only the times of files depend on the clock that people set. It may jump by any time in either direction: the cache
/// stays in use and keeps its bound, and a file that is used gets the current time.
#[cfg(feature = "compiler")]
#[test]
fn clocks_that_jump() {
    const TEST: &str = "faults::clocks_that_jump";
    let module = |number: u32| format!(r#"(module (func (export "number") (result i32) (i32.const {number})))"#);
    let answers = |number| assert_eq!(Context::new().plugin(module(number)).call_only("number", b""), number as i32);
    match child::case().as_deref() {
        None => {}
        Some("fill") => return (0..20).for_each(answers),
        Some("one more") => return answers(40),
        Some("use") => return assert_eq!(crate::log::warnings(|| answers(0)), [""; 0]),
        Some(_) => return assert_eq!(crate::log::warnings(|| (0..40).for_each(answers)), [""; 0]),
    }
    // In seconds since 1970.
    for time in [-1, 0, 4_102_444_800, 253_402_300_799] {
        let folder = tempfile::tempdir().expect("a folder");
        let run = |case: &str, bytes: u64| {
            let bytes = bytes.to_string();
            let variables = [("EXTISM_CACHE_DIR", folder.path().as_ref()), ("EXTISM_CACHE_MAX_BYTES", bytes.as_ref())];
            child::run(TEST, case, &variables);
        };
        run("fill", 1 << 30);
        let all = files(folder.path());
        assert_eq!(all.len(), 20);
        let size: u64 = all.iter().map(|file| fs::metadata(file).expect("ours").len()).sum();
        let left_over = all[0].with_file_name(".new-1-0-0");
        fs::write(&left_over, "").expect("ours");
        for file in all.iter().chain([&left_over]) {
            set_modified(file, time);
        }
        run("use", 1 << 30);
        let is_of_now = |file: &&PathBuf| {
            let age = fs::metadata(file).and_then(|found| found.modified()).expect("ours").elapsed();
            age.is_ok_and(|age| age < Duration::from_secs(600))
        };
        assert_eq!(all.iter().filter(is_of_now).count(), 1, "{time}: what was used, and nothing else");
        // Twice as many modules do not fit.
        run("use all and more", size);
        // The bound is enforced whenever a sixteenth of it has been written, and at a process's first write.
        run("one more", size);
        let left: u64 = files(folder.path()).iter().map(|file| fs::metadata(file).expect("ours").len()).sum();
        assert!(left > size / 2 && left <= size, "{time}: {left} of {size} bytes");
        assert_eq!(left_over.exists(), time > 0, "{time}: what was left behind long ago goes");
    }
}

/// The files in a cache directory that hold code.
#[cfg(feature = "compiler")]
fn files(cache: &Path) -> Vec<PathBuf> {
    let list = |folder: PathBuf| fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path());
    let files = list(cache.join("modules")).flat_map(list);
    files.filter(|file| !file.to_string_lossy().contains("/.new-")).collect()
}

/// Sets the time at which a file was last written, in seconds after 1970.
#[cfg(feature = "compiler")]
fn set_modified(file: &Path, seconds: i64) {
    let span = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH - span } else { UNIX_EPOCH + span };
    File::options().write(true).open(file).expect("ours").set_modified(time).expect("ours");
}
