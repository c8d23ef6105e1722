//! The library's sink of log lines. It works beside any logger of the host and can be changed at any time. Without a
//! sink, lines go to the host's logger, through the `log` crate.
//!
//! The one lock that all threads share is held only to look up the current sink.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{Arguments, Display};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fern::Dispatch;
use log::{Level, LevelFilter, Log, Record};

use super::buffer::BufferSink;
use super::file::FileSink;
use super::format::{Format, Origin, TARGET};
use crate::environment;
use crate::error::Excerpt;
use crate::fork;
use crate::outlet::Outlet;
use crate::sync::RwLock;

static SINK: RwLock<Option<Arc<dyn Log>>> = RwLock::new(None);

/// The sink's level as a number, or [`NO_SINK`]. Stored beside the sink because every call reads it.
static LEVEL: AtomicUsize = AtomicUsize::new(NO_SINK);

const NO_SINK: usize = usize::MAX;

/// The sink's format is [`Format::V1`]. Stored beside the sink for the escapes in a line's text.
static IS_V1: AtomicBool = AtomicBool::new(false);

/// The destination of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, which is appended to, and made if it is missing.
    File(&'a str),
    /// A file as above, as Extism 0.1.0 opens it: `$ENV{NAME}` stands for an environment variable, and missing
    /// directories are made.
    ExpandedFile(&'a str),
    /// Memory, for [`drain`](super::drain). Lines that are there already stay.
    Buffer,
}

/// Replaces the sink by one that writes lines of `level` and above to `destination`, in `format`.
///
/// # Errors
/// The file cannot be opened; the old sink stays.
pub fn set(destination: Destination<'_>, format: Format, level: LevelFilter) -> io::Result<()> {
    let outlet = match destination {
        Destination::Stdout => Some(Outlet::Stdout),
        Destination::Stderr => Some(Outlet::Stderr),
        Destination::File(path) => Some(Outlet::open(Path::new(path))?),
        Destination::ExpandedFile(path) => Some(open_expanded(path)?),
        Destination::Buffer => None,
    };
    let end: Box<dyn Log> = match outlet {
        Some(outlet) => Box::new(FileSink::new(outlet, format)),
        None => Box::new(BufferSink),
    };
    let dispatch = Dispatch::new().level(level).format(move |out, message, record| {
        out.finish(format_args!("{}", format.line(record.level(), record.target(), message)));
    });
    let (level, log) = dispatch.chain(end).into_log();
    let mut sink = SINK.write();
    LEVEL.store(level as usize, Ordering::Relaxed);
    IS_V1.store(format == Format::V1, Ordering::Relaxed);
    let before = sink.replace(Arc::from(log));
    drop(sink);
    // Closing a file may take a while.
    drop(before);
    Ok(())
}

/// Opens a file after [`expand`], and makes missing directories.
fn open_expanded(path: &str) -> io::Result<Outlet> {
    let path = expand(path)?;
    let path = Path::new(path.as_ref());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Outlet::open(path)
}

/// Replaces each `$ENV{NAME}` by that variable, as Extism 0.1.0 did.
///
/// # Errors
/// The variable is not set, or is not UTF-8: a file that is called `$ENV{NAME}` is what nobody wants.
fn expand(path: &str) -> io::Result<Cow<'_, str>> {
    let Some((before, rest)) = path.split_once("$ENV{") else { return Ok(Cow::Borrowed(path)) };
    let Some((name, rest)) = rest.split_once('}') else { return Ok(Cow::Borrowed(path)) };
    let unset = || io::Error::other(format!("the environment variable `{}` is not set", Excerpt::of(name)));
    let value = environment::text(name).ok_or_else(unset)?;
    Ok(Cow::Owned(format!("{before}{value}{}", expand(rest)?)))
}

/// The most verbose level that is logged. Costs two loads of values that are seldom written.
pub(crate) fn max_level() -> LevelFilter {
    const LEVELS: [LevelFilter; 6] = [
        LevelFilter::Off,
        LevelFilter::Error,
        LevelFilter::Warn,
        LevelFilter::Info,
        LevelFilter::Debug,
        LevelFilter::Trace,
    ];
    LEVELS.get(LEVEL.load(Ordering::Relaxed)).copied().unwrap_or_else(log::max_level)
}

