//! The log, as C sets it, and the lines about C functions that fail.

use std::fmt::Display;

use log::{Level, LevelFilter};

use extism_core::error::{self, Excerpt};
use extism_core::first_use;
use extism_core::log as sink;
use extism_core::log::Destination;

use crate::{arg, fork};

/// Sets the destination of log lines, for the whole process: `-` or `stdout`, `stderr`, or the path of a file; `None`
/// means `stderr`. `level` is the name of one; `None` means `error`.
///
/// Returns false if that cannot be done. The log then stays as it was, and gets a line about it that names `function`,
/// the C function that was called.
pub fn set(
    function: &str,
    filename: Result<Option<&str>, arg::Error>,
    level: Result<Option<&str>, arg::Error>,
) -> bool {
    first_use::begin();
    fork::prepare();
    let set = match (filename, level) {
        (Ok(filename), Ok(level)) => try_set(filename.unwrap_or("stderr"), level.unwrap_or("error")),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
    };
    // The line goes to the log as it was before the call.
    set.inspect_err(|why| sink::record(Level::Error, sink::TARGET, format_args!("{function}: {why}"))).is_ok()
}

fn try_set(filename: &str, level: &str) -> Result<(), String> {
    let destination = match filename {
        "-" | "stdout" => Destination::Stdout,
        "stderr" => Destination::Stderr,
        path => Destination::File(path),
    };
    let filter = level.parse::<LevelFilter>().map_err(|_| {
        let level = Excerpt::of(level);
        format!("log_level: `{level}` is not off, error, warn, info, debug or trace")
    })?;
    sink::set(destination, filter).map_err(|error| format!("`{}`: {error}", Excerpt::of(filename)))
}

/// Logs that a C function failed, for `plugin` if there is one, with `text` as the reason. Calls of plugins do not use
/// it: their failures are logged at the end of the call.
pub fn note_failure(plugin: Option<impl Display>, text: &str) {
    /// The most bytes of an error's text that are logged.
    const MOST: usize = 512;
    if !sink::is_enabled(Level::Error) {
        return;
    }
    let text = error::summary(text);
    let shown = &text[..text.floor_char_boundary(MOST)];
    match plugin {
        Some(plugin) => sink::note(Level::Error, format_args!("plugin {plugin}: {shown}")),
        None => sink::note(Level::Error, format_args!("{shown}")),
    }
}
