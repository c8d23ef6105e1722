//! Plugins as users give them: a module or a manifest in a file.

use std::path::Path;

use extism::tool;
use serde_json::{Map, Value, json};

use crate::{Failure, text};

/// The error for a file that cannot be a plugin.
const NEITHER: &str = "neither a module nor a manifest";

/// The contents of a file, read as the library reads modules.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let contents = tool::read(path)?;
    // No text begins with a NUL byte, and a module only with its magic number.
    let is_text = !contents.starts_with(b"\0");
    if is_text || is_module(&contents) { Ok(contents) } else { Err(wrong(path, NEITHER)) }
}

/// The failure for a wrong file.
pub(crate) fn wrong(path: &Path, what: impl std::fmt::Display) -> Failure {
    format!("`{}`: {what}", text::path(path)).into()
}

/// True for a module, in binary or text; otherwise the file must be a manifest.
pub(crate) fn is_module(contents: &[u8]) -> bool {
    let text = contents.trim_ascii_start();
    contents.starts_with(b"\0asm") || text.starts_with(b"(") || text.starts_with(b";;")
}

/// The manifest at `path`, or a new one around the module there.
pub(crate) fn manifest(path: &Path) -> Result<Map<String, Value>, Failure> {
    let contents = read(path)?;
    if is_module(&contents) {
        let path = path.to_str().ok_or_else(|| wrong(path, "the name is not UTF-8"))?;
        let manifest = json!({"wasm": [{"path": path}]});
        return Ok(manifest.as_object().cloned().unwrap_or_default());
    }
    let text = String::from_utf8(contents).map_err(|_| wrong(path, NEITHER))?;
    let value = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| wrong(path, tool::excerpt(error)))?
    } else {
        toml::from_str::<Value>(&text).map_err(|error| wrong(path, not_toml(&text, &error)))?
    };
    value.as_object().cloned().ok_or_else(|| wrong(path, NEITHER))
}

/// The error of a TOML manifest on one line. The error's own text quotes the manifest's lines, however long.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    format!("line {line}: {}", tool::excerpt(error.message()))
}
