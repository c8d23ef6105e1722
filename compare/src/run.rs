//! Runs all workloads on all libraries, and holds the results.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::bench::Bench;
use crate::library::Library;
use crate::unit::Unit;
use crate::workload::{Abi, Plugin, Workload};

/// The figures of all workloads.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// The interface of our libraries.
    abi: Abi,
    pub(crate) libraries: Vec<String>,
    /// Indices of the libraries of others; the first library is compared with each.
    pub(crate) peers: Vec<usize>,
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
    /// The unit of the values.
    unit_name: &'static str,
    /// The guest interface of the plugin that each library ran, if it did.
    guests: Vec<Option<&'static str>>,
    /// One for each library, if it supports the workload.
    pub(crate) cells: Vec<Option<Cell>>,
    /// One for each peer: how many times better the first library's median is.
    pub(crate) ratios: Vec<Option<f64>>,
    /// The most that the first library's time may be, as a part of the first peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bound: Option<f64>,
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
        let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
        let median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { median, min, max, values }
    }
}

impl Row {
    fn of(
        workload: &Workload,
        abi: Abi,
        guests: Vec<Option<&'static str>>,
        cells: Vec<Option<Cell>>,
        peers: &[usize],
    ) -> Self {
        let ratio = |peer: &usize| {
            let (first, peer) = (cells[0].as_ref()?, cells[*peer].as_ref()?);
            Some(workload.unit.better(first.median, peer.median))
        };
        let ratios = peers.iter().map(ratio).collect();
        let (name, unit, bound) = (workload.name, workload.unit, workload.bound(abi));
        Self { name, unit, unit_name: unit.name(), guests, cells, ratios, bound }
    }
}

impl Results {
    /// Runs every workload on every library, in rounds.
    pub(crate) fn measure(
        bench: &Bench<'_>,
        abi: Abi,
        rounds: u32,
        libraries: &[Library],
        workloads: &[&Workload],
    ) -> Result<Self, String> {
        bench.fill(workloads)?;
        let mut values: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        let bar = ProgressBar::new(u64::from(rounds) * (workloads.len() * libraries.len()) as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        for round in 0..rounds as usize {
            for (row, workload) in workloads.iter().enumerate() {
                let mut answers = Answers::default();
                for turn in 0..libraries.len() {
                    // Each library is first, second and last in turn.
                    let column = (turn + round) % libraries.len();
                    let library = &libraries[column];
                    bar.set_message(format!("{}, {}", workload.name, library.name));
                    match bench.run(workload, library) {
                        Ok(Some((figure, answer))) => {
                            values.entry((row, column)).or_default().push(workload.unit.value(figure));
                            answers.insert(workload, bench.guests(workload, library), answer, &library.name);
                        }
                        Ok(None) => {}
                        // A peer's failure is shown as a dash; a failure of our library ends the program.
                        Err(error) if library.kind.is_peer() => bar.suspend(|| eprintln!("compare: {error}")),
                        Err(error) => return Err(error),
                    }
                    bar.inc(1);
                }
                answers.agree(workload)?;
            }
        }
        bar.finish_and_clear();
        let peers: Vec<_> = (1..libraries.len()).filter(|&column| libraries[column].kind.is_peer()).collect();
        let rows = workloads.iter().enumerate().map(|(row, workload)| {
            let cell = |column| values.get(&(row, column)).cloned().map(Cell::of);
            let cells: Vec<_> = (0..libraries.len()).map(cell).collect();
            let ran = libraries.iter().zip(&cells).map(|(library, cell)| cell.as_ref().map(|_| library));
            let guests = ran.map(|library| bench.guests(workload, library?)).collect();
            Row::of(workload, abi, guests, cells, &peers)
        });
        Ok(Self {
            abi,
            rows: rows.collect(),
            libraries: libraries.iter().map(|library| library.name.clone()).collect(),
            peers,
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            cpu: cpu(),
            rounds,
        })
    }
}

/// The answers of plugins, each with a library that gave it.
#[derive(Default)]
struct Answers<'a>(BTreeMap<Option<&'static str>, BTreeMap<String, &'a str>>);

impl<'a> Answers<'a> {
    fn insert(&mut self, workload: &Workload, guests: Option<&'static str>, answer: String, library: &'a str) {
        // Our plugins answer alike with both interfaces; the official plugin of 0.x answers more than that of 1.x.
        let like = guests.filter(|_| workload.plugin == Plugin::Official);
        self.0.entry(like).or_default().insert(answer, library);
    }

    fn agree(&self, workload: &Workload) -> Result<(), String> {
        match self.0.values().find(|answers| answers.len() > 1) {
            Some(answers) => Err(format!("{}: the answers differ: {answers:?}", workload.name)),
            None => Ok(()),
        }
    }
}

/// The processor's name and number of threads, from the system.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {threads} threads", name.map_or("unknown", |(_, name)| name))
}