/// True if lines of `level` are logged.
pub fn is_enabled(level: Level) -> bool {
    level <= max_level()
}

/// A message as the log shows it: on one line, with control characters escaped. Plugins choose messages; a message must
/// not fake lines or drive a terminal.
pub(crate) struct Line(String);

impl Line {
    pub(crate) fn of(message: impl Display) -> Self {
        let format = if IS_V1.load(Ordering::Relaxed) { Format::V1 } else { Format::V0 };
        Self(format.one_line(message))
    }

    /// The length in bytes. Escapes make it up to five times that of the message.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Logs a message that is about no plugin.
pub fn record(level: Level, target: &str, message: Arguments<'_>) {
    record_of(level, Origin { target, plugin: None }, message);
}

/// Logs a message.
pub(crate) fn record_of(level: Level, origin: Origin<'_>, message: Arguments<'_>) {
    if is_enabled(level) {
        record_line(level, origin, &Line::of(message));
    }
}

/// Logs one line. The plugin's id follows its text.
pub(crate) fn record_line(level: Level, origin: Origin<'_>, Line(message): &Line) {
    if !is_enabled(level) {
        return;
    }
    match origin.plugin {
        Some(id) => send(level, origin.target, format_args!("{message} plugin=\"{id}\"")),
        None => send(level, origin.target, format_args!("{message}")),
    }
}

/// Hands a line to the sink, or to the host's logger.
fn send(level: Level, target: &str, line: Arguments<'_>) {
    // Neither the library's sink nor the host's logger is used under the lock: the sink may wait for a reader, the
    // logger may call the library.
    let sink = SINK.read().clone();
    let record = Record::builder().level(level).target(target).args(line).build();
    match sink {
        Some(sink) => sink.log(&record),
        // The host's logger may call the library, wait, or fork.
        None => {
            let _inside = InLogger::enter();
            fork::outside(|| log::logger().log(&record));
        }
    }
}

/// Logs a note: one line of the library's own about what it does. Inside the host's logger it does nothing, because the
/// logger would be called from within itself, endlessly if it makes a mistake each time. If the logger panics, the line
/// is lost.
pub fn note(level: Level, message: Arguments<'_>) {
    note_of(level, None, message);
}

/// Logs a [`note`] that is about the plugin of this id, if there is one.
pub fn note_of(level: Level, plugin: Option<&str>, message: Arguments<'_>) {
    if is_enabled(level) && NOTES.load(Ordering::Relaxed) && !IN_LOGGER.get() {
        let origin = Origin { target: TARGET, plugin };
        let _ = catch_unwind(AssertUnwindSafe(|| record_of(level, origin, message)));
    }
}

/// True if [notes](note) are logged.
static NOTES: AtomicBool = AtomicBool::new(true);

/// Switches notes off, for a program that reports failures itself.
#[cfg(feature = "compiler")]
pub fn without_notes() {
    NOTES.store(false, Ordering::Relaxed);
}

thread_local! {
    /// True while this thread calls the host's logger.
    static IN_LOGGER: Cell<bool> = const { Cell::new(false) };
}

/// Marks a call of the host's logger on this thread, until it is dropped.
struct InLogger {
    before: bool,
}

impl InLogger {
    fn enter() -> Self {
        Self { before: IN_LOGGER.replace(true) }
    }
}

impl Drop for InLogger {
    fn drop(&mut self) {
        IN_LOGGER.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::{environment, expand};

    #[test]
    fn environment_variables_in_paths_are_expanded() {
        let path = environment::text("PATH").expect("every test has a PATH");
        let expanded = |path| expand(path).map_err(|error| error.to_string());
        assert_eq!(expanded("a/$ENV{PATH}/b$ENV{PATH}"), Ok(format!("a/{path}/b{path}").into()));
        assert_eq!(expanded("plain$ENV{"), Ok("plain$ENV{".into()));
        let unset = "the environment variable `EXTISM_NOT_SET` is not set";
        assert_eq!(expanded("$ENV{PATH}$ENV{EXTISM_NOT_SET}/x"), Err(unset.to_owned()));
    }
}
