//! The shape of a manifest document: every key that any Extism version has known, under all of its names.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::checked::MAX_MODULES;
use super::lenient::{StringMap, number, object, objects, scalar, string_map, strings};

/// The top level of the document.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    /// The first [`MAX_MODULES`] entries, and how many there are in the document.
    #[serde(deserialize_with = "objects::<_, _, MAX_MODULES>")]
    pub(super) wasm: (Vec<WasmEntry>, usize),
    #[serde(deserialize_with = "object")]
    pub(super) memory: Memory,
    #[serde(deserialize_with = "string_map")]
    pub(super) config: StringMap,
    #[serde(deserialize_with = "strings")]
    pub(super) allowed_hosts: Vec<String>,
    #[serde(deserialize_with = "string_map")]
    pub(super) allowed_paths: StringMap,
    #[serde(deserialize_with = "scalar")]
    pub(super) timeout_ms: Option<u64>,
    pub(super) compiler: Option<String>,
    #[serde(deserialize_with = "scalar")]
    pub(super) fuel: Option<u64>,
    pub(super) after_trap: Option<String>,
    /// If true, unknown keys are errors.
    #[serde(deserialize_with = "scalar")]
    pub(super) strict: Option<bool>,
}

/// The document's `memory`. `max` is Extism 0.1.0's limit of the blocks alone; the later `max_pages` is a limit of the
/// whole plugin. Both apply: they are not two names of one limit.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    #[serde(deserialize_with = "scalar")]
    pub(super) max: Option<u32>,
    #[serde(deserialize_with = "scalar")]
    pub(super) max_pages: Option<u32>,
    #[serde(deserialize_with = "scalar")]
    pub(super) max_http_response_bytes: Option<u64>,
    #[serde(deserialize_with = "scalar")]
    pub(super) max_var_bytes: Option<u64>,
    #[serde(deserialize_with = "scalar")]
    pub(super) max_table_elements: Option<u32>,
    #[serde(deserialize_with = "scalar")]
    pub(super) max_log_bytes: Option<u64>,
}

/// One module. Its source is the first of `path`, `data` and `url` that is present.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WasmEntry {
    pub(super) path: Option<String>,
    pub(super) data: Option<Data>,
    pub(super) url: Option<String>,
    #[serde(alias = "header", deserialize_with = "string_map")]
    pub(super) headers: StringMap,
    pub(super) method: Option<String>,
    pub(super) name: Option<String>,
    pub(super) hash: Option<String>,
}

/// The value of `data`.
#[derive(Debug)]
pub(super) enum Data {
    /// The bytes, which are written as standard base64 with padding.
    Bytes(Vec<u8>),
    /// Where the bytes are. Only Extism 1.x has this form.
    Pointer(Pointer),
}

/// A place in this process's memory.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Pointer {
    #[serde(deserialize_with = "number")]
    pub(super) ptr: u64,
    #[serde(deserialize_with = "number")]
    pub(super) len: u64,
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DataVisitor;

        impl<'de> Visitor<'de> for DataVisitor {
            type Value = Data;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string of base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Data, E> {
                let (mut bytes, size) = (Vec::new(), base64::decoded_len_estimate(text.len()));
                bytes
                    .try_reserve_exact(size)
                    .map_err(|_| E::custom(format_args!("the host has no room for {size} bytes")))?;
                let decoded = STANDARD.decode_vec(text, &mut bytes);
                decoded.map(|()| Data::Bytes(bytes)).map_err(|error| E::custom(format_args!("invalid base64: {error}")))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Data, A::Error> {
                Pointer::deserialize(MapAccessDeserializer::new(map)).map(Data::Pointer)
            }
        }

        deserializer.deserialize_any(DataVisitor)
    }
}

impl WasmEntry {
    /// The keys of sources that are ignored, as an earlier one is present.
    pub(super) fn ignored_sources(&self) -> impl Iterator<Item = &'static str> + use<> {
        let named = [("path", self.path.is_some()), ("data", self.data.is_some()), ("url", self.url.is_some())];
        named.into_iter().filter(|(_, there)| *there).skip(1).map(|(key, _)| key)
    }
}
