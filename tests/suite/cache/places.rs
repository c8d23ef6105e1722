//! Places of the cache: where it is, and directories that are refused, that can only be read, or that are not named.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{DIR, files, in_child, number, run};
use crate::child;
use crate::log::warnings;

/// Names of caches that must not be used, or cannot be; functions that make each in a folder and return its path; and
/// what the warning says.
const NOT_USED: [(&str, fn(&Path) -> PathBuf, &str); 9] = [
    (
        "writable by all",
        |folder| with_mode(folder.join("cache"), 0o777),
        "others can write to the directory (mode 777)",
    ),
    ("writable by the group", |folder| with_mode(folder.join("cache"), 0o770), "others can write"),
    ("a link", |folder| link(folder.join("cache"), folder), "symbolic link, which is not followed"),
    (
        "a link with a slash",
        |folder| {
            link(folder.join("cache"), folder);
            folder.join("cache/")
        },
        "symbolic link, which is not followed",
    ),
    (
        "a file",
        |folder| {
            fs::write(folder.join("cache"), "").expect("writable");
            folder.join("cache")
        },
        "",
    ),
    (
        "below a file",
        |folder| {
            fs::write(folder.join("cache"), "").expect("writable");
            folder.join("cache/cache")
        },
        "",
    ),
    (
        "inside writable by all",
        |folder| {
            with_mode(folder.join("cache/modules"), 0o777);
            with_mode(folder.join("cache"), 0o700)
        },
        "others can write",
    ),
    (
        "a link inside",
        |folder| {
            let cache = with_mode(folder.join("cache"), 0o700);
            link(cache.join("modules"), folder);
            cache
        },
        "symbolic link, which is not followed",
    ),
    (
        "of another user",
        |folder| {
            let cache = with_mode(folder.join("cache"), 0o700);
            // Only root can give it away; others get a directory of root's, to which they cannot write.
            if std::os::unix::fs::chown(&cache, Some(12345), None).is_err() { PathBuf::from("/") } else { cache }
        },
        "",
    ),
];

/// Plugins work without such a cache.
#[test]
fn places_that_are_not_used() {
    if child::case().is_some() {
        let warned = warnings(|| assert_eq!(run(number(1)), 1));
        let expected = std::env::var("EXPECTED").expect("the parent sets it");
        assert!(!warned.is_empty() && warned.iter().all(|line| line.contains(&expected)), "{warned:?}");
        return;
    }
    for (name, make, expected) in NOT_USED {
        let folder = tempfile::tempdir().expect("a folder");
        let path = make(folder.path());
        let variables: [(&str, &OsStr); 2] = [(DIR, path.as_os_str()), ("EXPECTED", expected.as_ref())];
        child::run("cache::places::places_that_are_not_used", name, &variables);
        assert!(files(&folder.path().join("target")).is_empty() && files(&path).is_empty(), "{name}");
    }
}

fn with_mode(path: PathBuf, mode: u32) -> PathBuf {
    fs::create_dir_all(&path).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
    path
}

/// Makes `path` a link to a new directory in the folder.
fn link(path: PathBuf, folder: &Path) -> PathBuf {
    symlink(with_mode(folder.join("target"), 0o700), &path).expect("writable");
    path
}

/// A cache that can only be read is read.
#[test]
fn a_read_only_cache() {
    const TEST: &str = "places::a_read_only_cache";
    match child::case().as_deref() {
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            in_child(TEST, "fill", folder.path());
            let all: Vec<_> = files(folder.path()).into_keys().collect();
            let directories = ["", "modules", "by-blake3"].map(|name| folder.path().join(name));
            let module = all[0].parent().expect("a directory").to_owned();
            for directory in directories.iter().chain([&module]) {
                fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).expect("ours");
            }
            in_child(TEST, "use", folder.path());
            for directory in directories.iter().chain([&module]) {
                fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("ours");
            }
        }
        Some("fill") => assert_eq!(run(number(1)), 1),
        Some(_) => assert_eq!(warnings(|| assert_eq!(run(number(1)), 1)), [""; 0]),
    }
}

#[test]
fn it_is_off_if_the_variable_is_empty() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        let variables: [(&str, &OsStr); 3] =
            [(DIR, "".as_ref()), ("XDG_CACHE_HOME", folder.path().as_ref()), ("HOME", folder.path().as_ref())];
        child::run("cache::places::it_is_off_if_the_variable_is_empty", "", &variables);
        return assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
    };
    assert_eq!(warnings(|| assert_eq!(run(number(1)), 1)), [""; 0]);
}

/// Without the variable, the cache is in the user's cache directory. (Cargo sets the variable for all tests.)
#[test]
fn where_it_is_without_the_variable() {
    const TEST: &str = "cache::places::where_it_is_without_the_variable";
    if child::case().is_some() {
        return assert_eq!(run(number(1)), 1);
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (variable, place) in [("XDG_CACHE_HOME", "extism-wasmer"), ("HOME", ".cache/extism-wasmer")] {
        let mut process = child::command(TEST, "use");
        process.env_remove(DIR).env_remove("XDG_CACHE_HOME").env("HOME", "/nonexistent").env(variable, folder.path());
        assert!(process.status().expect("the tests can be run again").success());
        assert_eq!(files(&folder.path().join(place)).len(), 1, "{variable}");
    }
}
