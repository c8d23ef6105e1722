//! The manifest of a plugin: the union of the fields of every Extism version, read from TOML or JSON, or made up for a
//! bare module. This code opens no file and contacts no address.
//!
//! Start with [`parse`]; `fields.rs` has the document's shape, `names.rs` the rule that selects the main module.

mod fields;
mod keys;
mod lenient;
mod names;
mod parse;
mod room;

use log::Level;

use crate::log as sink;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::error::{Excerpt, Message};
pub(crate) use parse::{config_changes, parse};
use room::NoRoom;
#[cfg(feature = "http")]
pub(crate) use room::for_json as room_for;

/// A checked manifest. A bare module is borrowed from the caller's buffer, which lives for `'a`.
#[derive(Debug)]
pub(crate) struct Manifest<'a> {
    /// The modules in manifest order. Names are unique, and exactly one is [`MAIN`].
    pub(crate) modules: Vec<ModuleEntry<'a>>,
    /// Limits of memory and of related amounts.
    pub(crate) memory: MemoryLimits,
    /// The configuration that the plugin reads.
    pub(crate) config: BTreeMap<String, String>,
    /// Host directory (`ro:` in front: read-only) to guest path.
    pub(crate) allowed_paths: BTreeMap<String, String>,
    /// The name of the compiler to use.
    pub(crate) compiler: Option<String>,
    /// The number of instructions that a call may execute, in all modules together.
    pub(crate) fuel: Option<u64>,
    /// The treatment of an instance after a trap or an exit.
    pub(crate) after_trap: AfterTrap,
    /// The timeout of making the plugin, and of each call.
    pub(crate) timeout: Option<Duration>,
    /// Patterns of the hosts that the plugin may send requests to.
    pub(crate) allowed_hosts: Vec<String>,
    /// Sentences for the log, one for each thing in the document that has no effect.
    pub(crate) warnings: Vec<String>,
}

impl Manifest<'_> {
    /// Logs which parts of the manifest have no effect.
    pub(crate) fn log_warnings(&self) {
        for warning in &self.warnings {
            sink::record(Level::Warn, sink::TARGET, format_args!("{warning}"));
        }
    }
}

/// The treatment of an instance in which a call has trapped or exited.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterTrap {
    /// The next call gets a new instance. Everything that the call left unfinished is gone: its stack, a lock, a flag.
    #[default]
    Renew,
    /// Later calls use the same instance, as in Extism, but with its stack pointers restored.
    Keep,
}

/// The deadline of work that begins now; `None` without a timeout, or if it is too far in the future to represent.
pub(crate) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// One entry of the manifest's `wasm` array.
#[derive(Debug)]
pub(crate) struct ModuleEntry<'a> {
    /// The name that other modules import it by.
    pub(crate) name: String,
    /// The module's name as a program, WASI's only argument: `name`, or its name before it became the main module.
    pub(crate) program: String,
    /// SHA-256 of the module's bytes in hex, as the manifest gives it.
    pub(crate) hash: Option<String>,
    /// The source of the bytes.
    pub(crate) source: Source<'a>,
}

/// The source of a module's bytes.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// A file. A relative path starts at the process's working directory.
    Path(PathBuf),
    /// The bytes themselves.
    Data(Cow<'a, [u8]>),
    /// An address to download from.
    Url(Remote),
}

/// A module on a server.
#[derive(Debug)]
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "nothing is fetched"))]
pub(crate) struct Remote {
    /// The address as the manifest gives it.
    pub(crate) url: String,
    /// The HTTP method.
    pub(crate) method: String,
    pub(crate) headers: BTreeMap<String, String>,
}

/// The manifest's `memory` object. A page is 64 KiB.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct MemoryLimits {
    /// Limit of the blocks that the plugin allocates, without the input, in pages (Extism 0.1.0's `max`).
    pub(crate) max_block_pages: Option<u32>,
    /// Limit of all memories of the plugin together, in pages.
    pub(crate) max_pages: Option<u32>,
    /// Limit of the plugin's variables together, in bytes; 0 disables them.
    pub(crate) max_var_bytes: Option<u64>,
    /// Limit of the elements of all tables of the plugin together.
    pub(crate) max_table_elements: Option<u32>,
    /// Limit of what one call may log, in bytes.
    pub(crate) max_log_bytes: Option<u64>,
    /// Limit of the answer to one HTTP request, in bytes.
    pub(crate) max_http_response_bytes: Option<u64>,
}

/// The name of the main module, whose functions the host calls.
pub(crate) const MAIN: &str = "main";

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
    NoRoom(#[from] NoRoom),
    #[error("wasm: {modules} modules, above the limit of {max}")]
    TooManyModules { modules: usize, max: usize },
    /// With what is there instead.
    #[error("wasm[{index}]: one of `path`, `data` or `url` is needed{}", after("; ", .instead))]
    NoSource { index: usize, instead: Option<String> },
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
