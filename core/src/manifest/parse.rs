//! Distinguishes binary modules, WAT text and manifests by their first bytes, and parses manifests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Deserializer;
use serde_path_to_error::{Segment, Track};

use super::fields::{Document, Entry};
use super::keys::{Unknown, UnknownKey};
use super::{AfterTrap, Error, MAIN, Manifest, MemoryLimits, ModuleEntry, Remote, Source, lenient, names, room};

use crate::error::{Excerpt, Message};
use crate::module::kind;

/// The most modules of a manifest.
pub(super) const MAX_MODULES: usize = 256;

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
    let mut warnings: Vec<_> = doubled.collect();
    warnings.extend(unknown.warnings());
    check(document, &unknown, warnings)
}

/// Reads what is to change in a configuration: a JSON object of strings and nulls, or what a manifest may have in its
/// place.
///
/// # Errors
/// The text is anything else.
pub(crate) fn config_changes(json: &[u8]) -> Result<BTreeMap<String, Option<String>>, Error> {
    room::for_json(json)?;
    let mut json = serde_json::Deserializer::from_slice(kind::without_mark(json));
    let changes = with_key_path(&mut json, |from| lenient::string_changes(from)).map_err(Error::Json)?;
    json.end().map_err(|error| Error::Json(Message::of(error)))?;
    Ok(changes.map)
}

/// The manifest of a bare module: the defaults.
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
        after_trap: AfterTrap::default(),
        timeout: None,
        allowed_hosts: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Tries TOML first, as Extism always has: any TOML document is a TOML manifest, even the empty text. If both formats
/// fail, reports the error of the format that the author seems to have meant.
fn read(text: &str, unknown: &mut Unknown) -> Result<Document, Error> {
    // TOML cannot begin like JSON, and parsing it for nothing would be slow: modules of megabytes may be inside.
    if !is_json(text) {
        room::for_toml(text.as_bytes())?;
        let toml_error = match toml::Deserializer::parse(text) {
            Ok(toml) => match document(toml, unknown) {
                Ok(document) => return Ok(document),
                Err(error) => error,
            },
            Err(error) => Message::of(error),
        };
        unknown.clear();
        if let Some(error) = mistaken(text) {
            return Err(error);
        }
        if looks_like_toml(text) {
            return Err(Error::Toml(toml_error));
        }
    }
    room::for_json(text.as_bytes())?;
    let failed = |json| match is_json(text) {
        true => Error::Json(json),
        false => Error::NoDocument { json, kind: kind::of(text.as_bytes()) },
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let document = document(&mut json, unknown).map_err(failed)?;
    json.end().map_err(|error| failed(Message::of(error)))?;
    Ok(document)
}

/// True for a JSON object or list. No TOML begins like these: in TOML, a name or another `[` follows `[`.
fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    let is_list = || text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['{', ']']));
    text.starts_with('{') || is_list()
}

fn looks_like_toml(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with('[') || (!line.starts_with('{') && line.contains('=')))
}

/// An error that says what the text is instead of a manifest, if that can be recognised.
fn mistaken(text: &str) -> Option<Error> {
    let trimmed = text.trim();
    if trimmed.starts_with('"') {
        return Some(Error::JsonString);
    }
    // A file name of a usual kind, on one line, and nothing else.
    let is_path = [".wasm", ".wat", ".json", ".toml"].iter().any(|end| trimmed.ends_with(end));
    if is_path && !trimmed.contains(['\n', '\r', '{', '=', '"']) {
        return Some(Error::PathOfAFile(Excerpt::of(trimmed)));
    }
    let kind = kind::of(text.as_bytes());
    kind::is_known(kind).then_some(Error::NoManifest(kind))
}

/// Reads the document; keys that nothing reads are added to `unknown`.
fn document<'de, D>(from: D, unknown: &mut Unknown) -> Result<Document, Message>
where
    D: Deserializer<'de, Error: Display>,
{
    let mut ignored = |path: serde_ignored::Path<'_>| unknown.add(path);
    with_key_path(from, |from| lenient::object(serde_ignored::Deserializer::new(from, &mut ignored)))
}

/// Reads with the key path in front of an error.
fn with_key_path<'de, D, T>(
    from: D,
    read: impl FnOnce(serde_path_to_error::Deserializer<'_, '_, D>) -> Result<T, D::Error>,
) -> Result<T, Message>
where
    D: Deserializer<'de, Error: Display>,
{
    let mut track = Track::new();
    let result = read(serde_path_to_error::Deserializer::new(from, &mut track));
    result.map_err(|error| match Excerpt::of(Place(&track.path())) {
        place if place.as_str().is_empty() => Message::of(error),
        place => Message::of(error).at(&place),
    })
}

/// A path as `wasm[0].name`, without the steps that are not known; empty for the whole document.
struct Place<'a>(&'a serde_path_to_error::Path);

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for segment in self.0 {
            match segment {
                Segment::Unknown => continue,
                Segment::Seq { index } => write!(f, "[{index}]")?,
                Segment::Map { key } | Segment::Enum { variant: key } => write!(f, "{separator}{key}")?,
            }
            separator = ".";
        }
        Ok(())
    }
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

fn module_entry(index: usize, entry: Entry, unknown: &Unknown) -> Result<ModuleEntry<'static>, Error> {
    let source = match (entry.path, entry.data, entry.url) {
        (Some(path), _, _) if !names::has_file_name(&path) => return Err(Error::NoFileName(index, Excerpt::of(path))),
        (Some(path), _, _) => Source::Path(PathBuf::from(path)),
        (None, Some(data), _) => Source::Data(Cow::Owned(data.0)),
        (None, None, Some(url)) => {
            let method = entry.method.unwrap_or_else(|| "GET".to_owned());
            Source::Url(Remote { url, method, headers: entry.headers.map })
        }
        (None, None, None) => {
            return Err(Error::NoSource { index, instead: unknown.in_entry(index).map(UnknownKey::to_string) });
        }
    };
    let name = entry.name.unwrap_or_else(|| names::default_name(&source));
    Ok(ModuleEntry { program: name.clone(), name, hash: entry.hash, source })
}

#[cfg(test)]
mod tests;
