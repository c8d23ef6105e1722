//! Finds Extism's own Rust PDK, which comes with compiled plugins.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::host::root;

/// Versions and directories of the PDK that the workspace `fixtures/NAME` locks, if cargo has fetched them.
pub fn locate(name: &str) -> Option<Vec<(String, PathBuf)>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = root().join("fixtures").join(name).join("Cargo.toml");
    let arguments = ["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path"];
    let output = Command::new(cargo).args(arguments).arg(workspace).output().expect("cargo runs");
    if !output.status.success() {
        return None;
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("a list").iter();
    let pdks = packages.filter(|package| package["name"] == "extism-pdk").map(|package| {
        let text = |key: &str| package[key].as_str().expect("a text");
        let directory = Path::new(text("manifest_path")).parent().expect("a file has a directory");
        (text("version").to_owned(), directory.to_owned())
    });
    Some(pdks.collect())
}
