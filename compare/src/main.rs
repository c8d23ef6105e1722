//! Runs the same workloads on several libraries with the C interface of Extism, 0.1.0 or 1.x, and on plain wasmtime: in
//! rounds, with one process for each workload and library, so that all meet the same noise. Prints tables, and writes
//! JSON and an HTML page.

mod bench;
mod chart;
mod library;
mod pages;
mod run;
mod table;
mod unit;
mod workload;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use bench::Bench;
use library::Library;
use run::Results;
use table::Table;
use workload::Abi;

#[derive(Parser)]
#[command(about = "Run the same workloads on libraries with the C interface of Extism, side by side")]
struct Arguments {
    /// The C interface of the libraries in the directory: 0 for that of Extism 0.1.0, 1 for that of 1.x
    #[arg(long, value_enum, default_value = "0")]
    abi: Abi,
    /// A directory with one directory for each compiler, and the driver
    #[arg(long, default_value = "target/compare")]
    libraries: PathBuf,
    /// Another library, of either interface or with wasmtime's C API; can be repeated
    #[arg(long, value_name = "[NAME=]PATH")]
    peer: Vec<String>,
    /// Only the compilers whose names begin with this; can be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only the workloads whose names begin with this; can be repeated
    #[arg(long, value_name = "NAME")]
    workload: Vec<String>,
    /// Rounds: the number of times that each workload is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The time to repeat each call in one measurement, in seconds
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// Measure nothing: put the figures of this compare.json into the documents
    #[arg(long, value_name = "PATH")]
    write_pages: Option<PathBuf>,
    /// Measure nothing: fail unless the documents show the committed figures
    #[arg(long)]
    check_pages: bool,
}

fn main() -> ExitCode {
    let (status, error) = match run(&Arguments::parse()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => (2, error),
        Err(Failure::Other(error)) => (1, error),
    };
    eprintln!("compare: {error}");
    ExitCode::from(status)
}

/// Why the comparison failed. The results of the last one stay.
enum Failure {
    /// An option names something that does not exist.
    Usage(String),
    Other(String),
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self::Other(error)
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(figures) = &arguments.write_pages {
        return Ok(pages::write(figures)?);
    }
    if arguments.check_pages {
        return Ok(pages::check()?);
    }
    let abi = arguments.abi;
    known("--workload", &arguments.workload, workload::workloads(abi).map(|workload| workload.name))?;
    let mut libraries = library::built(&arguments.libraries)?;
    known("--only", &arguments.only, libraries.iter().map(|library| library.name.as_str()))?;
    libraries.retain(|library| begins(&library.name, &arguments.only));
    for (path, number) in arguments.peer.iter().zip(1..) {
        libraries.push(Library::peer(path, number)?);
    }
    if libraries.is_empty() {
        return Err(format!("no libraries in {}: run `make compare`", arguments.libraries.display()).into());
    }
    let workloads: Vec<_> =
        workload::workloads(abi).filter(|workload| begins(workload.name, &arguments.workload)).collect();
    let bench = Bench::new(&arguments.libraries, arguments.seconds, &libraries)?;
    let results = Results::measure(&bench, abi, arguments.rounds, &libraries, &workloads)?;
    print!("{}", Table::of_figures(&results).markdown());
    if let Some(ratios) = Table::of_ratios(&results) {
        print!("\nHow many times better:\n\n{}", ratios.markdown());
    }
    if let Some(bounds) = Table::of_bounds(&results) {
        print!("\nBounds:\n\n{}", bounds.markdown());
    }
    let to = |name: &str| arguments.libraries.join(name);
    let json = serde_json::to_string_pretty(&results).map_err(|error| error.to_string())?;
    for (name, contents) in [("compare.json", json), ("compare.html", chart::page(&results)?)] {
        fs::write(to(name), contents).map_err(|error| format!("{}: {error}", to(name).display()))?;
    }
    println!("\n{} and {} have the figures.", to("compare.json").display(), to("compare.html").display());
    Ok(())
}

/// Checks that each of `wanted` begins one of `names`, so that no option is ignored silently.
fn known<'a>(option: &str, wanted: &[String], names: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let names: Vec<_> = names.collect();
    let unknown = wanted.iter().find(|wanted| !names.iter().any(|name| name.starts_with(wanted.as_str())));
    unknown.map_or(Ok(()), |unknown| {
        let list = names.join("\n  ");
        Err(Failure::Usage(format!("{option} `{unknown}`: none begins like that; there are\n  {list}")))
    })
}

/// True if `name` begins with one of `wanted`, or `wanted` is empty.
fn begins(name: &str, wanted: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(wanted.as_str()))
}
