//! What users give as a plugin: a module or a manifest in a file.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The contents of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// True for a module in binary or text, which are no manifests.
pub(crate) fn is_module(contents: &[u8]) -> bool {
    let text = contents.trim_ascii_start();
    contents.starts_with(b"\0asm") || text.starts_with(b"(") || text.starts_with(b";;")
}

/// The manifest at `path`, or one around the module there.
pub(crate) fn manifest(path: &Path) -> Result<Map<String, Value>, String> {
    let contents = read(path)?;
    if is_module(&contents) {
        let path = path.to_str().ok_or_else(|| format!("`{}`: the name is not UTF-8", path.display()))?;
        let manifest = json!({"wasm": [{"path": path}]});
        return Ok(manifest.as_object().cloned().unwrap_or_default());
    }
    let wrong = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
    let text = String::from_utf8(contents).map_err(|_| wrong(&"neither a module nor a manifest"))?;
    let value = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| wrong(&error))?
    } else {
        toml::from_str::<Value>(&text).map_err(|error| wrong(&error))?
    };
    value.as_object().cloned().ok_or_else(|| wrong(&"neither a module nor a manifest"))
}
