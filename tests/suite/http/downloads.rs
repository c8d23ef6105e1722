//! Modules by `url`: verified, kept on disk, fetched once. Every test has a process and a directory of its own.
//!
//! This file has the modules, the server and the cache that the tests share.

mod asked;
mod cached;
mod places;
mod together;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::child;
use crate::host::{Context, sha256};
use crate::server::{Server, answer};

const DIR: &str = "EXTISM_CACHE_DIR";

/// A module that answers 1.
const ONE: &str = "(module (func (export \"run\") (result i32) (i32.const 1)))";

/// A module that answers 2.
const TWO: &str = "(module (func (export \"run\") (result i32) (i32.const 2)))";

/// Runs `body` as the test of this name, in a process with an empty cache and these variables.
pub(super) fn alone(test: &str, variables: &[(&str, &str)], body: impl FnOnce(&Path)) {
    match child::case() {
        Some(_) => body(Path::new(&std::env::var_os(DIR).expect("the parent sets it"))),
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("cache");
            let variables = variables.iter().map(|(name, value)| (*name, OsStr::new(value)));
            let variables: Vec<_> = variables.chain([(DIR, path.as_os_str())]).collect();
            drop(child::run(&format!("http::{test}"), "", &variables));
        }
    }
}

fn with_entry(entry: &Value, keys: &Value) -> String {
    let mut manifest = json!({"wasm": [entry], "timeout_ms": 2000});
    let object = manifest.as_object_mut().expect("an object");
    object.extend(keys.as_object().cloned().unwrap_or_default());
    manifest.to_string()
}

/// The answer of the module of this entry, or the error.
fn load(entry: &Value) -> Result<i32, String> {
    let context = Context::new();
    context.create(with_entry(entry, &json!({})), false).map(|plugin| plugin.call_only("run", b""))
}

fn by_url(url: &str) -> Value {
    json!({"url": url})
}

fn with_hash(url: &str, module: &str) -> Value {
    json!({"url": url, "hash": sha256(module)})
}

fn serving(module: &'static str) -> Server {
    Server::start(move |_| answer("200 OK", &[], module))
}

/// The files of one kind in the download cache, with their contents.
fn kept(cache: &Path, kind: &str) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(cache.join("downloads").join(kind)).into_iter().flatten();
    let contents = |path: PathBuf| {
        (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(path).expect("readable"))
    };
    files.map(|file| contents(file.expect("readable").path())).collect()
}

/// All files of the download cache.
pub(super) fn all_kept(cache: &Path) -> Vec<BTreeMap<String, Vec<u8>>> {
    ["modules", "addresses", "locks"].map(|kind| kept(cache, kind)).to_vec()
}
