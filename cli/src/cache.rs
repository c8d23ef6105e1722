//! `extism-wasmer cache`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use extism_core::cache_files::{self, Cache, CacheEntry};
use extism_core::error::one_line;

use crate::{Failure, Outcome, exit, text};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The directory; EXTISM_CACHE_DIR or the user's cache if not given
    #[arg(long = "store", value_name = "DIRECTORY", global = true)]
    directory: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// List its contents, code and downloads: size, last use, file
    List,
    /// Check that everything in it is whole
    Verify,
    /// Remove everything from it
    Clear,
}

/// The cache directory that is `named`, else the default one.
pub(crate) fn directory(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let directory = named.map(Path::to_owned).or_else(cache_files::default_directory);
    directory.ok_or_else(|| {
        "there is no cache: EXTISM_CACHE_DIR is empty, or there is no home directory; name one with --store"
            .to_owned()
            .into()
    })
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let path = directory(arguments.directory.as_deref())?;
    let Some(cache) = Cache::open(&path)? else {
        let shown = text::path(&path);
        // The default one is made when something is kept for the first time.
        return match arguments.directory {
            Some(_) => Err(format!("cache `{shown}`: there is no such directory").into()),
            None => text::print(format!("{shown} is not there: nothing is kept\n").as_bytes(), 0),
        };
    };
    let entries = cache.entries()?;
    match arguments.command {
        Command::List => text::print(list(&entries).as_bytes(), 0),
        Command::Verify => verify(&cache, &entries),
        Command::Clear => clear(&cache, &entries),
    }
}

fn total(entries: &[CacheEntry]) -> String {
    let size = entries.iter().map(CacheEntry::size).sum();
    format!("{} files, {}", entries.len(), text::bytes(size))
}

fn list(entries: &[CacheEntry]) -> String {
    let mut lines = String::new();
    for entry in entries {
        let age = entry.used().elapsed().unwrap_or_default();
        lines += &format!("{:>9}  {:>8} ago  {}\n", text::bytes(entry.size()), ago(age), one_line(entry.path()));
    }
    lines + &total(entries) + "\n"
}

fn ago(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn verify(cache: &Cache, entries: &[CacheEntry]) -> Outcome {
    let mut bad = 0;
    for entry in entries {
        if let Err(error) = cache.verify(entry) {
            text::complain(&format!("{}: {error}", entry.path()));
            bad += 1;
        }
    }
    let status = if bad == 0 { 0 } else { exit::FAILED };
    text::print(format!("{}, {bad} of them not whole\n", total(entries)).as_bytes(), status)
}

fn clear(cache: &Cache, entries: &[CacheEntry]) -> Outcome {
    for entry in entries {
        cache.remove(entry).map_err(|error| format!("{}: {error}", entry.path()))?;
    }
    text::print(format!("removed {}\n", total(entries)).as_bytes(), 0)
}
