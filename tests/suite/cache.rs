//! The cache of compiled code on disk: what is used of it and what is not, its places, its size, and its readers. Every
//! test has a cache and a process of its own. Tests learn from the log where code comes from: a module that is compiled
//! under another compiler's name looks the same otherwise.

mod access;
mod kept;
mod places;
mod refused;
mod size;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::child;
use crate::host::Context;

const DIR: &str = "EXTISM_CACHE_DIR";

/// Runs `test` again, with its cache at `path`.
fn in_child(test: &str, case: &str, path: &Path) {
    child::run(&format!("cache::{test}"), case, &[(DIR, path.as_os_str())]);
}

/// The directory of this process's cache.
fn directory() -> PathBuf {
    std::env::var_os(DIR).expect("the parent sets it").into()
}

/// The files of a cache, with their contents.
fn files(cache: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let modules = fs::read_dir(cache.join("modules")).into_iter().flatten();
    for module in modules.map(|entry| entry.expect("readable").path()) {
        for file in fs::read_dir(module).expect("readable").map(|entry| entry.expect("readable").path()) {
            found.insert(file.clone(), fs::read(file).expect("readable"));
        }
    }
    found
}

/// A plugin that answers `number`, so that no two are alike.
fn number(number: u32) -> String {
    format!("(module (func (export \"run\") (result i32) (i32.const {number})))")
}

fn run(module: impl AsRef<[u8]>) -> i32 {
    Context::new().plugin(module).call_only("run", b"")
}

/// Changes an artifact's header, and seals the artifact again.
fn reseal(file: &Path, change: impl FnOnce(&mut Value)) {
    let sealed = fs::read(file).expect("readable");
    let length = u32::from_le_bytes(sealed[8..12].try_into().expect("four bytes")) as usize;
    let mut header = serde_json::from_slice(&sealed[12..12 + length]).expect("JSON");
    change(&mut header);
    let mut text = serde_json::to_vec(&header).expect("JSON");
    text.resize((12 + text.len()).next_multiple_of(64) - 12, b' ');
    let mut changed = sealed[..8].to_vec();
    changed.extend((text.len() as u32).to_le_bytes());
    changed.extend(text);
    changed.extend(&sealed[12 + length..sealed.len() - 32]);
    changed.extend(blake3::hash(&changed).as_bytes());
    fs::write(file, changed).expect("writable");
}
