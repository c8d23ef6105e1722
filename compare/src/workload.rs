//! What is run.

use std::path::PathBuf;

/// What the driver measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Making and freeing a plugin, with nothing kept from before.
    Compile,
    /// The same with its code on disk, and as often as wanted in one process.
    New,
    /// A call.
    Call,
    /// From the start of a process to the first answer, with the code on disk.
    Start,
    /// The resident set of 100 plugins.
    Resident,
    /// The file with the code.
    Size,
}

/// How a figure is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds.
    Time,
    /// From nanoseconds, and so many bytes.
    Throughput(u64),
    /// Bytes.
    Bytes,
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
}

/// Where a plugin is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plugin {
    /// A small one of ours, for both guest interfaces.
    Fixture(&'static str),
    /// A large one of ours, on WASI.
    Big(&'static str),
    /// What the official PDK has compiled: 1.9 MB, most of it debug data.
    Official,
}

impl Plugin {
    /// Its path for a guest interface, with `wasi:` in front where it needs that.
    pub(crate) fn path(self, guests: &str) -> Result<String, String> {
        let path = match self {
            Self::Fixture(name) => PathBuf::from(format!("fixtures/wasm/{name}.{guests}.wasm")),
            Self::Big(name) => PathBuf::from(format!("fixtures/big/{name}.{guests}.wasm")),
            Self::Official => official(if guests == "v0" { "0.3.4" } else { "1.0.0" })?,
        };
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        let wasi = if matches!(self, Self::Fixture(_)) { "" } else { "wasi:" };
        Ok(format!("{wasi}{}", path.display()))
    }
}

/// A plugin in cargo's registry, where `make fixtures-pdk` brings it.
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
    Workload { name, mode, unit, plugin, function, input }
}

const VOWELS: Plugin = Plugin::Fixture("count_vowels");
const ECHO: Plugin = Plugin::Fixture("echo");
const KERNELS: Plugin = Plugin::Fixture("kernels");
const SQLITE: Plugin = Plugin::Big("sqlite");
const QUICKJS: Plugin = Plugin::Big("quickjs");

const SQL: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                   SELECT sum(i), count(*), max(i * i % 997) FROM n";
const JS: &str = "(() => { let s = 0; for (let i = 0; i < 300000; i++) s = (s * 31 + i) % 65521; return s; })()";

pub(crate) const WORKLOADS: [Workload; 20] = [
    row("compile count_vowels", Mode::Compile, Unit::Time, VOWELS, "count_vowels", "text"),
    row("compile official count_vowels", Mode::Compile, Unit::Time, Plugin::Official, "count_vowels", "text"),
    row("compile QuickJS", Mode::Compile, Unit::Time, QUICKJS, "eval", "1"),
    row("compile SQLite", Mode::Compile, Unit::Time, SQLITE, "query", "SELECT 1"),
    row("code on disk, QuickJS", Mode::Size, Unit::Bytes, QUICKJS, "eval", "1"),
    row("code on disk, SQLite", Mode::Size, Unit::Bytes, SQLITE, "query", "SELECT 1"),
    row("new + free, official count_vowels", Mode::New, Unit::Time, Plugin::Official, "count_vowels", "text"),
    row("new + free, SQLite", Mode::New, Unit::Time, SQLITE, "query", "SELECT 1"),
    row("process start, official count_vowels", Mode::Start, Unit::Time, Plugin::Official, "count_vowels", "text"),
    row("call, empty", Mode::Call, Unit::Time, ECHO, "empty", ""),
    row("call, echo of 64 B", Mode::Call, Unit::Time, ECHO, "echo", "@64"),
    row("echo of 1 MiB", Mode::Call, Unit::Throughput(1 << 20), ECHO, "echo", "@1048576"),
    row("count_vowels of 1 MiB", Mode::Call, Unit::Throughput(1 << 20), VOWELS, "count_vowels", "@1048576"),
    row("count_vowels of 16 MiB", Mode::Call, Unit::Throughput(1 << 24), VOWELS, "count_vowels", "@16777216"),
    row("SHA-256 of 16 MiB", Mode::Call, Unit::Time, KERNELS, "sha256", ""),
    row("matrix products", Mode::Call, Unit::Time, KERNELS, "matmul", ""),
    row("SQLite query", Mode::Call, Unit::Time, SQLITE, "query", SQL),
    row("QuickJS program", Mode::Call, Unit::Time, QUICKJS, "eval", JS),
    row("100 plugins resident, count_vowels", Mode::Resident, Unit::Bytes, VOWELS, "count_vowels", "text"),
    row("100 plugins resident, official", Mode::Resident, Unit::Bytes, Plugin::Official, "count_vowels", "text"),
];

impl Unit {
    /// A figure as the driver gives it, in the unit in which it is shown.
    pub(crate) fn value(self, figure: f64) -> f64 {
        match self {
            Self::Time | Self::Bytes => figure,
            Self::Throughput(bytes) => bytes as f64 / figure * 1e9,
        }
    }

    /// Whether more is better.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Self::Throughput(_))
    }

    /// A value as people read it, with three digits.
    pub(crate) fn show(self, value: f64) -> String {
        let (steps, units): (f64, &[&str]) = match self {
            Self::Time => (1000.0, &["ns", "us", "ms", "s"]),
            Self::Throughput(_) => (1000.0, &["B/s", "KB/s", "MB/s", "GB/s"]),
            Self::Bytes => (1000.0, &["B", "KB", "MB", "GB"]),
        };
        let mut value = value;
        let mut unit = 0;
        while value >= steps && unit + 1 < units.len() {
            value /= steps;
            unit += 1;
        }
        let digits = if value >= 100.0 {
            0
        } else if value >= 10.0 {
            1
        } else {
            2
        };
        format!("{value:.digits$} {}", units[unit])
    }
}
