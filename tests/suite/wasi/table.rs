//! Every function of WASI, of both previews: its answers, and its effects on memory and on the folder.
//!
//! A row consists of calls, as in `calls.rs`, the answer of the last one, and the memory and the folder after it, as in
//! `outcome.rs`. The rows are in the files named after their subject.

mod calls;
mod coverage;
mod deadlines;
mod descriptors;
mod directories;
mod files;
mod functions;
mod kinds;
mod module;
mod names;
mod outcome;
mod paths;
mod pointers;
mod polls;
mod program;
mod special;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use super::files::text;
use super::wasi;
use crate::host::{Context, Plugin, manifest};
use calls::{Call, Reader};
use names::{SEEN, error, error_name};
use outcome::{wrong_folder, wrong_memory};

/// The interface that a module imports. The two differ in a few numbers and layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Preview0,
    Preview1,
}

const BOTH: [Version; 2] = [Version::Preview0, Version::Preview1];

impl Version {
    fn module(self) -> &'static str {
        if self == Self::Preview0 { "wasi_unstable" } else { "wasi_snapshot_preview1" }
    }
}

/// One case.
#[derive(Clone)]
struct Row {
    /// The text that names the row in failures.
    text: String,
    calls: Vec<Call>,
    memory: String,
    folder: String,
}

/// The rows of a table for one version. A row continues after a line that ends with `;`, and on a line that begins with
/// `|`; a row that begins with `@0` or `@1` is for one version only.
fn rows(version: Version, table: &str) -> Vec<Row> {
    let mut rows: Vec<String> = Vec::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match rows.last_mut() {
            Some(row) if line.starts_with('|') || row.ends_with(';') => *row = format!("{row} {line}"),
            _ => rows.push(line.to_owned()),
        }
    }
    let (own, other) = if version == Version::Preview0 { ("@0 ", "@1 ") } else { ("@1 ", "@0 ") };
    let rows = rows.iter().filter(|row| !row.starts_with(other));
    rows.map(|row| Row::new(version, row.strip_prefix(own).unwrap_or(row))).collect()
}

impl Row {
    /// Reads a row: its calls, and the expected answer of the last; memory and folder may be left out.
    fn new(version: Version, row: &str) -> Self {
        let mut columns = row.split('|').map(str::trim);
        let mut column = || columns.next().unwrap_or_default().to_owned();
        let (text, expected, memory, folder) = (column(), column(), column(), column());
        let mut calls = Reader::new(version, &text).calls();
        calls.last_mut().expect("a row has calls").expected = error(&expected);
        Self { text, calls, memory, folder }
    }
}

/// Makes a folder as the rows expect it, whatever it was before.
fn restore(folder: &Path) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let removed =
            if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.expect("writable");
    }
    fs::write(folder.join("a.txt"), "hello").expect("writable");
    fs::create_dir(folder.join("empty")).expect("writable");
    fs::create_dir(folder.join("sub")).expect("writable");
    fs::write(folder.join("sub/b.txt"), "below").expect("writable");
    for (name, target) in [
        ("link", "a.txt"),
        ("to_sub", "sub"),
        ("dangling", "nowhere"),
        ("loop", "loop"),
        ("out", "../outside"),
        ("absolute", "/outside"),
    ] {
        symlink(target, folder.join(name)).expect("writable");
    }
}

/// A plugin that has a folder twice: as `rw` at descriptor 3, and read-only as `ro` at 4.
fn plugin<'a>(context: &'a Context, version: Version, rows: &[Row], folder: &Path) -> Plugin<'a> {
    let module = module::module(version, rows.iter().map(|row| row.calls.as_slice()));
    let folder = text(folder);
    let paths = json!({folder: "/rw", format!("ro:{folder}"): "/ro"});
    let rest = format!("\"allowed_paths\": {paths}, \"config\": {}", json!({"A": "1", "KEY": "value"}));
    wasi(context, manifest(module, &rest))
}

/// Checks the rows that `make` gives for each version, each on an instance of its own.
fn check(make: impl Fn(Version) -> Vec<Row>) {
    let mut wrong = Vec::new();
    for version in BOTH {
        let rows = make(version);
        let folder = tempfile::tempdir().expect("a folder");
        let context = Context::new();
        let plugin = plugin(&context, version, &rows, folder.path());
        for (index, row) in rows.iter().enumerate() {
            restore(folder.path());
            assert_eq!(plugin.call_only("_start", b""), 0);
            let answer = plugin.call(&format!("row{index}"), "");
            let problem = match answer.code {
                0 => row.problem(version, folder.path(), &answer.output),
                _ => Some(answer.error().to_owned()),
            };
            wrong.extend(problem.map(|problem| format!("{version:?}: {}: {problem}", row.text)));
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

impl Row {
    /// The first difference from the expectation, given the plugin's output.
    fn problem(&self, version: Version, folder: &Path, output: &[u8]) -> Option<String> {
        let (memory, results) = output.split_at(SEEN as usize);
        let results = results.chunks_exact(4).map(|result| u32::from_le_bytes(result.try_into().expect("four bytes")));
        for ((call, found), number) in self.calls.iter().zip(results).zip(1..) {
            if found != call.expected {
                let (found, expected) = (error_name(found), error_name(call.expected));
                return Some(format!("call {number}, {}: {found}, not {expected}", call.name));
            }
        }
        wrong_memory(version, &self.memory, folder, memory).or_else(|| wrong_folder(&self.folder, folder))
    }
}
