//! Errors of parsing a manifest.

use thiserror::Error;

use super::memory::NoMemory;
use crate::error::{Excerpt, Message};

/// Why a document is not a valid manifest.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// With what is there instead.
    #[error("No wasm files specified{}", after("\n", .0))]
    NoModules(Option<String>),
    #[error("{0}")]
    Json(Message),
    #[error("{0}")]
    Toml(Message),
    #[error("neither a WebAssembly module, nor WAT text, nor a manifest: it is {kind}, not UTF-8 from byte {at} on")]
    NotText { kind: &'static str, at: usize },
    #[error("neither a WebAssembly module, nor WAT text, nor a manifest: it is {0}")]
    NoManifest(&'static str),
    /// With what the parser of JSON says of it, which is what Extism has always said.
    #[error("{json}\nneither a WebAssembly module, nor WAT text, nor a manifest in JSON or TOML: it is {kind}")]
    NoDocument { json: Message, kind: &'static str },
    #[error(
        "a manifest is a JSON object, this is a JSON string: it may have been encoded twice, or be a path in quotes"
    )]
    JsonString,
    #[error(
        "`{0}` looks like the path of a file: give what is in the file, or a manifest that names it, {{\"wasm\": [{{\"path\": ...}}]}}"
    )]
    PathOfAFile(Excerpt),
    #[error("{0}, and `strict` is true")]
    UnknownKey(String),
    #[error("`{0}` is there more than once, and `strict` is true")]
    DoubledKey(String),
    #[error("after_trap: `{0}` is neither `renew` nor `keep`")]
    AfterTrap(Excerpt),
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
    #[error("wasm: {modules} modules, above the limit of {max}")]
    TooManyModules { modules: usize, max: usize },
    /// With what is there instead.
    #[error("wasm[{index}]: one of `path`, `data` or `url` is needed{}", after("; ", .instead))]
    NoSource { index: usize, instead: Option<String> },
    #[error("wasm[{0}].data: a pointer into this process is refused, give the bytes as base64")]
    PointerRefused(usize),
    #[error("wasm[{0}].path: `{1}` has no file name")]
    NoFileName(usize, Excerpt),
    #[error("Duplicate module name found in Extism manifest: {0}")]
    DuplicateName(Excerpt),
    #[error("module name `{0}` is reserved for functions of the host")]
    ReservedName(Excerpt),
}

/// The addition to an error's text, if there is one.
fn after(separator: &str, text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!("{separator}{text}"))
}
