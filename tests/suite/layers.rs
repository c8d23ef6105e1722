//! The rules of the source tree that no compiler checks: rooms, circles, engine crates and `unsafe` in their places.

mod uses;

use std::fs;

use crate::host::root;
use uses::Crate;

/// The crates of the libraries. Each may use those after it, but for the first two, which are the two C libraries.
const CRATES: [&str; 4] = ["src", "v1/src", "capi/src", "core/src"];

/// The rooms of the core from the top; each may use itself and those after it. Rooms in one line do not know each
/// other.
const ROOMS: &[&[&str]] = &[
    &["phases", "plugin"],
    &["code", "wasi"],
    &["cache_files", "first_use", "input", "rewrite"],
    &["load"],
    &["cache", "host"],
    &["compiler"],
    &["http", "manifest", "sandbox"],
    &["module"],
    &["log", "panics"],
    &["environment", "stop"],
    &["abi", "error", "outlet", "value"],
    &["reserve"],
    &["read", "sync", "write_signals"],
    &["fork"],
];

/// Crates and functions of the environment, and the only places that may name them.
const PRIVATE_NAMES: &[(&str, &[&str])] = &[
    ("env::var", &["core/src/environment"]),
    ("env::home_dir", &["core/src/environment"]),
    ("env::temp_dir", &[]),
    ("getenv", &[]),
    ("wasmer::", &["code", "compiler", "host", "plugin", "rewrite", "sandbox", "value", "wasi"]),
    ("wasmer_compiler::", &["compiler", "sandbox"]),
    ("wasmer_types::", &["compiler", "host/direct_function.rs", "plugin", "sandbox"]),
    ("wasmparser::", &["rewrite", "compiler/singlepass.rs", "compiler/deadline.rs", "compiler/need/"]),
    ("wasm_encoder::", &["rewrite"]),
    ("cap_std::", &["wasi/preview1"]),
    ("cap_fs_ext::", &["wasi/preview1"]),
    ("getrandom::", &["wasi/preview1", "v1/src/id.rs"]),
    ("fern::", &["log/"]),
    ("ureq::", &["http"]),
    ("rustc_demangle::", &["module/demangle.rs"]),
    ("cpp_demangle::", &["module/demangle.rs"]),
    ("url::", &["http"]),
    ("glob::", &["host/network/hosts.rs"]),
    ("backtrace::", &["sandbox/trace_lock.rs"]),
    // Threads share only locks of `sync`, which survive a fork; the locks of this crate do not.
    ("parking_lot::", &["sandbox", "host"]),
];

/// The only files that may contain `unsafe`.
const UNSAFE_PLACES: &[&str] = &[
    "src/ffi/",
    "v1/src/ffi/",
    "capi/src/arg.rs",
    "capi/src/callback.rs",
    "capi/src/ffi/",
    "capi/src/fork.rs",
    "capi/src/thread_end.rs",
    "core/src/compiler/artifact.rs",
    "core/src/host/direct.rs",
    "core/src/host/direct_function.rs",
    "core/src/load/own_memory.rs",
    "core/src/outlet.rs",
    "core/src/plugin/host_function_tests.rs",
    "core/src/plugin/instance.rs",
    "core/src/reserve/",
    "core/src/sandbox/common_memory.rs",
    "core/src/sandbox/host_stack.rs",
    "core/src/sandbox/image.rs",
    "core/src/sandbox/libcalls.rs",
    "core/src/sandbox/moving_memory.rs",
    "core/src/sandbox/plugin_memory.rs",
    "core/src/sandbox/stack_probe.rs",
    "core/src/sandbox/stacks.rs",
    "core/src/sandbox/trace_lock.rs",
    "core/src/sandbox/tunables.rs",
    "core/src/stop/action.rs",
    "core/src/stop/alternate_stack.rs",
    "core/src/stop/chain.rs",
    "core/src/stop/faults.rs",
    "core/src/stop/handler.rs",
    "core/src/stop/signal.rs",
    "core/src/stop/this_thread.rs",
    "core/src/sync/reentrant.rs",
    "core/src/write_signals",
];

fn crates() -> impl Iterator<Item = Crate> {
    CRATES.iter().map(|folder| Crate::read(&root().join(folder)))
}

/// A file's path from the root.
fn shown(path: &std::path::Path) -> String {
    path.strip_prefix(root()).expect("below the root").display().to_string()
}

/// Whether a path is in one of `places`, which may leave out the folder of the core.
fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place) || path.starts_with(&format!("core/src/{place}")))
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is there, and text")
}

