//! The library's log. It has a sink of its own, so that it works beside any logger of the host and can be changed at
//! any time. Without a sink, lines go to the host's logger, through the `log` crate.
//!
//! No thread waits for a sink's reader longer than [`PATIENCE`], because plugins log and have deadlines. A line that
//! the sink does not take in that time is lost; the number of lost lines is logged once the sink takes lines again. The
//! one lock that all threads share is held only to look up the current sink.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{Arguments, Display};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fern::Dispatch;
pub use log::LevelFilter;
use log::{Level, Log, Metadata, Record};

use crate::environment;
use crate::error::{self, Excerpt};
use crate::fork;
use crate::outlet::Outlet;
use crate::sync::{Mutex, RwLock};

/// The target of the library's own lines.
pub const TARGET: &str = "extism";

/// The target of plugins' lines.
pub(crate) const PLUGIN_TARGET: &str = "extism::plugin";

/// The time that a line may wait for a sink that takes nothing, such as a pipe with a slow reader. After one line has
/// waited in vain, the next ones do not wait until one gets through.
const PATIENCE: Duration = Duration::from_millis(20);

/// The time that a line may wait for other threads' lines. These wait for a reader no longer than [`PATIENCE`] all
/// together, but their threads may have to wait for a processor, and a disk may be slow.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

static SINK: RwLock<Option<Arc<dyn Log>>> = RwLock::new(None);

/// The sink's level as a number, or [`NO_SINK`]. Stored beside the sink because every call reads it.
static LEVEL: AtomicUsize = AtomicUsize::new(NO_SINK);

const NO_SINK: usize = usize::MAX;

/// The destination of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to; missing directories are made.
    File(&'a str),
}

/// Replaces the sink by one that writes lines of `level` and above to `destination`.
///
/// # Errors
/// The file cannot be opened; the old sink stays.
pub fn set(destination: Destination<'_>, level: LevelFilter) -> io::Result<()> {
    let outlet = match destination {
        Destination::Stdout => Outlet::Stdout,
        Destination::Stderr => Outlet::Stderr,
        Destination::File(path) => Outlet::open(Path::new(expand(path)?.as_ref()))?,
    };
    let dispatch = Dispatch::new().level(level).format(|out, message, record| {
        out.finish(format_args!("{}", line(record.level(), record.target(), message)));
    });
    let end: Box<dyn Log> = Box::new(Sink::new(outlet));
    let (level, log) = dispatch.chain(end).into_log();
    let mut sink = SINK.write();
    LEVEL.store(level as usize, Ordering::Relaxed);
    let before = sink.replace(Arc::from(log));
    drop(sink);
    // Closing a file may take a while.
    drop(before);
    Ok(())
}

/// Replaces each `$ENV{NAME}` by that variable, as Extism 0.1.0 did. Fails if it is not set, or is not UTF-8: a file
/// that is called `$ENV{NAME}` is what nobody wants.
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
        Self(error::one_line(message))
    }

    /// The length in bytes. Escapes make it up to five times that of the message.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Logs a message.
pub fn record(level: Level, target: &str, message: Arguments<'_>) {
    if is_enabled(level) {
        record_line(level, target, &Line::of(message));
    }
}

pub(crate) fn record_line(level: Level, target: &str, Line(message): &Line) {
    if !is_enabled(level) {
        return;
    }
    // Neither the library's sink nor the host's logger is used under the lock: the sink may wait for a reader, the
    // logger may call the library.
    let sink = SINK.read().clone();
    let arguments = format_args!("{message}");
    let record = Record::builder().level(level).target(target).args(arguments).build();
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
    if is_enabled(level) && NOTES.load(Ordering::Relaxed) && !IN_LOGGER.get() {
        let _ = catch_unwind(AssertUnwindSafe(|| record(level, TARGET, message)));
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

/// The last logger of fern's chain: writes the formatted lines.
struct Sink {
    /// Lines lost since the last one that got through.
    lost: AtomicU64,
    /// The last line waited in vain.
    is_stalled: AtomicBool,
    file: Mutex<LogFile>,
}

struct LogFile {
    outlet: Outlet,
    /// The last write ended in the middle of a line.
    is_cut: bool,
}

impl Sink {
    fn new(outlet: Outlet) -> Self {
        let file = Mutex::new(LogFile { outlet, is_cut: false });
        Self { lost: AtomicU64::new(0), is_stalled: AtomicBool::new(false), file }
    }

    /// Writes a line, or counts it as lost.
    fn put(&self, line: &str) {
        let patience = if self.is_stalled() { Duration::ZERO } else { LOCK_PATIENCE };
        let is_written = self.file.try_lock_for(patience).is_some_and(|mut file| {
            let is_written = self.tell_lost(&mut file) && file.write(line, self.patience());
            // Set under the lock: a thread that waits for the lock must not wait for the reader once more.
            self.is_stalled.store(!is_written, Ordering::Relaxed);
            is_written
        });
        if !is_written {
            self.is_stalled.store(true, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed)
    }

    fn patience(&self) -> Duration {
        if self.is_stalled() { Duration::ZERO } else { PATIENCE }
    }

    /// Writes the number of lost lines, if there are any. If that fails, they stay counted.
    fn tell_lost(&self, file: &mut LogFile) -> bool {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost == 0 {
            return true;
        }
        let text = format!("lines lost before this one, which the log did not take, or not in time: {lost}");
        let is_told = file.write(&(line(Level::Warn, TARGET, &format_args!("{text}")) + "\n"), self.patience());
        if is_told {
            self.lost.fetch_sub(lost, Ordering::Relaxed);
            self.is_stalled.store(false, Ordering::Relaxed);
        }
        is_told
    }
}

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.put(&format!("{}\n", record.args()));
    }

    fn flush(&self) {}
}

impl LogFile {
    /// Writes a line, in a single write if the file takes it, so that lines of other processes do not mix into it.
    /// Returns true if all of it was written.
    fn write(&mut self, line: &str, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        // After half a line, start a new one.
        let line = if self.is_cut { format!("\n{line}") } else { line.to_owned() };
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match self.outlet.write(rest) {
                Ok(count @ 1..) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.outlet.wait(left);
                }
                Ok(0) | Err(_) => break,
            }
        }
        let written = line.len() - rest.len();
        if let Some(last) = line.as_bytes()[..written].last() {
            self.is_cut = *last != b'\n';
        }
        rest.is_empty()
    }
}

/// The text of a line, without the line end.
fn line(level: Level, target: &str, message: &Arguments<'_>) -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now());
    format!("{target} {level} {time} - {message}")
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
