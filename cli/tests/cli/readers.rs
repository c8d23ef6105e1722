//! Tests for the readers of files that `compile` makes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{fixture, folder};

/// The modes of a directory and of everything below it, each once: those of directories, and those of files.
fn modes(directory: &Path) -> (Vec<u32>, Vec<u32>) {
    let (mut directories, mut files) = (Vec::new(), Vec::new());
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).expect("there");
        let mode = found.permissions().mode() & 0o7777;
        if found.is_dir() {
            directories.push(mode);
            left.extend(fs::read_dir(&path).expect("readable").map(|entry| entry.expect("readable").path()));
        } else if found.is_file() {
            files.push(mode);
        }
    }
    for modes in [&mut directories, &mut files] {
        modes.sort_unstable();
        modes.dedup();
    }
    (directories, files)
}

/// A cache given by `--store` is readable as far as the umask allows; only its owner may write. The cache is private.
#[test]
fn a_cache_is_for_whom_the_umask_says() {
    for (umask, option, directories, files) in [
        ("022", "--store", 0o755, 0o644),
        ("002", "--store", 0o755, 0o644),
        ("000", "--store", 0o755, 0o644),
        ("027", "--store", 0o750, 0o640),
        ("077", "--store", 0o700, 0o600),
        ("000", "", 0o700, 0o600),
    ] {
        let folder = folder();
        let cache = folder.path().join("above/cache");
        let option = if option.is_empty() { String::new() } else { format!("{option} {}", cache.display()) };
        let mut tool = Command::new("sh");
        tool.args(["-c", &format!("umask {umask} && exec \"$0\" compile {option} \"$1\"")])
            .args([env!("CARGO_BIN_EXE_extism-wasmer"), &fixture("echo.v1")])
            .env("EXTISM_CACHE_DIR", if option.is_empty() { cache.as_path() } else { Path::new("") })
            .env_remove("EXTISM_COMPILER");
        let output = tool.output().expect("there is a shell");
        assert!(output.status.success(), "{umask} {option}: {output:?}");
        let above = folder.path().join("above");
        assert_eq!(modes(&above), (vec![directories], vec![files]), "{umask} {option}");
    }
}
