//! Tells a module from WAT text from a manifest by the first bytes, and reads the manifest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::Deserializer;

use super::fields::{Document, Entry};
use super::{Error, MAIN, Manifest, MemoryLimits, ModuleEntry, Remote, Source, names};

/// How many modules a manifest may link.
const MAX_MODULES: usize = 256;

/// Reads what a C caller gives as a plugin: a WebAssembly binary, WAT text, or a manifest in TOML or JSON.
///
/// # Errors
/// The text is none of these, or the manifest lacks a module or names a source that cannot be.
pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest<'_>, Error> {
    if is_module(bytes) {
        return Ok(bare(bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Error::NotText(error.valid_up_to()))?;
    let mut warnings = Vec::new();
    let document = read(text, &mut warnings)?;
    check(document, warnings)
}

/// True for a WebAssembly binary and for WAT text.
fn is_module(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    bytes.starts_with(b"\0asm") || text.starts_with(b"(") || text.starts_with(b";;")
}

/// The manifest of a module that came without one: everything as by default.
fn bare(module: &[u8]) -> Manifest<'_> {
    let [name, program] = [MAIN; 2].map(str::to_owned);
    let entry = ModuleEntry { name, program, hash: None, source: Source::Data(Cow::Borrowed(module)) };
    Manifest {
        modules: vec![entry],
        memory: MemoryLimits::default(),
        config: BTreeMap::new(),
        allowed_paths: BTreeMap::new(),
        compiler: None,
        fuel: None,
        timeout: None,
        allowed_hosts: Vec::new(),
        warnings: Vec::new(),
    }
}

/// TOML first, as Extism always did: whatever is TOML is a TOML manifest, so is the empty text. Of two failures, the
/// one is reported that belongs to what the author seems to have meant.
fn read(text: &str, warnings: &mut Vec<String>) -> Result<Document, Error> {
    // No TOML begins like that, and there may be modules of megabytes in it.
    if !text.trim_start().starts_with('{') {
        let toml_error = match toml::Deserializer::parse(text) {
            Ok(toml) => match with_key_path(toml, warnings) {
                Ok(document) => return Ok(document),
                Err(error) => error,
            },
            Err(error) => error.to_string(),
        };
        warnings.clear();
        if looks_like_toml(text) {
            return Err(Error::Toml(toml_error.trim_end().to_owned()));
        }
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let document = with_key_path(&mut json, warnings).map_err(Error::Json)?;
    json.end().map_err(|error| Error::Json(error.to_string()))?;
    Ok(document)
}

fn looks_like_toml(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with('[') || (!line.starts_with('{') && line.contains('=')))
}

/// Deserialises with the key path in front of an error and a warning for every key that nothing reads.
fn with_key_path<'de, D>(deserializer: D, warnings: &mut Vec<String>) -> Result<Document, String>
where
    D: Deserializer<'de, Error: Display>,
{
    let mut unknown = |path: serde_ignored::Path<'_>| {
        warnings.push(format!("manifest: unknown key `{}` ignored", key_path(&path.to_string())));
    };
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
    Document::deserialize(serde_ignored::Deserializer::new(tracked, &mut unknown)).map_err(|error| {
        match track.path().to_string().as_str() {
            "." => error.to_string(),
            path => format!("{path}: {error}"),
        }
    })
}

/// `wasm.0.name` as `wasm[0].name`, without the `?` that stand for optional values.
fn key_path(dotted: &str) -> String {
    let mut path = String::new();
    for segment in dotted.split('.').filter(|segment| *segment != "?") {
        if segment.bytes().all(|byte| byte.is_ascii_digit()) {
            path.extend(["[", segment, "]"]);
        } else {
            path.extend([if path.is_empty() { "" } else { "." }, segment]);
        }
    }
    path
}

/// From what is written to what it means.
fn check(document: Document, mut warnings: Vec<String>) -> Result<Manifest<'static>, Error> {
    if document.wasm.is_empty() {
        return Err(Error::NoModules);
    }
    if document.wasm.len() > MAX_MODULES {
        return Err(Error::TooManyModules { modules: document.wasm.len(), max: MAX_MODULES });
    }
    let mut modules = Vec::with_capacity(document.wasm.len());
    for (index, entry) in document.wasm.into_iter().enumerate() {
        for key in entry.ignored_sources() {
            warnings.push(format!("manifest: `wasm[{index}].{key}` ignored, the module has another source"));
        }
        modules.push(module_entry(index, entry)?);
    }
    names::settle(&mut modules)?;
    let allowed_hosts = document.allowed_hosts.unwrap_or_default();
    if cfg!(not(feature = "http")) && !allowed_hosts.is_empty() {
        warnings.push("manifest: `allowed_hosts` has no effect, http is not built in".to_owned());
    }
    let memory = document.memory.unwrap_or_default();
    Ok(Manifest {
        modules,
        memory: MemoryLimits {
            max_block_pages: memory.max,
            max_pages: memory.max_pages,
            max_var_bytes: memory.max_var_bytes,
            max_table_elements: memory.max_table_elements,
            max_log_bytes: memory.max_log_bytes,
            max_http_response_bytes: memory.max_http_response_bytes,
        },
        config: document.config,
        allowed_paths: document.allowed_paths.unwrap_or_default(),
        compiler: document.compiler,
        fuel: document.fuel,
        timeout: document.timeout_ms.map(Duration::from_millis),
        allowed_hosts,
        warnings,
    })
}

fn module_entry(index: usize, entry: Entry) -> Result<ModuleEntry<'static>, Error> {
    let source = match (entry.path, entry.data, entry.url) {
        (Some(path), _, _) if !names::has_file_name(&path) => return Err(Error::NoFileName(index, path)),
        (Some(path), _, _) => Source::Path(PathBuf::from(path)),
        (None, Some(data), _) => Source::Data(Cow::Owned(data.0)),
        (None, None, Some(url)) => {
            let method = entry.method.unwrap_or_else(|| "GET".to_owned());
            Source::Url(Remote { url, method, headers: entry.headers })
        }
        (None, None, None) => return Err(Error::NoSource(index)),
    };
    let name = entry.name.unwrap_or_else(|| names::default_name(&source));
    Ok(ModuleEntry { program: name.clone(), name, hash: entry.hash, source })
}

#[cfg(test)]
mod tests;
