//! The workloads.

use std::path::PathBuf;

use crate::unit::Unit;

/// The quantity that the driver measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Making and freeing a plugin, without any cache.
    Compile,
    /// Making and freeing plugins in one process, repeatedly, with all caches at their defaults.
    New,
    /// A call.
    Call,
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
    /// Calls have a timeout of a minute.
    pub(crate) timeout: bool,
    /// The guest interface of the plugin, if the workload requires one.
    pub(crate) guests: Option<&'static str>,
}

impl Workload {
    /// The argument of the driver that names its plugin for a guest interface.
    pub(crate) fn plugin_for(&self, guests: &str) -> Result<String, String> {
        let timeout = if self.timeout { "timeout:" } else { "" };
        Ok(format!("{timeout}{}", self.plugin.path(guests)?))
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

const fn row(
    name: &'static str,
    mode: Mode,
    unit: Unit,
    plugin: Plugin,
    function: &'static str,
    input: &'static str,
) -> Workload {
    Workload { name, mode, unit, plugin, function, input, timeout: false, guests: None }
}

/// A call that ends long before its timeout.
const fn in_time(name: &'static str, plugin: Plugin, function: &'static str) -> Workload {
    Workload { timeout: true, ..row(name, Mode::Call, Unit::Time, plugin, function, "") }
}

const VOWELS: Plugin = Plugin::Fixture("count_vowels");
const ECHO: Plugin = Plugin::Fixture("echo");
const KERNELS: Plugin = Plugin::Fixture("kernels");
const SQLITE: Plugin = Plugin::Big("sqlite");
const QUICKJS: Plugin = Plugin::Big("quickjs");

const SQL: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                   SELECT sum(i), count(*), max(i * i % 997) FROM n";
const JS: &str = "(() => { let s = 0; for (let i = 0; i < 300000; i++) s = (s * 31 + i) % 65521; return s; })()";

const VOWELS_OF_16_MIB: Workload =
    row("count_vowels of 16 MiB", Mode::Call, Unit::Throughput(1 << 24), VOWELS, "count_vowels", "@16777216");

pub(crate) const WORKLOADS: &[Workload] = &[
    row("compile count_vowels", Mode::Compile, Unit::Time, VOWELS, "count_vowels", "text"),
    row("compile official count_vowels", Mode::Compile, Unit::Time, Plugin::Official, "count_vowels", "text"),
    row("compile QuickJS", Mode::Compile, Unit::Time, QUICKJS, "eval", "1"),
    row("compile SQLite", Mode::Compile, Unit::Time, SQLITE, "query", "SELECT 1"),
    row("code on disk, QuickJS", Mode::Size, Unit::Bytes, QUICKJS, "eval", "1"),
    row("code on disk, SQLite", Mode::Size, Unit::Bytes, SQLITE, "query", "SELECT 1"),
    row("new + free, empty module", Mode::New, Unit::Time, Plugin::Empty, "", ""),
    row("new + free, official count_vowels", Mode::New, Unit::Time, Plugin::Official, "count_vowels", "text"),
    row("new + free, SQLite", Mode::New, Unit::Time, SQLITE, "query", "SELECT 1"),
    row("process start, official count_vowels", Mode::Start, Unit::Time, Plugin::Official, "count_vowels", "text"),
    row("call, empty", Mode::Call, Unit::Time, ECHO, "empty", ""),
    row("call, echo of 64 B", Mode::Call, Unit::Time, ECHO, "echo", "@64"),
    row("echo of 1 MiB", Mode::Call, Unit::Throughput(1 << 20), ECHO, "echo", "@1048576"),
    row("echo of 16 MiB", Mode::Call, Unit::Throughput(1 << 24), ECHO, "echo", "@16777216"),
    row("count_vowels of 1 MiB", Mode::Call, Unit::Throughput(1 << 20), VOWELS, "count_vowels", "@1048576"),
    VOWELS_OF_16_MIB,
    Workload { name: "count_vowels of 16 MiB, 0.x plugin", guests: Some("v0"), ..VOWELS_OF_16_MIB },
    row("empty calls on 2 threads", Mode::Threads, Unit::Rate, ECHO, "empty", ""),
    row("2 threads against 1", Mode::Scaling, Unit::Factor, ECHO, "empty", ""),
    row("SHA-256 of 16 MiB", Mode::Call, Unit::Time, KERNELS, "sha256", ""),
    in_time("SHA-256 of 16 MiB, with a timeout", KERNELS, "sha256"),
    row("matrix products", Mode::Call, Unit::Time, KERNELS, "matmul", ""),
    in_time("matrix products, with a timeout", KERNELS, "matmul"),
    row("SQLite query", Mode::Call, Unit::Time, SQLITE, "query", SQL),
    row("QuickJS program", Mode::Call, Unit::Time, QUICKJS, "eval", JS),
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
