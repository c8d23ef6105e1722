//! Distinguishes binary modules, WAT text and manifests by their first bytes, and parses manifests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::checked::{AfterTrap, MAIN, MAX_MODULES, Manifest, MemoryLimits, ModuleEntry, ModuleSource, Remote};
use super::document::{read, with_key_path};
use super::error::Error;
use super::fields::{Document, WasmEntry};
use super::keys::{Unknown, UnknownKey};
use super::{lenient, memory, names};
use crate::error::{Excerpt, Message};
use crate::module::kind;

/// Parses a plugin as a C caller gives it: a WebAssembly binary, WAT text, or a manifest in TOML or JSON. Texts may
/// begin with a byte order mark.
///
/// # Errors
/// The bytes are none of these, or the manifest has no module, an invalid value, or (if strict) an unknown key.
pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest<'_>, Error> {
    if kind::is_binary(bytes) || kind::is_wat(bytes) {
        return Ok(bare(bytes));
    }
    let text = kind::without_mark(bytes);
    let text =
        str::from_utf8(text).map_err(|error| Error::NotText { kind: kind::of(bytes), at: error.valid_up_to() })?;
    if text.trim().is_empty() {
        let kind = kind::of(bytes);
        let given = format!("neither a WebAssembly module, nor WAT text, nor a manifest: it is {kind}");
        return Err(Error::NoModules(Some(given)));
    }
    let mut unknown = Unknown::default();
    let document = read(text, &mut unknown)?;
    let doubled = doubled_keys(&document);
    if document.strict == Some(true) {
        if let Some(key) = unknown.first() {
            return Err(Error::UnknownKey(key.to_string()));
        }
        if let Some(key) = doubled.into_iter().next() {
            return Err(Error::DoubledKey(key));
        }
        return check(document, &unknown, Vec::new());
    }
    let doubled =
        doubled.into_iter().map(|key| format!("manifest: `{key}` is there more than once, the last one counts"));
    check(document, &unknown, doubled.chain(unknown.warnings()).collect())
}

/// Reads what is to change in a configuration: a JSON object of strings and nulls, or what a manifest may have in its
/// place.
pub(crate) fn config_changes(json: &[u8]) -> Result<BTreeMap<String, Option<String>>, Error> {
    memory::for_json(json)?;
    let mut json = serde_json::Deserializer::from_slice(kind::without_mark(json));
    let changes = with_key_path(&mut json, |from| lenient::string_changes(from)).map_err(Error::Json)?;
    json.end().map_err(|error| Error::Json(Message::of(error)))?;
    Ok(changes.map)
}

/// The manifest of a bare module: the defaults.
fn bare(module: &[u8]) -> Manifest<'_> {
    let [name, program] = [MAIN; 2].map(str::to_owned);
    let entry = ModuleEntry { name, program, hash: None, source: ModuleSource::Data(Cow::Borrowed(module)) };
    Manifest { modules: vec![entry], ..Manifest::default() }
}

/// The keys that are there more than once in the document's maps of strings, one of each map. The parsers
/// themselves refuse doubled keys of the document.
fn doubled_keys(document: &Document) -> Vec<String> {
    let Document { config, allowed_paths, wasm: (entries, _), .. } = document;
    let maps = [("config", config), ("allowed_paths", allowed_paths)];
    let maps = maps.into_iter().filter_map(|(map, strings)| Some(format!("{map}.{}", strings.doubled.as_ref()?)));
    let headers = entries.iter().enumerate();
    let headers =
        headers.filter_map(|(index, entry)| Some(format!("wasm[{index}].headers.{}", entry.headers.doubled.as_ref()?)));
    maps.chain(headers).collect()
}

/// From what is written to what it means.
fn check(document: Document, unknown: &Unknown, mut warnings: Vec<String>) -> Result<Manifest<'static>, Error> {
    let (entries, count) = document.wasm;
    if count == 0 {
        return Err(Error::NoModules(unknown.for_wasm().map(UnknownKey::to_string)));
    }
    if count > MAX_MODULES {
        return Err(Error::TooManyModules { modules: count, max: MAX_MODULES });
    }
    let mut modules = Vec::with_capacity(count);
    for (index, entry) in entries.into_iter().enumerate() {
        for key in entry.ignored_sources() {
            warnings.push(format!("manifest: `wasm[{index}].{key}` ignored, the module has another source"));
        }
        modules.push(module_entry(index, entry, unknown)?);
    }
    names::settle(&mut modules)?;
    if cfg!(not(feature = "http")) && !document.allowed_hosts.is_empty() {
        warnings.push("manifest: `allowed_hosts` has no effect, http is not built in".to_owned());
    }
    let memory = document.memory;
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
        config: document.config.map,
        allowed_paths: document.allowed_paths.map,
        compiler: document.compiler,
        fuel: document.fuel,
        after_trap: after_trap(document.after_trap.as_deref())?,
        timeout: document.timeout_ms.map(Duration::from_millis),
        allowed_hosts: document.allowed_hosts,
        warnings,
    })
}

fn after_trap(written: Option<&str>) -> Result<AfterTrap, Error> {
    match written {
        None | Some("renew") => Ok(AfterTrap::Renew),
        Some("keep") => Ok(AfterTrap::Keep),
        Some(other) => Err(Error::AfterTrap(Excerpt::of(other))),
    }
}

fn module_entry(index: usize, entry: WasmEntry, unknown: &Unknown) -> Result<ModuleEntry<'static>, Error> {
    let source = match (entry.path, entry.data, entry.url) {
        (Some(path), _, _) if !names::has_file_name(&path) => return Err(Error::NoFileName(index, Excerpt::of(path))),
        (Some(path), _, _) => ModuleSource::Path(PathBuf::from(path)),
        (None, Some(data), _) => ModuleSource::Data(Cow::Owned(data.0)),
        (None, None, Some(url)) => {
            let method = entry.method.unwrap_or_else(|| "GET".to_owned());
            ModuleSource::Url(Remote { url, method, headers: entry.headers.map })
        }
        (None, None, None) => {
            return Err(Error::NoSource { index, instead: unknown.in_entry(index).map(UnknownKey::to_string) });
        }
    };
    let name = entry.name.unwrap_or_else(|| names::default_name(&source));
    Ok(ModuleEntry { program: name.clone(), name, hash: entry.hash, source })
}
