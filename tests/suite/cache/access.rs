//! The readers of a cache, and caches that other users may read or lock. The files beside this one test the contents.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "a process becomes another user")]

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

/// The file with the plugin's code.
fn code(cache: &Path) -> PathBuf {
    let module = cache.join("modules").join(sha256(number(1)));
    all(&module).into_iter().find(|path| path.is_file()).expect("one")
}

/// Makes everything in a folder readable for all.
fn open(folder: &Path) {
    for path in all(folder).iter().filter(|path| !path.is_symlink()) {
        set_mode(path, if path.is_dir() { 0o755 } else { 0o644 });
    }
}

/// Makes a place unreadable for the process that uses the cache next: another user's if this one is root's.
fn close(place: &Path) {
    let mode = match (is_root(), place.is_dir()) {
        (false, _) => 0,
        (true, true) => 0o700,
        (true, false) => 0o600,
    };
    set_mode(place, mode);
}

/// The end of the warning about a closed place. Places inside the cache are named relative to it.
fn denial(closed: &Path, cache: &Path) -> String {
    let metadata = fs::metadata(closed).expect("there");
    let is_inside = closed.starts_with(cache.join("modules"));
    let shown = if is_inside { closed.file_name().expect("it has one") } else { closed.as_os_str() };
    let shown = shown.to_str().expect("UTF-8");
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    format!("Permission denied (os error 13): `{shown}` belongs to user {owner} and has mode {mode:o}")
}

/// Runs the plugin as a user who cannot read everything of its cache. The warning ends with the expected text; there
/// is none if that is empty.
fn run_as_another_user() {
    if is_root() {
        become_another_user();
    }
    let expected = std::env::var("EXPECTED").expect("the parent sets it");
    let warned = warnings(|| run(1));
    let first = warned.first().map_or("", String::as_str);
    assert!(first.ends_with(&expected) && warned.is_empty() == expected.is_empty(), "{expected}: {warned:?}");
}

/// A cache that cannot be read is not used, and a warning has its owner and mode; one of root's is used if readable.
#[test]
fn another_users_cache() {
    const TEST: &str = "cache::access::another_users_cache";
    match child::case().as_deref() {
        None => {}
        Some("fill") => return run(1),
        Some("use") => return run_as_another_user(),
        Some(case) => panic!("{case}"),
    }
    // Places that are closed, from the directory of the cache; in the end, none.
    let cases: [(&str, fn(&Path) -> PathBuf); 5] = [
        ("the folder", |cache| cache.parent().expect("it has one").to_owned()),
        ("the cache", Path::to_owned),
        ("all modules", |cache| cache.join("modules")),
        ("the code", code),
        ("nothing", |cache| cache.join("nothing")),
    ];
    for (what, place) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        child::run(TEST, "fill", &[(DIR, cache.as_os_str())]);
        open(folder.path());
        let closed = place(&cache);
        let mut expected = String::new();
        if closed.exists() {
            close(&closed);
            expected = denial(&closed, &cache);
        }
        println!("{what}: {expected}");
        child::run(TEST, "use", &[(DIR, cache.as_os_str()), ("EXPECTED", expected.as_ref())]);
        if closed.exists() {
            set_mode(&closed, 0o755);
        }
    }
}