fn floor_of(room: &str) -> Option<usize> {
    ROOMS.iter().position(|floor| floor.contains(&room))
}

#[test]
fn each_room_uses_only_those_below() {
    let core = Crate::read(&root().join("core/src"));
    let mut checked = 0;
    for (number, file) in core.files.iter().enumerate() {
        let Some(room) = core.room(number) else { continue };
        let own = floor_of(room).unwrap_or_else(|| panic!("{}: ROOMS lacks `{room}`", shown(&file.path)));
        for other in core.uses(number) {
            let Some(used) = core.room(other) else { continue };
            let below = floor_of(used).is_some_and(|floor| floor > own);
            assert!(used == room || below, "{} uses {}", shown(&file.path), shown(&core.files[other].path));
            checked += 1;
        }
    }
    assert!(checked > 300, "only {checked} uses were found");
}

#[test]
fn architecture_has_each_room_on_its_floor() {
    let document = architecture();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | `"));
    let mut told: Vec<(usize, &str)> = rows
        .filter_map(|(floor, rest)| {
            let (room, _) = rest.split_once('`')?;
            Some((floor.parse().ok()?, room.trim_end_matches('/').trim_end_matches(".rs")))
        })
        .collect();
    let numbered = ROOMS.iter().zip(1..);
    let mut rooms: Vec<_> = numbered.flat_map(|(rooms, floor)| rooms.iter().map(move |&room| (floor, room))).collect();
    assert!(told.is_sorted_by_key(|(floor, _)| *floor), "{told:?}");
    told.sort_unstable();
    rooms.sort_unstable();
    assert_eq!(told, rooms);
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    for all in crates() {
        let show = |number: usize| shown(&all.files[number].path);
        let circle = all.circle().into_iter().map(|(user, used)| format!("{} uses {}\n", show(user), show(used)));
        let circle: String = circle.collect();
        assert!(circle.is_empty(), "{circle}");
    }
}

#[test]
fn each_name_stands_in_its_place() {
    for file in crates().flat_map(|all| all.files) {
        let path = shown(&file.path);
        for &(name, places) in PRIVATE_NAMES {
            let used = file.code.lines().find(|line| {
                line.match_indices(name).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            assert!(used.is_none() || is_in(&path, places), "{path} names {name} in {used:?}");
        }
    }
}

#[test]
fn unsafe_code_is_only_in_the_listed_files() {
    for file in crates().flat_map(|all| all.files) {
        let path = shown(&file.path);
        let found = file.code.lines().any(|line| line.contains("unsafe ") || line.contains("unsafe{"));
        assert!(!found || is_in(&path, UNSAFE_PLACES), "{path} has unsafe code");
    }
}

#[test]
fn architecture_names_the_files_with_unsafe_code() {
    let document = architecture();
    let (_, list) = document.split_once("\n3. `unsafe`").expect("it is an invariant");
    let (list, _) = list.split_once("\n4. ").expect("another one follows");
    let mut told: Vec<&str> = list.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs")).collect();
    told.extend(list.split('`').filter(|name| name.ends_with("src/ffi/")));
    for place in UNSAFE_PLACES {
        let place = place.strip_prefix("core/src/").unwrap_or(place);
        let shown = place.rsplit_once('/').map_or(place, |(_, name)| if name.is_empty() { place } else { name });
        let is_told = list.contains(&format!("{shown}`")) || list.contains(&format!("{shown}/`"));
        assert!(is_told, "ARCHITECTURE.md does not say that `{place}` has unsafe code");
    }
    for name in told {
        assert!(
            UNSAFE_PLACES.iter().any(|place| place.ends_with(name)),
            "ARCHITECTURE.md names `{name}`, UNSAFE_PLACES not"
        );
    }
}

#[test]
fn manifests_are_fuzzed_with_every_key() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("sources are text");
    let (fields, target) = (read("core/src/manifest/fields.rs"), read("fuzz/fuzz_targets/manifest.rs"));
    let lines = fields.lines().map(str::trim_start);
    let keys = lines.filter_map(|line| line.strip_prefix("pub(super) ")?.split_once(": "));
    let keys: Vec<_> = keys.map(|(key, _)| key).collect();
    assert!(keys.len() > 20, "only {keys:?} were found");
    for key in keys {
        assert!(target.contains(&format!("\"{key}\"")), "fuzz/fuzz_targets/manifest.rs lacks `{key}`");
    }
}
