//! Running everything, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::Arguments;
use crate::library::{Kind, Library};
use crate::workload::{Mode, Unit, Workload};

/// The figures of all workloads.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) libraries: Vec<String>,
    /// Where each is.
    paths: Vec<PathBuf>,
    /// Which guest interface the plugins of each have.
    guests: Vec<&'static str>,
    /// Seconds since 1970.
    time: u64,
    /// The CPU's name.
    pub(crate) cpu: String,
    pub(crate) rounds: u32,
    pub(crate) rows: Vec<Row>,
}

/// The figures of one workload.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    #[serde(skip)]
    pub(crate) unit: Unit,
    /// What the values are in.
    unit_name: &'static str,
    /// One for each library, if it can do that.
    pub(crate) cells: Vec<Option<Cell>>,
}

/// The figures of one workload on one library.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// In the order of the rounds.
    values: Vec<f64>,
}

impl Cell {
    fn of(values: Vec<f64>) -> Self {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        Self { median: sorted[sorted.len() / 2], min: sorted[0], max: sorted[sorted.len() - 1], values }
    }
}

impl Results {
    /// Runs every workload on every library, in rounds.
    pub(crate) fn measure(
        arguments: &Arguments,
        libraries: &[Library],
        workloads: &[&Workload],
    ) -> Result<Self, String> {
        // Ours speak both, so they take the plugins that a peer can run as well.
        let peer = libraries.iter().find(|library| library.kind == Kind::Peer && library.guests == "v1");
        let ours = peer.map_or("v0", |_| "v1");
        let guests = |library: &Library| if library.kind == Kind::Peer { library.guests } else { ours };
        let bench = Bench { arguments, stores: arguments.libraries.join("stores") };
        // Nothing of an earlier run is compared.
        if bench.stores.exists() {
            fs::remove_dir_all(&bench.stores).map_err(|error| format!("{}: {error}", bench.stores.display()))?;
        }
        bench.fill(libraries, workloads, guests)?;

        let mut values: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        let bar = ProgressBar::new(u64::from(arguments.rounds) * (workloads.len() * libraries.len()) as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        for round in 0..arguments.rounds as usize {
            for (row, workload) in workloads.iter().enumerate() {
                let mut answers = BTreeMap::new();
                for turn in 0..libraries.len() {
                    // Everyone is first, second and last in turn.
                    let column = (turn + round) % libraries.len();
                    let library = &libraries[column];
                    bar.set_message(format!("{}, {}", workload.name, library.name));
                    match bench.run(workload, library, guests(library)) {
                        Ok(Some((figure, answer))) => {
                            values.entry((row, column)).or_default().push(workload.unit.value(figure));
                            answers.insert(answer, &library.name);
                        }
                        Ok(None) => {}
                        // Another's failure is a dash; ours is one of this program.
                        Err(error) if library.kind == Kind::Peer => bar.suspend(|| eprintln!("compare: {error}")),
                        Err(error) => return Err(error),
                    }
                    bar.inc(1);
                }
                if answers.len() > 1 {
                    return Err(format!("{}: the answers differ: {answers:?}", workload.name));
                }
            }
        }
        bar.finish_and_clear();
        let cell = |row, column| values.get(&(row, column)).cloned().map(Cell::of);
        let rows = workloads.iter().enumerate().map(|(row, workload)| Row {
            name: workload.name,
            unit: workload.unit,
            unit_name: match workload.unit {
                Unit::Time => "ns",
                Unit::Throughput(_) => "bytes per second",
                Unit::Bytes => "bytes",
            },
            cells: (0..libraries.len()).map(|column| cell(row, column)).collect(),
        });
        Ok(Self {
            rows: rows.collect(),
            libraries: libraries.iter().map(|library| library.name.clone()).collect(),
            paths: libraries.iter().map(|library| library.path.clone()).collect(),
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            cpu: cpu(),
            rounds: arguments.rounds,
            guests: libraries.iter().map(guests).collect(),
        })
    }

    /// The medians, with what was the least and the most.
    pub(crate) fn table(&self) -> String {
        let mut lines: Vec<Vec<String>> = vec![std::iter::once(String::new()).chain(self.libraries.clone()).collect()];
        for row in &self.rows {
            let cells = row.cells.iter().map(|cell| match cell {
                Some(cell) => {
                    let [median, min, max] = [cell.median, cell.min, cell.max].map(|value| row.unit.show(value));
                    format!("{median} ({min} to {max})")
                }
                None => "-".to_owned(),
            });
            lines.push(std::iter::once(row.name.to_owned()).chain(cells).collect());
        }
        let widths: Vec<usize> = (0..lines[0].len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut table = String::new();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            // Writing to a String cannot fail.
            let _ = writeln!(table, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        table
    }
}

/// How the driver is run.
struct Bench<'a> {
    arguments: &'a Arguments,
    /// One directory for each library.
    stores: PathBuf,
}

impl Bench<'_> {
    /// Fills the stores with the code of all plugins, and the one of the library without compilers with LLVM's.
    fn fill(
        &self,
        libraries: &[Library],
        workloads: &[&Workload],
        guests: impl Fn(&Library) -> &'static str,
    ) -> Result<(), String> {
        let makers: Vec<_> = libraries.iter().filter(|library| library.kind != Kind::Headless).collect();
        let maker = |name: &str| makers.iter().find(|library| library.name == name);
        for library in libraries {
            let maker = match library.kind {
                Kind::Headless => {
                    maker("llvm").copied().ok_or("the library without compilers runs LLVM's code: add --only llvm")?
                }
                Kind::Compiler | Kind::Peer => library,
            };
            for workload in workloads {
                let plugin = workload.plugin.path(guests(library))?;
                let store = self.store(library);
                let filled = self.driver(maker, Some(&store), "start", &plugin, workload, Some(monotonic()));
                // A peer that cannot do it says so when it is its turn.
                if library.kind != Kind::Peer {
                    filled?;
                }
            }
        }
        Ok(())
    }

    fn store(&self, library: &Library) -> PathBuf {
        self.stores.join(library.name.replace(|c: char| !c.is_alphanumeric(), "-"))
    }

    /// Runs a workload; `None` if the library cannot do that.
    fn run(&self, workload: &Workload, library: &Library, guests: &str) -> Result<Option<(f64, String)>, String> {
        let plugin = workload.plugin.path(guests)?;
        let store = self.store(library);
        let (mode, store) = match workload.mode {
            Mode::Compile if library.kind == Kind::Headless => return Ok(None),
            Mode::Size if library.kind != Kind::Compiler => return Ok(None),
            Mode::Size => return self.size(workload, library, &plugin).map(Some),
            Mode::Compile => ("new", None),
            Mode::New => ("new", Some(store.as_path())),
            Mode::Call => ("call", Some(store.as_path())),
            Mode::Resident => ("rss", Some(store.as_path())),
            Mode::Start => return self.start(workload, library, &plugin, &store).map(Some),
        };
        self.driver(library, store, mode, &plugin, workload, None).map(Some)
    }

    /// The median of several processes: a start is over too soon for one to say much.
    fn start(
        &self,
        workload: &Workload,
        library: &Library,
        plugin: &str,
        store: &Path,
    ) -> Result<(f64, String), String> {
        const PROCESSES: usize = 15;
        let one = |_| self.driver(library, Some(store), "start", plugin, workload, Some(monotonic()));
        let mut figures = (0..PROCESSES).map(one).collect::<Result<Vec<_>, _>>()?;
        figures.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(figures.swap_remove(PROCESSES / 2))
    }

    fn driver(
        &self,
        library: &Library,
        store: Option<&Path>,
        mode: &str,
        plugin: &str,
        workload: &Workload,
        start: Option<u64>,
    ) -> Result<(f64, String), String> {
        let mut command = Command::new(self.arguments.libraries.join("driver"));
        command.arg(&library.path).args([mode, plugin, workload.function, workload.input]);
        command.arg(self.arguments.seconds.to_string()).args(start.map(|start| start.to_string()));
        // Ours keep code where this says, and in the process; upstream's cache is off if its configuration is empty,
        // and where caches are otherwise.
        for variable in ["EXTISM_COMPILER", "EXTISM_CACHE_CONFIG", "EXTISM_CACHE_MEMORY_BYTES"] {
            command.env_remove(variable);
        }
        match store {
            Some(store) => {
                fs::create_dir_all(store).map_err(|error| format!("{}: {error}", store.display()))?;
                let store = store.canonicalize().map_err(|error| format!("{}: {error}", store.display()))?;
                command.env("EXTISM_CACHE_DIR", &store).env("XDG_CACHE_HOME", store);
            }
            None => {
                for (variable, nothing) in
                    [("EXTISM_CACHE_DIR", ""), ("EXTISM_CACHE_MEMORY_BYTES", "0"), ("EXTISM_CACHE_CONFIG", "")]
                {
                    command.env(variable, nothing);
                }
            }
        }
        let output = command.output().map_err(|error| format!("the driver: {error}"))?;
        let failed = |what: &str| format!("{} on {}: {what}", workload.name, library.name);
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let (figure, answer) = text.trim().split_once('\t').ok_or_else(|| failed("no figure"))?;
        Ok((figure.parse().map_err(|_| failed("no figure"))?, answer.to_owned()))
    }

    /// The size of a plugin's code, in a store that has nothing else.
    fn size(&self, workload: &Workload, library: &Library, plugin: &str) -> Result<(f64, String), String> {
        let store = self.store(library).join(workload.name.replace(|c: char| !c.is_alphanumeric(), "-"));
        let (_, answer) = self.driver(library, Some(&store), "start", plugin, workload, Some(monotonic()))?;
        let failed = |error: std::io::Error| format!("{} in {}: {error}", workload.name, store.display());
        let mut size = 0;
        for module in fs::read_dir(store.join("modules")).map_err(failed)?.flatten() {
            for file in fs::read_dir(module.path()).map_err(failed)?.flatten() {
                size += file.metadata().map_err(failed)?.len();
            }
        }
        Ok((size as f64, answer))
    }
}

/// What the system says of the processor.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {threads} threads", name.map_or("unknown", |(_, name)| name))
}

/// The time that the driver's clock shows, in nanoseconds.
fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
