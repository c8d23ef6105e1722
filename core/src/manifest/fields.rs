//! The shape of a manifest document: every key that any Extism version has known, under all of its names.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::checked::MAX_MODULES;
use super::lenient::{StringMap, object, objects, scalar, string_map, strings};

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
    pub(super) data: Option<Base64>,
    pub(super) url: Option<String>,
    #[serde(alias = "header", deserialize_with = "string_map")]
    pub(super) headers: StringMap,
    pub(super) method: Option<String>,
    pub(super) name: Option<String>,
    pub(super) hash: Option<String>,
}

/// Bytes, written as standard base64 with padding.
#[derive(Debug)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64Visitor;

        impl<'de> Visitor<'de> for Base64Visitor {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string of base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Base64, E> {
                let (mut bytes, size) = (Vec::new(), base64::decoded_len_estimate(text.len()));
                bytes
                    .try_reserve_exact(size)
                    .map_err(|_| E::custom(format_args!("the host has no room for {size} bytes")))?;
                let decoded = STANDARD.decode_vec(text, &mut bytes);
                decoded.map(|()| Base64(bytes)).map_err(|error| E::custom(format_args!("invalid base64: {error}")))
            }

            // In Extism 1.x, `{"ptr", "len"}` refers to memory of this process. No document may do that.
            fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Base64, A::Error> {
                Err(A::Error::custom("a pointer into this process is refused, give the bytes as base64"))
            }
        }

        deserializer.deserialize_any(Base64Visitor)
    }
}

impl WasmEntry {
    /// The keys of sources that are ignored, as an earlier one is present.
    pub(super) fn ignored_sources(&self) -> impl Iterator<Item = &'static str> + use<> {
        let named = [("path", self.path.is_some()), ("data", self.data.is_some()), ("url", self.url.is_some())];
        named.into_iter().filter(|(_, there)| *there).skip(1).map(|(key, _)| key)
    }
}
