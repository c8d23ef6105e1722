//! Where log lines go. The library holds a sink of its own, so that it works beside whatever logger the host has
//! installed and can be set again at any time; as long as none is set, lines go to the host's, through the `log`
//! crate.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use fern::Dispatch;
use log::{Level, LevelFilter, Log, Record};
use parking_lot::RwLock;

use crate::write_signals;

/// Under which target the library's own lines are logged.
pub(crate) const TARGET: &str = "extism";

/// Under which target plugins' lines are logged.
pub(crate) const PLUGIN_TARGET: &str = "extism::plugin";

struct Sink {
    level: LevelFilter,
    log: Box<dyn Log>,
}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);

/// Where a sink writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    Stdout,
    Stderr,
    /// Appended to; its directory is made when it is missing.
    File(&'a str),
}

/// Makes `destination` the sink for lines of `level` and above, in the place of the one before.
///
/// # Errors
/// The file cannot be opened; the sink before stays.
pub(crate) fn set(destination: Destination<'_>, level: LevelFilter) -> io::Result<()> {
    let dispatch = Dispatch::new().level(level).format(|out, message, record| {
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        out.finish(format_args!("{} {} {time} - {message}", record.target(), record.level()));
    });
    let dispatch = match destination {
        Destination::Stdout => dispatch.chain(Quiet::boxed(io::stdout())),
        Destination::Stderr => dispatch.chain(Quiet::boxed(io::stderr())),
        Destination::File(path) => dispatch.chain(Quiet::boxed(open(Path::new(expand(path).as_ref()))?)),
    };
    let (level, log) = dispatch.into_log();
    let before = SINK.write().replace(Sink { level, log });
    if let Some(sink) = before {
        sink.log.flush();
    }
    Ok(())
}

/// A writer that never fails: a line that cannot be written, to a full disk or a closed pipe, is lost and nothing else
/// is. (fern would write to the host's standard error instead, and panic if that fails too.)
struct Quiet<W> {
    to: W,
    /// What comes in pieces until it is flushed, which fern does after each line, is one write: lines that other processes
    /// write to the same file are before or after it.
    line: Vec<u8>,
    /// What was written last ends in the middle of a line.
    is_cut: bool,
}

impl<W: Write + Send + 'static> Quiet<W> {
    fn boxed(to: W) -> Box<dyn Write + Send> {
        Box::new(Self { to, line: Vec::new(), is_cut: false })
    }
}

impl<W: Write> Write for Quiet<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // After half a line, the next one has a line of its own.
        if self.line.is_empty() && self.is_cut {
            self.line.push(b'\n');
        }
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut rest = self.line.as_slice();
        write_signals::held(|| {
            while !rest.is_empty() {
                match self.to.write(rest) {
                    Ok(count @ 1..) => rest = &rest[count..],
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                }
            }
        });
        let written = self.line.len() - rest.len();
        if let Some(last) = self.line[..written].last() {
            self.is_cut = *last != b'\n';
        }
        self.line.clear();
        let _ = self.to.flush();
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<fs::File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// Replaces each `$ENV{NAME}` by that variable, as Extism 0.1.0 did; what is not set stays as it is written.
fn expand(path: &str) -> Cow<'_, str> {
    let Some((before, rest)) = path.split_once("$ENV{") else { return Cow::Borrowed(path) };
    match rest.split_once('}') {
        Some((name, rest)) => match std::env::var(name) {
            Ok(value) => Cow::Owned(format!("{before}{value}{}", expand(rest))),
            Err(_) => Cow::Owned(format!("{before}$ENV{{{name}}}{}", expand(rest))),
        },
        None => Cow::Borrowed(path),
    }
}

/// The lowest level that is logged at all.
pub(crate) fn max_level() -> LevelFilter {
    SINK.read().as_ref().map_or_else(log::max_level, |sink| sink.level)
}

/// Logs one line.
pub(crate) fn record(level: Level, target: &str, message: Arguments<'_>) {
    if level > max_level() {
        return;
    }
    let message = one_line(message);
    let arguments = format_args!("{message}");
    let record = Record::builder().level(level).target(target).args(arguments).build();
    {
        let sink = SINK.read();
        if let Some(sink) = sink.as_ref() {
            sink.log.log(&record);
            return;
        }
    }
    // The lock is not held here: the host's logger may call the library.
    log::logger().log(&record);
}

/// A plugin chooses its messages; it must not be able to fake lines or drive a terminal.
fn one_line(message: Arguments<'_>) -> String {
    let mut line = String::new();
    for character in message.to_string().chars() {
        if character.is_control() && character != '\t' {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{expand, one_line};

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(one_line(format_args!("a\nb\u{1b}[1m\tc \"q\" é")), "a\\nb\\u{1b}[1m\tc \"q\" é");
    }

    #[test]
    fn environment_variables_in_paths_are_expanded() {
        let home = std::env::var("PATH").expect("every test has a PATH");
        assert_eq!(expand("a/$ENV{PATH}/b$ENV{PATH}"), format!("a/{home}/b{home}"));
        assert_eq!(expand("$ENV{EXTISM_NOT_SET}/x$ENV{"), "$ENV{EXTISM_NOT_SET}/x$ENV{");
        assert_eq!(expand("plain"), "plain");
    }
}
