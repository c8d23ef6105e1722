//! The manifest as the rest of the library uses it: all values are checked, and no source is read yet.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::Level;

use crate::log as sink;

/// The name of the main module, whose functions the host calls.
pub(crate) const MAIN: &str = "main";

pub(super) const MAX_MODULES: usize = 256;

/// A checked manifest. A bare module is borrowed from the caller's buffer, which lives for `'a`.
#[derive(Debug, Default)]
pub(crate) struct Manifest<'a> {
    /// The modules in manifest order. Names are unique, and exactly one is [`MAIN`].
    pub(crate) modules: Vec<ModuleEntry<'a>>,
    pub(crate) memory: MemoryLimits,
    pub(crate) config: BTreeMap<String, String>,
    /// Host directory (`ro:` in front: read-only) to guest path.
    pub(crate) allowed_paths: BTreeMap<String, String>,
    pub(crate) compiler: Option<String>,
    /// The number of instructions that a call may execute, in all modules together. Making the plugin, which runs start
    /// functions, may execute as many. Each begins with the full number. `None`: instructions are not counted. A number
    /// above `i64::MAX` counts as `i64::MAX`.
    pub(crate) fuel: Option<u64>,
    pub(crate) after_trap: AfterTrap,
    /// The timeout of making the plugin, and of each call. Compiling may take longer (`docs/manifest.md`).
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
    pub(crate) source: ModuleSource<'a>,
}

/// The source of a module's bytes.
#[derive(Debug)]
pub(crate) enum ModuleSource<'a> {
    /// A file. A relative path starts at the process's working directory.
    Path(PathBuf),
    /// The bytes themselves.
    Data(Cow<'a, [u8]>),
    /// A place in this process's memory that has the bytes.
    Memory(AddressRange),
    /// An address to download from.
    Url(Remote),
}

/// Bytes in this process's memory, as a manifest gives them: nobody knows yet whether anything is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressRange {
    /// The address of the first byte.
    pub(crate) address: u64,
    /// The number of bytes.
    pub(crate) length: u64,
}

/// A module on a server.
#[derive(Debug)]
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "nothing is fetched"))]
pub(crate) struct Remote {
    /// The address as the manifest gives it.
    pub(crate) url: String,
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
    /// Limit of the plugin's variables together, in bytes; 0 disables them. Of Extism 1.x, always given.
    pub(crate) max_var_bytes: Option<u64>,
    /// Limit of the elements of all tables of the plugin together.
    pub(crate) max_table_elements: Option<u32>,
    /// Limit of what one call may log, in bytes.
    pub(crate) max_log_bytes: Option<u64>,
    /// Limit of the answer to one HTTP request, in bytes.
    pub(crate) max_http_response_bytes: Option<u64>,
}
