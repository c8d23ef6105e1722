use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::snapshot::Snapshot;
use super::variables::{
    ALL, CACHE_DIR, CACHE_MAX_BYTES, CACHE_MEMORY_BYTES, COMPILER, CachePlace, INHERIT_OUTPUT, MAX_MODULE_BYTES,
    OFFLINE, TIMEOUT, Variable,
};

fn snapshot(variables: &[(&str, &str)]) -> &'static Snapshot {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Box::leak(Box::new(Snapshot::new(variables)))
}

/// Reads `value` as the value of `variable`; the error as text.
fn read<T: Copy>(variable: &Variable<T>, value: &str) -> Result<T, String> {
    variable.of(snapshot(&[(variable.name, value)])).map_err(|error| error.to_string())
}

#[test]
fn values_are_read_empty_ones_are_none_and_wrong_ones_are_named() {
    assert_eq!(read(&COMPILER, "llvm"), Ok(Some("llvm")));
    assert_eq!(read(&COMPILER, ""), Ok(None));
    assert_eq!(read(&CACHE_DIR, "/x"), Ok(CachePlace::At(Path::new("/x"))));
    assert_eq!(read(&CACHE_DIR, ""), Ok(CachePlace::Nowhere), "the one whose empty value is one");
    assert_eq!(CACHE_DIR.of(snapshot(&[])), Ok(CachePlace::Usual));
    assert_eq!(read(&TIMEOUT, " 20 "), Ok(Some(Duration::from_millis(20))));
    assert_eq!(read(&TIMEOUT, ""), Ok(None));
    for (value, expected) in [("", false), ("0", false), ("1", true), ("yes", true)] {
        assert_eq!(read(&OFFLINE, value), Ok(expected), "{value}");
    }
    for (value, expected) in [("", false), ("0", true), ("1", true)] {
        assert_eq!(read(&INHERIT_OUTPUT, value), Ok(expected), "{value}");
    }
    for variable in [&CACHE_MAX_BYTES, &CACHE_MEMORY_BYTES, &MAX_MODULE_BYTES] {
        assert_eq!(read(variable, "70"), Ok(70));
        assert_eq!(read(variable, ""), Ok(variable.default));
        for value in ["1 GB", "-1", "0x10", "1e9", "18446744073709551616"] {
            assert_eq!(read(variable, value), Err(format!("{}: `{value}` is not a number of bytes", variable.name)));
        }
    }
    assert_eq!(read(&TIMEOUT, "soon"), Err("EXTISM_TIMEOUT_MS: `soon` is no number of milliseconds".to_owned()));
}

#[test]
fn each_variable_is_checked() {
    let wrong = |variables| ALL.iter().find_map(|variable| variable.check(variables).err()).map(|error| error.name);
    assert_eq!(wrong(snapshot(&[])), None);
    let mut found: Vec<_> = Vec::new();
    for variable in ALL {
        // Not UTF-8, and no number.
        let value = (OsString::from(variable.name()), OsString::from_vec(b"\xff".to_vec()));
        found.extend(wrong(Box::leak(Box::new(Snapshot::new([value])))));
    }
    assert_eq!(found.len(), 5, "all that are not paths or flags: {found:?}");
    let names: std::collections::BTreeSet<_> = ALL.iter().map(|variable| variable.name()).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn the_cache_is_where_xdg_says() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("XDG_CACHE_HOME", "/cache"), ("HOME", "/home/me")], "/cache"),
        (&[("XDG_CACHE_HOME", "cache"), ("HOME", "/home/me")], "/home/me/.cache"),
        (&[("XDG_CACHE_HOME", ""), ("HOME", "/home/me")], "/home/me/.cache"),
        (&[("HOME", "/home/me")], "/home/me/.cache"),
    ];
    for (variables, expected) in cases {
        assert_eq!(snapshot(variables).cache_home(), Some(PathBuf::from(expected)), "{variables:?}");
    }
    // Without `HOME`, the system's user database is asked; it may have no entry.
    assert!(snapshot(&[("HOME", "")]).cache_home().is_none_or(|path| path.ends_with(".cache")));
}

/// docs/environment.md has a row for each variable, with its default if there is one.
#[test]
fn the_document_has_them_all() {
    let document = include_str!("../../../docs/environment.md");
    let row = |name: &str| document.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
    for variable in ALL {
        assert!(row(variable.name()).is_some(), "docs/environment.md does not list {}", variable.name());
    }
    for variable in [&CACHE_MAX_BYTES, &CACHE_MEMORY_BYTES, &MAX_MODULE_BYTES] {
        let row = row(variable.name).expect("see above");
        assert!(row.contains(&format!("{} (", variable.default)), "{row}");
    }
    let listed = document.lines().filter(|line| line.starts_with("| `EXTISM_")).count();
    assert_eq!(listed, ALL.len(), "docs/environment.md lists one that is none");
}
