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

/// The pages with the tables.
const PAGES: [&str; 2] = ["docs/benchmarks.md", "compiler-features.md"];

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
    let section = section(&json)?;
    for page in PAGES {
        let text = replaced(page, &section)?;
        fs::write(page, text).map_err(|error| format!("{page}: {error}"))?;
    }
    fs::write(FIGURES, json).map_err(|error| format!("{FIGURES}: {error}"))
}

/// Compares the pages with the committed figures.
///
/// # Errors
/// A page shows something else.
pub(crate) fn check() -> Result<(), String> {
    let section = section(&read(Path::new(FIGURES))?)?;
    for page in PAGES {
        if replaced(page, &section)? != read(Path::new(page))? {
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

/// The tables, with the date and the CPU of their run.
fn section(json: &str) -> Result<String, String> {
    let run: Run = serde_json::from_str(json).map_err(|error| format!("{FIGURES}: {error}"))?;
    let peers = run.peers.iter().map(|&peer| run.libraries[peer].clone());
    let mut figures = Table::new("workload", run.libraries.iter().cloned());
    let mut ratios = Table::new(&format!("{} against", run.libraries[0]), peers);
    for workload in WORKLOADS {
        let row = run.rows.iter().find(|row| row.name == workload.name);
        let row = row.ok_or_else(|| format!("the run lacks the workload `{}`: run all of them", workload.name))?;
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
            "\nHow many times better {} is than each peer: more than 1 is better.\n",
            run.libraries[0]
        );
        section += &ratios.markdown();
    }
    Ok(section)
}
