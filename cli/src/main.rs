//! `extism-wasmer`: compiles, calls and inspects Extism plugins, and looks after the cache.

mod cache;
mod call;
mod compile;
mod inspect;
mod text;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use extism_core::code::precompile;
use extism_core::error::Described;
use extism_core::first_use;
use extism_core::log::{self, Destination, Format, LevelFilter};

/// The exit statuses of this program, besides 0.
mod exit {
    /// A plugin's function, or a check, failed; or no compiler can compile a module that is inspected.
    pub(crate) const FAILED: u8 = 1;
    /// The program was used wrongly; clap exits with the same status.
    pub(crate) const USAGE: u8 = 2;
    /// Something could not be read, made or written, or a variable of the environment is wrong.
    pub(crate) const CANNOT: u8 = 3;
}

/// The result of a command: its exit status, or why it failed.
type Outcome = Result<u8, Failure>;

/// Why a command failed.
struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    /// A wrong value of an option.
    fn usage(error: impl Display) -> Self {
        Self { status: exit::USAGE, text: error.to_string() }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { status: exit::CANNOT, text }
    }
}

impl From<Described> for Failure {
    fn from(error: Described) -> Self {
        error.to_string().into()
    }
}

#[derive(Parser)]
#[command(
    name = "extism-wasmer",
    about = "Compile, call and inspect Extism plugins",
    after_help = "Exit status: 0 success, 1 the plugin's function or a check failed, or no compiler \
                  can compile a module that is inspected, 2 wrong usage, 3 something could not be read, made or written, or a variable is wrong.\n\
                  Environment: EXTISM_COMPILER, EXTISM_CACHE_DIR, EXTISM_CACHE_MAX_BYTES, NO_COLOR; \
                  EXTISM_ENABLE_WASI_OUTPUT=1 lets plugins write to standard output and error themselves; \
                  see README.md.",
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Show the library's log on standard error, from this level on. Lines that plugins write to standard
    /// error have level `warn`, those to standard output `info`
    #[arg(long, value_name = "LEVEL", global = true, default_value = "warn", ignore_case = true, value_parser = levels())]
    log: LevelFilter,
}

/// Reads the name of a level.
fn levels() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"])
        .try_map(|level| level.parse::<LevelFilter>())
}

#[derive(Subcommand)]
enum Command {
    /// Compile modules ahead of time, into a cache from which libraries without compilers run them
    Compile(compile::Arguments),
    /// Call a function of a plugin, and print its output
    Call(call::Arguments),
    /// Show what modules import and export, and which compilers can compile them
    Inspect(inspect::Arguments),
    /// Look at the cache of compiled code and downloads, check it, or empty it
    Cache(cache::Arguments),
}

fn main() -> ExitCode {
    let command = Arguments::command().version(version());
    let parsed = command.try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let outcome = parsed.map_or_else(|error| answer(&error), |arguments| run(&arguments));
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(Failure { status, text }) => {
            text::complain(&text);
            ExitCode::from(status)
        }
    }
}

/// Prints what was asked for instead of a command, such as help, or the fault of the arguments. Not left to clap, which
/// ignores errors of standard output.
fn answer(error: &clap::Error) -> Outcome {
    if error.use_stderr() {
        error.exit();
    }
    match error.print().and_then(|()| io::stdout().flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {cause}").into()),
        _ => Ok(0),
    }
}

fn run(arguments: &Arguments) -> Outcome {
    show_log(arguments.log);
    first_use::check_environment()?;
    match &arguments.command {
        Command::Compile(arguments) => compile::run(arguments),
        Command::Call(arguments) => call::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Cache(arguments) => cache::run(arguments),
    }
}

/// Shows the library's log on standard error, from `level` on: the lines of plugins too. Plugins and calls that fail are
/// lines of it only at level debug and trace, as this program itself says what has failed.
fn show_log(level: LevelFilter) {
    if level < LevelFilter::Debug {
        log::without_notes();
    }
    first_use::begin();
    // Cannot fail: standard error is open, or nobody sees it.
    let _ = log::set(Destination::Stderr, Format::V0, level);
}

/// The version, and the compilers that are built in.
fn version() -> String {
    let built_in = precompile::compilers().into_iter().filter(|(_, built_in)| *built_in).map(|(name, _)| name);
    format!("{} (compilers: {})", env!("CARGO_PKG_VERSION"), built_in.collect::<Vec<_>>().join(", "))
}
