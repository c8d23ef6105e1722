//! `extism-wasmer call`

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use extism::tool::Plugin;
use serde_json::{Map, Value, json};

use crate::{Failure, Outcome, exit, plugin, text};

#[derive(Args)]
pub(crate) struct Arguments {
    /// A module (.wasm, .wat) or a manifest (JSON, TOML)
    plugin: PathBuf,
    /// The function to call
    function: String,
    /// The input
    #[arg(long, value_name = "TEXT", conflicts_with = "stdin")]
    input: Option<String>,
    /// Read the input from standard input
    #[arg(long)]
    stdin: bool,
    /// Configuration for the plugin; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair('='))]
    config: Vec<(String, String)>,
    /// A host that the plugin may talk to over HTTP, with `*` as a wildcard; can be repeated
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// A directory that the plugin may use with WASI, read-only with `ro:` in front; can be repeated
    #[arg(long, value_name = "[ro:]HOST:GUEST", value_parser = path_pair)]
    allow_path: Vec<(String, String)>,
    /// Give the plugin WASI
    #[arg(long)]
    wasi: bool,
    /// How long the call may take, in milliseconds
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// Call the function this many times, and print the time taken to standard error
    #[arg(long = "loop", value_name = "TIMES", value_parser = value_parser!(u32).range(1..))]
    times: Option<u32>,
}

/// Reads `KEY=VALUE`; the value may contain further separators.
fn pair(separator: char) -> impl Fn(&str) -> Result<(String, String), String> + Clone {
    move |text: &str| match text.split_once(separator) {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY{separator}VALUE")),
    }
}

/// Reads `HOST:GUEST`, with the guest's path after the last colon.
fn path_pair(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once(':') {
        Some((host, guest)) if !host.is_empty() && host != "ro" && !guest.is_empty() => {
            Ok((host.to_owned(), guest.to_owned()))
        }
        _ => Err(format!("`{text}` is not HOST:GUEST, such as `ro:/srv/data:/data`")),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let manifest = manifest(arguments)?;
    let input = match &arguments.input {
        Some(text) => text.clone().into_bytes(),
        None if arguments.stdin => standard_input()?,
        None => Vec::new(),
    };
    let mut plugin = Plugin::new(manifest.as_bytes(), arguments.wasi)?;
    let times = arguments.times.unwrap_or(1);
    let mut durations = Vec::with_capacity(times as usize);
    for _ in 0..times {
        let start = Instant::now();
        let (status, error) = plugin.call(&arguments.function, &input)?;
        durations.push(start.elapsed());
        if status != 0 || error.is_some() {
            let error = error.unwrap_or_else(|| format!("`{}` returned {status}", arguments.function));
            text::complain(&error);
            return text::print(&plugin.output(), exit::FAILED);
        }
    }
    if arguments.times.is_some() {
        report(durations);
    }
    text::print(&plugin.output(), 0)
}

/// Reads standard input to its end, which must come before `MAX` bytes.
fn standard_input() -> Result<Vec<u8>, String> {
    const MAX: u64 = 1 << 30;
    let mut input = Vec::new();
    io::stdin().take(MAX + 1).read_to_end(&mut input).map_err(|error| format!("standard input: {error}"))?;
    if input.len() as u64 > MAX { Err(format!("standard input: more than {MAX} bytes")) } else { Ok(input) }
}

/// The plugin's manifest with the additions of the options.
fn manifest(arguments: &Arguments) -> Result<String, Failure> {
    let mut manifest = plugin::manifest(&arguments.plugin)?;
    extend(&mut manifest, "config", &arguments.config)?;
    extend(&mut manifest, "allowed_paths", &arguments.allow_path)?;
    if !arguments.allow_host.is_empty() {
        let hosts = manifest.entry("allowed_hosts").or_insert(Value::Null);
        let mut all = hosts.as_array().cloned().unwrap_or_default();
        all.extend(arguments.allow_host.iter().map(|host| json!(host)));
        *hosts = Value::Array(all);
    }
    if let Some(timeout) = arguments.timeout {
        manifest.insert("timeout_ms".to_owned(), json!(timeout));
    }
    Ok(Value::Object(manifest).to_string())
}

fn extend(manifest: &mut Map<String, Value>, key: &str, more: &[(String, String)]) -> Result<(), String> {
    if more.is_empty() {
        return Ok(());
    }
    let map = manifest.entry(key).or_insert(json!({}));
    let map = map.as_object_mut().ok_or_else(|| format!("the manifest's `{key}` is not a map"))?;
    map.extend(more.iter().map(|(key, value)| (key.clone(), json!(value))));
    Ok(())
}

/// Prints the calls' durations, the first one apart: it runs initialisers and touches memory for the first time.
fn report(mut durations: Vec<Duration>) {
    let first = durations[0];
    durations.sort_unstable();
    let [min, median, max] =
        [0, durations.len() / 2, durations.len() - 1].map(|place| text::duration(durations[place]));
    eprintln!("{} calls: median {median}, min {min}, max {max}, first {}", durations.len(), text::duration(first));
}
