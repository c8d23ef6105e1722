//! The figures in the documents: tables, written from the `compare.json` of one run for each C interface, the same in each
//! page.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;

use crate::table::Table;
use crate::unit::three_digits;
use crate::workload::{Abi, workloads};

/// A place in a page that shows figures of one run.
struct Section {
    page: &'static str,
    abi: Abi,
    show: Show,
}

const SECTIONS: [Section; 4] = [
    Section { page: "README.md", abi: Abi::V0, show: first_figures },
    Section { page: "docs/benchmarks.md", abi: Abi::V0, show: all_figures },
    Section { page: "docs/benchmarks.md", abi: Abi::V1, show: all_figures },
    Section { page: "compiler-features.md", abi: Abi::V0, show: all_figures },
];

/// The workloads in README's first lines.
const FIRST: [&str; 3] = ["call, empty", "echo of 1 MiB", "new + free, empty module"];

/// Makes a section of a run.
type Show = fn(&Run) -> Result<String, String>;

/// The line after the tables in a page.
const END: &str = "<!-- end of figures -->\n";

impl Abi {
    /// The run that the pages show. Committed, so that the pages can be compared with it.
    fn figures(self) -> &'static Path {
        Path::new(match self {
            Self::V0 => "docs/compare.json",
            Self::V1 => "docs/compare-v1.json",
        })
    }

    /// The line before the tables in a page.
    fn begin(self) -> &'static str {
        match self {
            Self::V0 => "<!-- figures: written by `make figures` -->\n",
            Self::V1 => "<!-- figures of the interface of 1.x: written by `make figures` -->\n",
        }
    }
}

/// The parts of a run that the tables need; [`Results`](crate::run::Results) has more.
#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    abi: Abi,
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
    bound: Option<f64>,
}

#[derive(Deserialize)]
struct Cell {
    median: f64,
}

/// Writes the run in `compare_json` into the pages, and makes it the committed one of its interface.
///
/// # Errors
/// The file was not written by this program, lacks a workload, or a page cannot be written.
pub(crate) fn write(compare_json: &Path) -> Result<(), String> {
    let json = read(compare_json)?;
    let run = parsed(compare_json, &json)?;
    for Section { page, abi, show } in SECTIONS.iter().filter(|section| section.abi == run.abi) {
        let text = replaced(page, *abi, &show(&run)?)?;
        fs::write(page, text).map_err(|error| format!("{page}: {error}"))?;
    }
    let figures = run.abi.figures();
    fs::write(figures, json).map_err(|error| format!("{}: {error}", figures.display()))
}

/// Compares the pages with the committed figures. Without a committed run, a page has to show nothing of it.
///
/// # Errors
/// A page shows something else.
pub(crate) fn check() -> Result<(), String> {
    for Section { page, abi, show } in &SECTIONS {
        let figures = abi.figures();
        let section = if figures.exists() { show(&parsed(figures, &read(figures)?)?)? } else { String::new() };
        if replaced(page, *abi, &section)? != read(Path::new(page))? {
            return Err(format!("{page} does not show the figures of {}: run `make figures`", figures.display()));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The page with the tables of an interface replaced by `section`.
fn replaced(page: &str, abi: Abi, section: &str) -> Result<String, String> {
    let (text, begin) = (read(Path::new(page))?, abi.begin());
    let parts = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{page}: no `{}` and `{}`", begin.trim(), END.trim()))?;
    Ok(format!("{before}{begin}{section}{END}{after}"))
}

fn parsed(path: &Path, json: &str) -> Result<Run, String> {
    serde_json::from_str(json).map_err(|error| format!("{}: {error}", path.display()))
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
    for workload in workloads(run.abi).filter(|workload| FIRST.contains(&workload.name)) {
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
    for workload in workloads(run.abi) {
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
    section += &bounds(run);
    Ok(section)
}

/// The table of bounds, with the sentence before it; empty if no row has one.
fn bounds(run: &Run) -> String {
    let Some(&peer) = run.peers.first() else { return String::new() };
    let rows = run.rows.iter().filter_map(|row| Some((row.name.as_str(), row.ratios[0], row.bound?)));
    let Some(table) = Table::of_parts(&run.libraries[peer], rows) else { return String::new() };
    format!("\nWhat the time of {} may be at most:\n\n{}", run.libraries[0], table.markdown())
}
