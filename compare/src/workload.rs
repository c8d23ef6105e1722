//! The workloads.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::unit::Unit;

/// The C interface through which our library is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Abi {
    /// The interface of Extism 0.1.0.
    #[default]
    #[value(name = "0")]
    #[serde(rename = "0")]
    V0,
    /// The interface of Extism 1.x.
    #[value(name = "1")]
    #[serde(rename = "1")]
    V1,
}

/// The quantity that the driver measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Making and freeing a plugin, without any cache.
    Compile,
    /// Making and freeing plugins in one process, repeatedly, with all caches at their defaults.
    New,
    /// The same, with one call in between.
    Use,
    /// A call.
    Call,
    /// The processor time of a call.
    Processor,
    /// From the start of a process to the first answer, with the code on disk.
    Start,
    /// The resident set of this many plugins.
    Resident(u64),
    /// Calls a second of two threads at once.
    Threads,
    /// Calls a second of two threads, divided by those of one.
    Scaling,
    /// The size of the file with the code.
    Size,
}

/// One row of the comparison.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) unit: Unit,
    pub(crate) plugin: Plugin,
    pub(crate) function: &'static str,
    pub(crate) input: &'static str,
    /// The way that plugins are made and called, as a prefix of the driver's argument; empty for the usual way.
    pub(crate) way: &'static str,
    /// The guest interface of the plugin, if the workload requires one.
    pub(crate) guests: Option<&'static str>,
    /// The only interface through which the workload is measured, if not through each.
    only: Option<Abi>,
    /// Through the interface of Extism 1.x, the most that a time may be, as a part of Extism 1.41.0's.
    bound: Option<f64>,
}

impl Workload {
    /// The argument of the driver that names its plugin for a guest interface.
    pub(crate) fn plugin_for(&self, guests: &str) -> Result<String, String> {
        Ok(format!("{}{}", self.way, self.plugin.path(guests)?))
    }

    /// The bound of the time, in a comparison through this interface.
    pub(crate) fn bound(&self, abi: Abi) -> Option<f64> {
        self.bound.filter(|_| abi == Abi::V1)
    }

    /// True if an engine without Extism can run it.
    pub(crate) fn is_plain(&self) -> bool {
        self.mode == Mode::Call && self.plugin == KERNELS
    }
}

/// A plugin's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugin {
    /// A small one of this repository, for both guest interfaces.
    Fixture(&'static str),
    /// A large one of this repository, on WASI.
    Big(&'static str),
    /// The compiled one of the official PDK: 1.9 MB, most of it debug data.
    Official,
    /// A module with nothing in it.
    Empty,
}

impl Plugin {
    /// Its path for a guest interface, with `wasi:` in front if it needs WASI.
    fn path(self, guests: &str) -> Result<String, String> {
        let path = match self {
            Self::Fixture(name) => PathBuf::from(format!("fixtures/wasm/{name}.{guests}.wasm")),
            Self::Big(name) => PathBuf::from(format!("fixtures/big/{name}.{guests}.wasm")),
            Self::Official => official(if guests == "v0" { "0.3.4" } else { "1.0.0" })?,
            Self::Empty => PathBuf::from("compare/empty.wasm"),
        };
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        let wasi = if matches!(self, Self::Big(_) | Self::Official) { "wasi:" } else { "" };
        Ok(format!("{wasi}{}", path.display()))
    }
}

/// A plugin in cargo's registry, which `make fixtures-pdk` downloads.
fn official(version: &str) -> Result<PathBuf, String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let sources = home.ok_or("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    let registries = std::fs::read_dir(&sources).map_err(|error| format!("{}: {error}", sources.display()))?;
    let paths = registries.flatten().map(|entry| entry.path().join(format!("extism-pdk-{version}/test/code.wasm")));
    paths.into_iter().find(|path| path.exists()).ok_or(format!("no extism-pdk {version} in {}", sources.display()))
}

/// The workloads that are measured through an interface, in the order of the tables.
pub(crate) fn workloads(abi: Abi) -> impl Iterator<Item = &'static Workload> {
    WORKLOADS.iter().filter(move |workload| workload.only.is_none_or(|only| only == abi))
}

const fn row(
    name: &'static str,
    mode: Mode,
    unit: Unit,
    plugin: Plugin,
    function: &'static str,
    input: &'static str,
) -> Workload {
    Workload { name, mode, unit, plugin, function, input, way: "", guests: None, only: None, bound: None }
}

/// A row that says most about the engine, and is not measured again through the interface of Extism 1.x.
const fn engine(row: Workload) -> Workload {
    Workload { only: Some(Abi::V0), ..row }
}

/// A call that ends long before its timeout.
const fn in_time(name: &'static str, plugin: Plugin, function: &'static str) -> Workload {
    Workload { way: "timeout:", ..engine(row(name, Mode::Call, Unit::Time, plugin, function, "")) }
}

/// A row that needs a function that only the interface of Extism 1.x has.
const fn new_in_v1(way: &'static str, bound: Option<f64>, row: Workload) -> Workload {
    Workload { way, only: Some(Abi::V1), bound, ..row }
}

