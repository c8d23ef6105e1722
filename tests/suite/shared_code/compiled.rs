//! Modules compiled once for several plugins, seen in the cache on disk: each compilation leaves its code there.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::BYTES;
use crate::child;
use crate::host::{Context, manifest, sha256};

/// The variable for the directory of compiled code.
const DIR: &str = "EXTISM_CACHE_DIR";

/// Runs the test of this name with a cache of its own; returns its path in the child.
fn with_cache(test: &str, bytes: &str) -> Option<String> {
    if child::case().is_some() {
        return std::env::var(DIR).ok();
    }
    let folder = tempfile::tempdir().expect("a folder");
    child::run(
        &format!("shared_code::compiled::{test}"),
        "",
        &[(DIR, folder.path().as_os_str()), (BYTES, bytes.as_ref())],
    );
    None
}

/// Empties the cache; returns how many modules it had code of.
fn empty(cache: &str) -> usize {
    let modules = Path::new(cache).join("modules");
    let entries: Vec<_> = fs::read_dir(&modules).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
    entries.iter().for_each(|entry| fs::remove_dir_all(entry.path()).expect("it can be removed"));
    entries.len()
}

#[test]
fn what_was_seen_before_is_not_compiled_again() {
    let Some(cache) = with_cache("what_was_seen_before_is_not_compiled_again", "10000000") else { return };
    let context = Context::new();
    let module = b"(module (func (export \"f\") (result i32) (i32.const 7)))".to_vec();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plugin.wasm");
    fs::write(&path, &module).expect("writable");
    let by_path = |rest: serde_json::Value| {
        let mut entry = json!({"path": path});
        entry.as_object_mut().expect("it is one").extend(rest.as_object().expect("it is one").clone());
        json!({"wasm": [entry]}).to_string().into_bytes()
    };
    let hash = sha256(&module);
    let ways = [
        module.clone(),
        manifest(&module, "").into_bytes(),
        by_path(json!({})),
        by_path(json!({"hash": hash})),
        by_path(json!({"name": "another"})),
    ];
    let mut compiled = Vec::new();
    for way in &ways {
        let plugin = context.plugin(way);
        assert_eq!(plugin.call_only("f", b""), 7);
        plugin.free();
        compiled.push(empty(&cache));
    }
    assert_eq!(compiled, [1, 0, 0, 0, 0]);
    // The hash is checked even of known modules.
    let error = context.refusal(by_path(json!({"hash": sha256(b"other")})));
    let expected = format!("Hash mismatch, found {hash} but expected {}: `", sha256(b"other"));
    assert!(error.starts_with(&expected) && error.contains(&path.display().to_string()), "{error}");
    // Other settings, and bytes that differ in one place, are another matter.
    context.plugin(manifest(&module, "\"fuel\": 1000000"));
    assert_eq!(empty(&cache), 1);
    fs::write(&path, String::from_utf8_lossy(&module).replace('7', "8")).expect("writable");
    assert_eq!(context.plugin(by_path(json!({}))).call_only("f", b""), 8);
    assert_eq!(empty(&cache), 1);
}

#[test]
fn with_no_room_nothing_is_kept() {
    let Some(cache) = with_cache("with_no_room_nothing_is_kept", "0") else { return };
    let context = Context::new();
    let executable = || {
        let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
        maps.lines().filter(|line| line.contains(" r-xp ")).count()
    };
    let before = executable();
    for _ in 0..3 {
        let plugin = context.plugin("(module (func (export \"f\") (result i32) (i32.const 7)))");
        assert_eq!(plugin.call_only("f", b""), 7);
        assert!(executable() > before);
        plugin.free();
        assert_eq!((empty(&cache), executable()), (1, before), "code goes with its plugin");
    }
}
