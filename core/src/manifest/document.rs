//! Reads a document, which is in TOML or JSON.

use std::fmt::{self, Display};

use serde::de::Deserializer;
use serde_path_to_error::{Segment, Track};

use super::error::Error;
use super::fields::Document;
use super::keys::Unknown;
use super::{lenient, memory};
use crate::error::{Excerpt, Message};
use crate::module::kind;

/// Tries TOML first, as Extism always has: any TOML document is a TOML manifest, even the empty text. If both formats
/// fail, reports the error of the format that the author seems to have meant.
pub(super) fn read(text: &str, unknown: &mut Unknown) -> Result<Document, Error> {
    // TOML cannot begin like JSON, and parsing it for nothing would be slow: modules of megabytes may be inside.
    if !is_json(text) {
        memory::for_toml(text.as_bytes())?;
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
    memory::for_json(text.as_bytes())?;
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
pub(super) fn with_key_path<'de, D, T>(
    from: D,
    read: impl FnOnce(serde_path_to_error::Deserializer<'_, '_, D>) -> Result<T, D::Error>,
) -> Result<T, Message>
where
    D: Deserializer<'de, Error: Display>,
{
    let mut track = Track::new();
    let result = read(serde_path_to_error::Deserializer::new(from, &mut track));
    result.map_err(|error| match Excerpt::of(KeyPath(&track.path())) {
        place if place.as_str().is_empty() => Message::of(error),
        place => Message::of(error).at(&place),
    })
}

/// A path as `wasm[0].name`, without the steps that are not known; empty for the whole document.
struct KeyPath<'a>(&'a serde_path_to_error::Path);

impl Display for KeyPath<'_> {
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