/// Calls of a host function, as many in one call of the plugin as `input` has bytes. That call is so long that other
/// processes would often interrupt it, so its processor time is measured.
const fn host_calls(name: &'static str, way: &'static str, calls: u64, input: &'static str, bound: f64) -> Workload {
    new_in_v1(way, Some(bound), row(name, Mode::Processor, Unit::TimeOfEach(calls), HOST_CALLS, "calls", input))
}

const VOWELS: Plugin = Plugin::Fixture("count_vowels");
const ECHO: Plugin = Plugin::Fixture("echo");
const KERNELS: Plugin = Plugin::Fixture("kernels");
const HOST_CALLS: Plugin = Plugin::Fixture("host_calls");
const SQLITE: Plugin = Plugin::Big("sqlite");
const QUICKJS: Plugin = Plugin::Big("quickjs");

const SQL: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                   SELECT sum(i), count(*), max(i * i % 997) FROM n";
const JS: &str = "(() => { let s = 0; for (let i = 0; i < 300000; i++) s = (s * 31 + i) % 65521; return s; })()";

const EMPTY_CALL: Workload = row("call, empty", Mode::Call, Unit::Time, ECHO, "empty", "");
const VOWELS_OF_16_MIB: Workload =
    row("count_vowels of 16 MiB", Mode::Call, Unit::Throughput(1 << 24), VOWELS, "count_vowels", "@16777216");

const WORKLOADS: &[Workload] = &[
    row("compile count_vowels", Mode::Compile, Unit::Time, VOWELS, "count_vowels", "text"),
    row("compile official count_vowels", Mode::Compile, Unit::Time, Plugin::Official, "count_vowels", "text"),
    engine(row("compile QuickJS", Mode::Compile, Unit::Time, QUICKJS, "eval", "1")),
    engine(row("compile SQLite", Mode::Compile, Unit::Time, SQLITE, "query", "SELECT 1")),
    engine(row("code on disk, QuickJS", Mode::Size, Unit::Bytes, QUICKJS, "eval", "1")),
    engine(row("code on disk, SQLite", Mode::Size, Unit::Bytes, SQLITE, "query", "SELECT 1")),
    row("new + free, empty module", Mode::New, Unit::Time, Plugin::Empty, "", ""),
    row("new + free, official count_vowels", Mode::New, Unit::Time, Plugin::Official, "count_vowels", "text"),
    engine(row("new + free, SQLite", Mode::New, Unit::Time, SQLITE, "query", "SELECT 1")),
    new_in_v1(
        "increment:",
        Some(0.2),
        row("function_new + plugin_new + frees", Mode::New, Unit::Time, HOST_CALLS, "calls", "text"),
    ),
    new_in_v1("compiled:", Some(0.3), row("new_from_compiled + free", Mode::New, Unit::Time, ECHO, "empty", "")),
    new_in_v1("compiled:", None, row("new_from_compiled + call + free", Mode::Use, Unit::Time, ECHO, "empty", "")),
    row("process start, official count_vowels", Mode::Start, Unit::Time, Plugin::Official, "count_vowels", "text"),
    Workload { bound: Some(0.1), ..EMPTY_CALL },
    new_in_v1("context:", Some(0.1), Workload { name: "call, empty, with host context", ..EMPTY_CALL }),
    host_calls("host function call, i64 in and out", "increment:", 100_000, "@100000", 0.8),
    host_calls("host function call, alloc + length + free", "block:", 10_000, "@10000", 0.5),
    row("call, echo of 64 B", Mode::Call, Unit::Time, ECHO, "echo", "@64"),
    row("echo of 1 MiB", Mode::Call, Unit::Throughput(1 << 20), ECHO, "echo", "@1048576"),
    row("echo of 16 MiB", Mode::Call, Unit::Throughput(1 << 24), ECHO, "echo", "@16777216"),
    row("count_vowels of 1 MiB", Mode::Call, Unit::Throughput(1 << 20), VOWELS, "count_vowels", "@1048576"),
    VOWELS_OF_16_MIB,
    engine(Workload { name: "count_vowels of 16 MiB, 0.x plugin", guests: Some("v0"), ..VOWELS_OF_16_MIB }),
    row("empty calls on 2 threads", Mode::Threads, Unit::Rate, ECHO, "empty", ""),
    row("2 threads against 1", Mode::Scaling, Unit::Factor, ECHO, "empty", ""),
    engine(row("SHA-256 of 16 MiB", Mode::Call, Unit::Time, KERNELS, "sha256", "")),
    in_time("SHA-256 of 16 MiB, with a timeout", KERNELS, "sha256"),
    engine(row("matrix products", Mode::Call, Unit::Time, KERNELS, "matmul", "")),
    in_time("matrix products, with a timeout", KERNELS, "matmul"),
    engine(row("SQLite query", Mode::Call, Unit::Time, SQLITE, "query", SQL)),
    engine(row("QuickJS program", Mode::Call, Unit::Time, QUICKJS, "eval", JS)),
    row("100 plugins resident, count_vowels", Mode::Resident(100), Unit::Bytes, VOWELS, "count_vowels", "text"),
    row("100 plugins resident, official", Mode::Resident(100), Unit::Bytes, Plugin::Official, "count_vowels", "text"),
    row(
        "1,000 plugins resident, official",
        Mode::Resident(1000),
        Unit::Bytes,
        Plugin::Official,
        "count_vowels",
        "text",
    ),
];
