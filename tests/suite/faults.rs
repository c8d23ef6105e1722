//! What the system refuses: address space, file descriptors, room on disk, places to write to. Each is an error that says so, or
//! is done without; nothing that was there before is lost, and all is well when the system gives again.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "limits of the process are the system's")]

use std::fs::{self, File};

use crate::child;
use crate::host::{Context, Plugin, manifest};

/// Answers 1; traps; grows its memory by a GiB; never ends.
const MODULE: &str = r#"(module (memory 1)
    (func (export "one") (result i32) (i32.const 1))
    (func (export "trap") (i32.store (i32.const -1) (i32.const 1)))
    (func (export "grow") (result i32) (memory.grow (i32.const 16384)))
    (func (export "forever") (loop (br 0))))"#;

fn all_is_well(plugin: &Plugin<'_>) {
    assert_eq!(plugin.call_only("one", b""), 1);
    assert!(plugin.call("trap", "").error().contains("out of bounds"));
    assert_eq!(plugin.call_only("one", b""), 1);
}

/// Sets a limit of this process, and returns the one before.
fn limit(resource: libc::__rlimit_resource_t, to: u64) -> u64 {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes to where there is room for it.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limits) }, 0);
    let before = limits.rlim_cur;
    limits.rlim_cur = to.min(limits.rlim_max);
    // SAFETY: it reads what is there.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limits) }, 0);
    before
}

/// The address space that this process takes, in bytes.
fn address_space() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').next().expect("a number").parse::<u64>().expect("a number") * 4096
}

#[test]
fn no_address_space() {
    child::alone("faults::no_address_space", || {
        let context = Context::new();
        let plugin = context.plugin(MODULE);
        all_is_well(&plugin);
        let before = limit(libc::RLIMIT_AS, address_space() + (1 << 30));
        let error = context.refusal(MODULE);
        println!("{error}");
        assert!(error.contains("memory") && error.contains("Cannot allocate"), "{error}");
        assert!(!plugin.update(MODULE, false));
        all_is_well(&plugin);

        // Until nothing more fits.
        limit(libc::RLIMIT_AS, address_space() + (100 << 30));
        let mut plugins = Vec::new();
        while let Ok(plugin) = context.create(MODULE, false) {
            plugins.push(plugin);
        }
        assert!(plugins.len() > 2, "{}", plugins.len());
        plugins.iter().for_each(all_is_well);
        plugins.pop().expect("there are some").free();
        all_is_well(&context.plugin(MODULE));
        limit(libc::RLIMIT_AS, before);
        all_is_well(&context.plugin(MODULE));
    });
}

/// A file for each number that the process may still give.
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
        // Nothing has to be opened for this one, nor for its data, which would be a file in memory.
        let data = format!(
            r#"(module (memory 40) (data (i32.const 0) "{}")
            (func (export "at") (result i32) (i32.load8_u (i32.const 65535))))"#,
            "x".repeat(100_000)
        );
        if cfg!(not(feature = "compiler")) {
            assert!(context.refusal(MODULE).contains("cannot be used, a warning in the log says why"));
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

/// Compiled code cannot be kept, and the log not be written: calls go on.
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

#[test]
fn a_full_log() {
    child::alone("faults::a_full_log", || {
        let path = c"/dev/full";
        // SAFETY: both are C strings.
        assert!(unsafe { extism::ffi::extism_log_file(path.as_ptr(), c"trace".as_ptr()) });
        all_is_well(&Context::new().plugin(MODULE));
    });
}

/// There is no place for temporary files, no home, and no cache.
#[cfg(feature = "compiler")]
#[test]
fn nowhere_to_write() {
    const TEST: &str = "faults::nowhere_to_write";
    if child::case().is_some() {
        assert!(File::create("/tmp/x").is_err());
        return all_is_well(&Context::new().plugin(manifest(MODULE, r#""timeout_ms": 60000"#)));
    }
    // Where nobody can make anything, root included.
    let nowhere: &std::ffi::OsStr = "/proc/nonexistent".as_ref();
    for home in ["/proc/nonexistent", "/tmp", ""] {
        let home: &std::ffi::OsStr = home.as_ref();
        let variables = [("TMPDIR", nowhere), ("HOME", home), ("XDG_CACHE_HOME", home), ("EXTISM_CACHE_DIR", home)];
        child::mounted(TEST, "", (std::path::Path::new("/tmp"), "ro"), &variables);
    }
}

/// A plugin that writes to a full disk is told so.
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

/// The clock that people set says when files were written, and nothing else: not when a call has to end.
#[cfg(feature = "compiler")]
#[test]
fn clocks_that_jump() {
    const TEST: &str = "faults::clocks_that_jump";
    if child::case().is_some() {
        return all_is_well(&Context::new().plugin(MODULE));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("EXTISM_CACHE_DIR", folder.path().as_ref()), ("EXTISM_CACHE_MAX_BYTES", "100000".as_ref())];
    child::run(TEST, "fill", &variables);
    for seconds in [0, 4_102_444_800, 253_402_300_799] {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let mut changed = 0;
        let mut folders = vec![folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()) {
                if entry.is_dir() && !entry.is_symlink() {
                    folders.push(entry);
                } else if entry.is_file() {
                    File::options().write(true).open(&entry).expect("ours").set_modified(time).expect("ours");
                    changed += 1;
                }
            }
        }
        assert!(changed > 0);
        child::run(TEST, "use", &variables);
    }
}
