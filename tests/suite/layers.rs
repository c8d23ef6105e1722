//! The rules of the source tree that no compiler checks: floors, engine crates and `unsafe` in their places.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::root;

/// The floors from the top; each may use itself and those after it. Modules in one line do not know each other.
const FLOORS: &[&[&str]] = &[
    &["ffi", "tool"],
    &["context", "first_use"],
    &["plugin"],
    &["engine", "guest", "loader"],
    &["manifest"],
    &["cache_dir", "http"],
    &["log"],
    &["contents", "environment", "panics"],
    &["error", "interrupt", "module_bytes", "outlet", "private_dir", "recent"],
    &["reserve"],
    &["demangle", "digest", "read", "sync", "write_signals"],
    &["fork"],
];

/// Crates and functions of the environment, and the only places that may name them.
const PRIVATE_CRATES: &[(&str, &[&str])] = &[
    ("env::var", &["environment.rs"]),
    ("env::home_dir", &["environment.rs"]),
    ("env::temp_dir", &[]),
    ("getenv", &[]),
    ("wasmer::", &["engine", "guest", "plugin"]),
    ("wasmer_compiler::", &["engine"]),
    ("wasmer_types::", &["engine", "plugin"]),
    ("wasmparser::", &["guest/rewrite", "engine/singlepass.rs", "engine/deadline.rs", "engine/need"]),
    ("wasm_encoder::", &["guest/rewrite"]),
    ("cap_std::", &["guest/wasi"]),
    ("cap_fs_ext::", &["guest/wasi"]),
    ("getrandom::", &["guest/wasi"]),
    ("fern::", &["log.rs"]),
    ("ureq::", &["http.rs", "http/"]),
    ("rustc_demangle::", &["demangle.rs"]),
    ("cpp_demangle::", &["demangle.rs"]),
    ("url::", &["http.rs", "http/"]),
    ("glob::", &["guest/host/hosts.rs"]),
    ("backtrace::", &["engine/trace_lock.rs"]),
    // Threads share only locks of `sync.rs`, which survive a fork; the locks of this crate do not.
    ("parking_lot::", &["engine/common.rs", "engine/tunables.rs", "guest/mod.rs"]),
];

/// The only files that may contain `unsafe`.
const UNSAFE_PLACES: &[&str] = &[
    "ffi/",
    "plugin/instance.rs",
    "engine/artifact.rs",
    "engine/tunables.rs",
    "engine/moving_memory.rs",
    "engine/plugin_memory.rs",
    "engine/image.rs",
    "engine/common.rs",
    "guest/direct.rs",
    "interrupt/action.rs",
    "interrupt/alternate_stack.rs",
    "interrupt/chain.rs",
    "interrupt/faults.rs",
    "interrupt/signal.rs",
    "interrupt/this_thread.rs",
    "engine/builtins.rs",
    "engine/room.rs",
    "outlet.rs",
    "write_signals",
    "engine/stacks.rs",
    "engine/trace_lock.rs",
    "sync/reentrant.rs",
    "reserve/",
];

fn sources() -> Vec<(PathBuf, String)> {
    fn collect(directory: &Path, sources: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(directory).expect("src can be listed") {
            let path = entry.expect("src can be listed").path();
            if path.is_dir() {
                collect(&path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are text");
                let inside = path.strip_prefix(root().join("src")).expect("below src").to_owned();
                sources.push((inside, text));
            }
        }
    }
    let mut sources = Vec::new();
    collect(&root().join("src"), &mut sources);
    assert!(sources.len() > 20, "only {} source files were found", sources.len());
    sources
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn module_of(path: &Path) -> String {
    let first = path.components().next().expect("not empty").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules of the crate that a line names: `crate::engine::…` and `use crate::{engine, guest}`.
fn modules_named(line: &str) -> Vec<&str> {
    let after = line.split("crate::").skip(1).filter(|rest| !rest.starts_with('{'));
    after.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()).collect()
}

#[test]
fn each_floor_uses_only_those_below() {
    let mut checked = 0;
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let own = floor_of(&module).unwrap_or_else(|| panic!("{} stands on no floor", path.display()));
        for line in code_lines(&text) {
            assert!(
                !line.contains("crate::{") && !line.contains("crate::*"),
                "{}: name the floor: {line}",
                path.display()
            );
            for used in modules_named(line) {
                let floor = floor_of(used).unwrap_or_else(|| panic!("{}: `{used}` is no floor", path.display()));
                assert!(used == module || floor > own, "{}: {module} uses {used}: {line}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "only {checked} uses were found");
}

#[test]
fn each_engine_crate_stands_in_its_place() {
    for (path, text) in sources() {
        for &(name, places) in PRIVATE_CRATES {
            let allowed = places.iter().any(|place| path.starts_with(place));
            let used = code_lines(&text).find(|line| {
                line.match_indices(name).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            assert!(allowed || used.is_none(), "{} names {name} in {used:?}", path.display());
        }
    }
}

#[test]
fn unsafe_stands_only_where_the_house_says() {
    for (path, text) in sources() {
        let expected = UNSAFE_PLACES.iter().any(|place| path.to_string_lossy().starts_with(place));
        let found = code_lines(&text).any(|line| line.contains("unsafe ") || line.contains("unsafe{"));
        assert!(expected || !found, "{} has unsafe code", path.display());
    }
}

#[test]
fn manifests_are_fuzzed_with_every_key() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("sources are text");
    let (fields, target) = (read("src/manifest/fields.rs"), read("fuzz/fuzz_targets/manifest.rs"));
    let keys = code_lines(&fields).filter_map(|line| line.strip_prefix("pub(super) ")?.split_once(": "));
    let keys: Vec<_> = keys.map(|(key, _)| key).collect();
    assert!(keys.len() > 20, "only {keys:?} were found");
    for key in keys {
        assert!(target.contains(&format!("\"{key}\"")), "fuzz/fuzz_targets/manifest.rs lacks `{key}`");
    }
}
