//! The figures in the documents: two tables, written from one run's `compare.json`, the same in each page.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;

use crate::table::Table;
use crate::unit::three_digits;
use crate::workload::WORKLOADS;

/// The run that the pages show. Committed, so that the pages can be compared with it.
const FIGURES: &str = "docs/compare.json";

/// The pages with figures, and what each shows.
const PAGES: [(&str, Show); 3] =
    [("README.md", first_figures), ("docs/benchmarks.md", all_figures), ("compiler-features.md", all_figures)];

/// The workloads in README's first lines.
const FIRST: [&str; 3] = ["call, empty", "echo of 1 MiB", "new + free, empty module"];

/// Makes a page's section of a run.
type Show = fn(&Run) -> Result<String, String>;

/// The lines around the tables in a page.
const BEGIN: &str = "<!-- figures: written by `make figures` -->\n";
const END: &str = "<!-- end of figures -->\n";

/// The parts of a run that the tables need; [`Results`](crate::run::Results) has more.
#[derive(Deserialize)]
struct Run {
    libraries: Vec<String>,
    peers: Vec<usize>,
    /// Seconds since 1970.
    time: u64,
    cpu: String,
    rounds: u32,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    cells: Vec<Option<Cell>>,
    ratios: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Cell {
    median: f64,
}

/// Writes the run in `compare_json` into the pages, and makes it the committed one.
///
/// # Errors
/// The file was not written by this program, lacks a workload, or a page cannot be written.
pub(crate) fn write(compare_json: &Path) -> Result<(), String> {
    let json = read(compare_json)?;
    let run = parsed(&json)?;
    for (page, show) in PAGES {
        let text = replaced(page, &show(&run)?)?;
        fs::write(page, text).map_err(|error| format!("{page}: {error}"))?;
    }
    fs::write(FIGURES, json).map_err(|error| format!("{FIGURES}: {error}"))
}

/// Compares the pages with the committed figures.
///
/// # Errors
/// A page shows something else.
pub(crate) fn check() -> Result<(), String> {
    let run = parsed(&read(Path::new(FIGURES))?)?;
    for (page, show) in PAGES {
        if replaced(page, &show(&run)?)? != read(Path::new(page))? {
            return Err(format!("{page} does not show the figures of {FIGURES}: run `make figures`"));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The page with its tables replaced by `section`.
fn replaced(page: &str, section: &str) -> Result<String, String> {
    let text = read(Path::new(page))?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{page}: no `{}` and `{}`", BEGIN.trim(), END.trim()))?;
    Ok(format!("{before}{BEGIN}{section}{END}{after}"))
}

fn parsed(json: &str) -> Result<Run, String> {
    serde_json::from_str(json).map_err(|error| format!("{FIGURES}: {error}"))
}

impl Run {
    fn row(&self, name: &str) -> Result<&Row, String> {
        let row = self.rows.iter().find(|row| row.name == name);
        row.ok_or_else(|| format!("the run lacks the workload `{name}`: run all of them"))
    }
}

/// A few figures, of the first library and of the peers that are Extism's.
fn first_figures(run: &Run) -> Result<String, String> {
    let peers: Vec<_> = run.peers.iter().filter(|peer| run.libraries[**peer].starts_with("Extism")).collect();
    let names = peers.iter().map(|peer| run.libraries[**peer].clone());
    let mut table = Table::new("[workload](docs/benchmarks.md)", ["this library".to_owned()].into_iter().chain(names));
    for workload in WORKLOADS.iter().filter(|workload| FIRST.contains(&workload.name)) {
        let row = run.row(workload.name)?;
        let cells = [&0].into_iter().chain(peers.iter().copied()).map(|column| row.cells[*column].as_ref());
        table.push(workload.name, cells.map(|cell| cell.map(|cell| workload.unit.show(cell.median))));
    }
    Ok(table.markdown())
}

/// All tables, with the date and the CPU of their run.
fn all_figures(run: &Run) -> Result<String, String> {
    let peers = run.peers.iter().map(|&peer| run.libraries[peer].clone());
    let mut figures = Table::new("workload", run.libraries.iter().cloned());
    let mut ratios = Table::new(&format!("{} against", run.libraries[0]), peers);
    for workload in WORKLOADS {
        let row = run.row(workload.name)?;
        let median = |cell: &Option<Cell>| cell.as_ref().map(|cell| workload.unit.show(cell.median));
        figures.push(workload.name, row.cells.iter().map(median));
        if row.ratios.iter().any(Option::is_some) {
            let times = |ratio: &Option<f64>| ratio.map(|ratio| format!("x {}", three_digits(ratio)));
            ratios.push(workload.name, row.ratios.iter().map(times));
        }
    }
    let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(run.time)).to_string();
    let date = date.split('T').next().unwrap_or_default();
    let mut section = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(section, "Medians of {} rounds of one run, {date}, {}.\n", run.rounds, run.cpu);
    section += &figures.markdown();
    if !run.peers.is_empty() {
        let _ = writeln!(
            section,
            "\nEach figure tells how many times better {} is than a peer: more than 1 is better.\n",
            run.libraries[0]
        );
        section += &ratios.markdown();
    }
    Ok(section)
}
