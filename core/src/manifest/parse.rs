//! Distinguishes binary modules, WAT text and manifests by their first bytes, and parses manifests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::checked::{
    AddressRange, AfterTrap, MAIN, MAX_MODULES, Manifest, MemoryLimits, ModuleEntry, ModuleSource, Remote,
};
use super::document::{read, with_key_path};
use super::error::Error;
use super::fields::{Data, Document, Memory, Pointer, WasmEntry};
use super::keys::{Unknown, UnknownKey};
use super::{lenient, memory, names};
use crate::abi::Abi;
use crate::error::{Excerpt, Message};
use crate::module::kind;

/// The limit of variables, in bytes, in a manifest of Extism 1.x that gives none.
const MAX_VAR_BYTES_V1: u64 = 1 << 20;

/// Parses a plugin as a C caller gives it: a WebAssembly binary, WAT text, or a manifest in TOML or JSON. Texts may
/// begin with a byte order mark. `abi` decides what the manifest means where the generations of Extism differ.
///
/// # Errors
/// The bytes are none of these, or the manifest has no module, an invalid value, or (if strict) an unknown key.
pub(crate) fn parse(bytes: &[u8], abi: Abi) -> Result<Manifest<'_>, Error> {
    if kind::is_binary(bytes) || kind::is_wat(bytes) {
        return Ok(bare(bytes, abi));
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
        return check(document, abi, &unknown, Vec::new());
    }
    let doubled =
        doubled.into_iter().map(|key| format!("manifest: `{key}` is there more than once, the last one counts"));
    check(document, abi, &unknown, doubled.chain(unknown.warnings()).collect())
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
fn bare(module: &[u8], abi: Abi) -> Manifest<'_> {
    let [name, program] = [MAIN; 2].map(str::to_owned);
    let entry = ModuleEntry { name, program, hash: None, source: ModuleSource::Data(Cow::Borrowed(module)) };
    Manifest { modules: vec![entry], memory: limits(&Memory::default(), abi), ..Manifest::default() }
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
fn check(
    document: Document,
    abi: Abi,
    unknown: &Unknown,
    mut warnings: Vec<String>,
) -> Result<Manifest<'static>, Error> {
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
        modules.push(module_entry(index, entry, abi, unknown)?);
    }
    names::settle(&mut modules, abi)?;
    if cfg!(not(feature = "http")) && !document.allowed_hosts.is_empty() {
        warnings.push("manifest: `allowed_hosts` has no effect, http is not built in".to_owned());
    }
    Ok(Manifest {
        modules,
        memory: limits(&document.memory, abi),
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

fn limits(memory: &Memory, abi: Abi) -> MemoryLimits {
    let max_var_bytes = match abi {
        Abi::V0 => memory.max_var_bytes,
        Abi::V1 => memory.max_var_bytes.or(Some(MAX_VAR_BYTES_V1)),
    };
    MemoryLimits {
        max_block_pages: memory.max,
        max_pages: memory.max_pages,
        max_var_bytes,
        max_table_elements: memory.max_table_elements,
        max_log_bytes: memory.max_log_bytes,
        max_http_response_bytes: memory.max_http_response_bytes,
    }
}

fn after_trap(written: Option<&str>) -> Result<AfterTrap, Error> {
    match written {
        None | Some("renew") => Ok(AfterTrap::Renew),
        Some("keep") => Ok(AfterTrap::Keep),
        Some(other) => Err(Error::AfterTrap(Excerpt::of(other))),
    }
}

fn module_entry(index: usize, entry: WasmEntry, abi: Abi, unknown: &Unknown) -> Result<ModuleEntry<'static>, Error> {
    if abi == Abi::V0 && matches!(entry.data, Some(Data::Pointer(_))) {
        return Err(Error::PointerRefused(index));
    }
    let source = match (entry.path, entry.data, entry.url) {
        (Some(path), _, _) if !names::has_file_name(&path) => return Err(Error::NoFileName(index, Excerpt::of(path))),
        (Some(path), _, _) => ModuleSource::Path(PathBuf::from(path)),
        (None, Some(Data::Bytes(bytes)), _) => ModuleSource::Data(Cow::Owned(bytes)),
        (None, Some(Data::Pointer(Pointer { ptr, len })), _) => {
            ModuleSource::Memory(AddressRange { address: ptr, length: len })
        }
        (None, None, Some(url)) => {
            let method = entry.method.unwrap_or_else(|| "GET".to_owned());
            ModuleSource::Url(Remote { url, method, headers: entry.headers.map })
        }
        (None, None, None) => {
            return Err(Error::NoSource { index, instead: unknown.in_entry(index).map(UnknownKey::to_string) });
        }
    };
    let program = entry.name.clone().unwrap_or_else(|| names::of_source(&source));
    let name = match abi {
        Abi::V0 => program.clone(),
        Abi::V1 => entry.name.unwrap_or_else(|| MAIN.to_owned()),
    };
    Ok(ModuleEntry { name, program, hash: entry.hash, source })
}
