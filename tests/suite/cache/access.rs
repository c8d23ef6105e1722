//! The readers of a cache, and caches that other users may read or lock. The files beside this one test the contents.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "a process becomes another user")]

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{DIR, number};
use crate::child;
use crate::host::{Context, sha256};
use crate::log::warnings;

fn run(of: u32) {
    assert_eq!(Context::new().plugin(number(of)).call_only("run", b""), of as i32);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

/// A cache directory, and everything in it.
fn all(cache: &Path) -> Vec<PathBuf> {
    let mut found = vec![cache.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() && !found[at].is_symlink() {
            let inside = fs::read_dir(&found[at]).expect("readable").map(|entry| entry.expect("readable").path());
            found.extend(inside.collect::<Vec<_>>());
        }
        at += 1;
    }
    found
}

/// The size of its code, in bytes.
fn size(cache: &Path) -> u64 {
    let sizes = all(&cache.join("modules")).into_iter().map(|path| fs::metadata(path).expect("there"));
    sizes.filter(fs::Metadata::is_file).map(|metadata| metadata.len()).sum()
}

/// A lock file in the directory, made with this mode and locked.
fn lock(cache: &Path, mode: u32) -> File {
    let path = cache.join(".lock");
    let file = File::create(&path).expect("ours");
    set_mode(&path, mode);
    file.lock().expect("nobody has it");
    file
}

/// Others who may read a cache, and lock the files that they can open, do not keep it from being trimmed.
#[test]
fn nobody_else_holds_up_who_makes_room() {
    const TEST: &str = "cache::access::nobody_else_holds_up_who_makes_room";
    const BYTES: &str = "EXTISM_CACHE_MAX_BYTES";
    match child::case().as_deref() {
        None => {}
        Some("fill") => return (0..10).for_each(run),
        Some(_) => return assert_eq!(warnings(|| run(10)), [""; 0]),
    }
    let cases: [(&str, fn(&Path) -> Option<File>, bool); 4] = [
        ("nobody", |_| None, true),
        (
            "who may read the directory",
            |cache| {
                let directory = File::open(cache).expect("ours");
                directory.lock().expect("nobody has it");
                Some(directory)
            },
            true,
        ),
        ("who may read the lock", |cache| Some(lock(cache, 0o644)), true),
        ("another process of this user, which makes room", |cache| Some(lock(cache, 0o600)), false),
    ];
    for (holder, hold, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        let child = |case: &str, bytes: u64| {
            let bytes = bytes.to_string();
            child::run(TEST, case, &[(DIR, cache.as_os_str()), (BYTES, bytes.as_ref())]);
        };
        child("fill", 1 << 30);
        set_mode(&cache, 0o755);
        let most = size(&cache);
        let held = hold(&cache);
        child("one more", most);
        assert_eq!(size(&cache) <= most, expected, "{holder}");
        drop(held);
        assert_eq!(cache.join(".lock").exists(), !expected, "{holder}");
    }
}

/// Makes this a process of another user, which needs root's rights.
fn become_another_user() {
    const NOBODY: u32 = 65534;
    // SAFETY: both take a number, and change this process's user.
    let changed = unsafe { libc::setgid(NOBODY) } | unsafe { libc::setuid(NOBODY) };
    assert_eq!(changed, 0);
}

fn is_root() -> bool {
    // SAFETY: takes no arguments.
    unsafe { libc::geteuid() == 0 }
}

/// A cache that cannot be read is not used, and a warning has its owner and mode; one of root's is used if readable.
#[test]
fn another_users_cache() {
    const TEST: &str = "cache::access::another_users_cache";
    match child::case().as_deref() {
        None => {}
        Some("fill") => return run(1),
        Some("use") => {
            if is_root() {
                become_another_user();
            }
            let expected = std::env::var("EXPECTED").expect("the parent sets it");
            let warned = warnings(|| run(1));
            let first = warned.first().map_or("", String::as_str);
            assert!(first.ends_with(&expected) && warned.is_empty() == expected.is_empty(), "{expected}: {warned:?}");
            return;
        }
        Some(case) => panic!("{case}"),
    }
    // Places below the directory of the cache that are closed to other users; in the end, none.
    let name = |cache: &Path| {
        let file = all(&cache.join("modules")).into_iter().find(|path| path.is_file());
        file.expect("one").file_name().and_then(OsStr::to_str).expect("UTF-8").to_owned()
    };
    let cases: [(&str, fn(&str) -> String); 5] = [
        ("the folder", |_| String::new()),
        ("the cache", |_| "cache".to_owned()),
        ("all modules", |_| "cache/modules".to_owned()),
        ("the code", |name| format!("cache/modules/{}/{name}", sha256(number(1)))),
        ("nothing", |_| "nothing".to_owned()),
    ];
    for (what, place) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        child::run(TEST, "fill", &[(DIR, cache.as_os_str())]);
        let name = name(&cache);
        for path in all(folder.path()).iter().filter(|path| !path.is_symlink()) {
            set_mode(path, if path.is_dir() { 0o755 } else { 0o644 });
        }
        let closed = folder.path().join(place(&name));
        let mode = match (is_root(), closed.is_dir()) {
            (false, _) => 0,
            (true, true) => 0o700,
            (true, false) => 0o600,
        };
        let mut expected = String::new();
        if closed.exists() {
            let owner = fs::metadata(&closed).expect("there").uid();
            set_mode(&closed, mode);
            // Places inside the cache are named relative to it.
            let shown = match closed.strip_prefix(cache.join("modules")) {
                Ok(inside) if inside == Path::new("") => Path::new("modules"),
                Ok(_) => Path::new(&name),
                Err(_) => closed.as_path(),
            };
            let shown = shown.display().to_string();
            let shown = shown.trim_end_matches('/');
            expected =
                format!("Permission denied (os error 13): `{shown}` belongs to user {owner} and has mode {mode:o}");
        }
        println!("{what}: {expected}");
        child::run(TEST, "use", &[(DIR, cache.as_os_str()), ("EXPECTED", expected.as_ref())]);
        if closed.exists() {
            set_mode(&closed, 0o755);
        }
    }
}
