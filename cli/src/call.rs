//! `extism-wasmer call`

use std::ffi::CString;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use extism_core::error::describe;
use extism_core::input::Input;
use extism_core::plugin::{Options, Plugin};

use crate::{Outcome, exit, text};

#[derive(Args)]
pub(crate) struct Arguments {
    /// A module (.wasm, .wat) or a manifest (JSON, TOML)
    plugin: PathBuf,
    /// The function to call
    function: String,
    /// The input
    #[arg(long, value_name = "TEXT", conflicts_with = "stdin", allow_hyphen_values = true)]
    input: Option<String>,
    /// Read the input from standard input
    #[arg(long)]
    stdin: bool,
    /// Configuration for the plugin; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, allow_hyphen_values = true)]
    config: Vec<(String, String)>,
    /// A host that the plugin may talk to over HTTP, with `*` as a wildcard; can be repeated
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// A directory that the plugin may use with WASI, read-only with `ro:` in front; can be repeated
    #[arg(long, value_name = "[ro:]HOST:GUEST", value_parser = path_pair, allow_hyphen_values = true)]
    allow_path: Vec<(String, String)>,
    /// Give the plugin WASI
    #[arg(long)]
    wasi: bool,
    /// The timeout of making the plugin, and of each call, in milliseconds
    #[arg(long, value_name = "MS", value_parser = milliseconds, allow_hyphen_values = true)]
    timeout: Option<Duration>,
    /// Call the function so many times, and print how long that took to standard error
    #[arg(long = "loop", value_name = "TIMES", value_parser = value_parser!(u32).range(1..), allow_hyphen_values = true)]
    times: Option<u32>,
}

/// Reads `KEY=VALUE`; only the first separator counts.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is not KEY=VALUE".to_owned()),
    }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_millis).map_err(|_| "it is not a number of milliseconds, 0 or more".to_owned())
}

/// Reads `HOST:GUEST`, with the guest's path after the last colon.
fn path_pair(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once(':') {
        Some((host, guest)) if !host.is_empty() && host != "ro" && !guest.is_empty() => {
            Ok((host.to_owned(), guest.to_owned()))
        }
        _ => Err("it is not HOST:GUEST, such as `ro:/srv/data:/data`".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let file = Input::read(&arguments.plugin)?;
    let input = match &arguments.input {
        Some(text) => text.clone().into_bytes(),
        None if arguments.stdin => standard_input()?,
        None => Vec::new(),
    };
    let options = Options {
        wasi: arguments.wasi,
        config: arguments.config.clone(),
        allowed_hosts: arguments.allow_host.clone(),
        allowed_paths: arguments.allow_path.clone(),
        timeout: arguments.timeout,
        ..Options::default()
    };
    let mut plugin = Plugin::of_input(&file, options).map_err(|error| file.wrong(describe(&error)))?;
    let function =
        CString::new(arguments.function.as_str()).map_err(|_| "the function's name has a NUL byte".to_owned())?;
    let times = arguments.times.unwrap_or(1);
    let mut durations = Vec::with_capacity(times as usize);
    for _ in 0..times {
        let start = Instant::now();
        let outcome = plugin.call(&function, &input);
        durations.push(start.elapsed());
        let error = match outcome {
            Ok(0) => continue,
            Ok(status) => format!("`{}` returned {status}", arguments.function),
            Err(failure) => failure.text(),
        };
        text::complain(&error);
        return text::print(&plugin.output_bytes(), exit::FAILED);
    }
    if arguments.times.is_some() {
        report(durations);
    }
    text::print(&plugin.output_bytes(), 0)
}

/// Reads standard input to its end, which must come before `MAX` bytes.
fn standard_input() -> Result<Vec<u8>, String> {
    const MAX: u64 = 1 << 30;
    let mut input = Vec::new();
    io::stdin().take(MAX + 1).read_to_end(&mut input).map_err(|error| format!("standard input: {error}"))?;
    if input.len() as u64 > MAX { Err(format!("standard input: more than {MAX} bytes")) } else { Ok(input) }
}

/// Prints the time of the calls, and that of the first one apart: it runs initialisers and touches memory.
fn report(mut durations: Vec<Duration>) {
    let first = durations[0];
    durations.sort_unstable();
    let [min, median, max] =
        [0, durations.len() / 2, durations.len() - 1].map(|place| text::duration(durations[place]));
    eprintln!("{} calls: median {median}, min {min}, max {max}, first {}", durations.len(), text::duration(first));
}
