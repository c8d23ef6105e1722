//! Where log lines go. The library holds a sink of its own, so that it works beside whatever logger the host has
//! installed and can be set again at any time; as long as none is set, lines go to the host's, through the `log`
//! crate.
//!
//! Nobody waits longer than [`PATIENCE`] for whoever reads a sink: plugins log, and have deadlines. A line that the sink has not
//! taken until then is lost; how many were is said when it takes lines again. The one lock that all threads share is held for no longer than it takes to
//! look which sink there is.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Arguments;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fern::Dispatch;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::environment;
use crate::error::{self, Excerpt};
use crate::fork;
use crate::outlet::Outlet;
use crate::sync::{Mutex, RwLock};

/// Under which target the library's own lines are logged.
pub(crate) const TARGET: &str = "extism";

/// Under which target plugins' lines are logged.
pub(crate) const PLUGIN_TARGET: &str = "extism::plugin";

/// How long a line may wait for a sink that takes nothing, such as a pipe whose reader is slow. After one that has waited in
/// vain, the next do not wait until one gets through.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long a line may wait for other threads' lines. Those wait for a reader no longer than [`PATIENCE`] all together, but
/// their threads may have to wait for a processor, and a disk may be slow.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

static SINK: RwLock<Option<Arc<dyn Log>>> = RwLock::new(None);

/// The level of the sink, [`NO_SINK`] if there is none. Beside the sink, as calls ask for it.
static LEVEL: AtomicUsize = AtomicUsize::new(NO_SINK);

const NO_SINK: usize = usize::MAX;

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
/// The file cannot be opened, or its name has a variable that is not set; the sink before stays.
pub(crate) fn set(destination: Destination<'_>, level: LevelFilter) -> io::Result<()> {
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

/// The lowest level that is logged at all. Costs two loads of what is seldom written.
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

/// Whether lines of `level` are logged.
pub(crate) fn is_enabled(level: Level) -> bool {
    level <= max_level()
}

/// Logs one line.
pub(crate) fn record(level: Level, target: &str, message: Arguments<'_>) {
    if !is_enabled(level) {
        return;
    }
    // A plugin chooses its messages; it must not be able to fake lines or drive a terminal.
    let message = error::one_line(message);
    // Neither the library's sink nor the host's logger is used with the lock held: the one may wait for a reader, the
    // other may call the library.
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

/// Logs one line of the library's own about what it does. Says nothing of what a host's logger makes it do: that would be
/// called again from inside, without end if it is a mistake that it makes. Should the logger panic, the line is lost.
pub(crate) fn note(level: Level, message: Arguments<'_>) {
    if is_enabled(level) && NOTES.load(Ordering::Relaxed) && !IN_LOGGER.get() {
        let _ = catch_unwind(AssertUnwindSafe(|| record(level, TARGET, message)));
    }
}

/// Whether there are [notes](note).
static NOTES: AtomicBool = AtomicBool::new(true);

/// For a program that says itself what fails.
#[cfg(feature = "compiler")]
pub(crate) fn without_notes() {
    NOTES.store(false, Ordering::Relaxed);
}

thread_local! {
    /// Whether the host's logger is being called on this thread.
    static IN_LOGGER: Cell<bool> = const { Cell::new(false) };
}

/// The host's logger is being called, until it is dropped.
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

/// The end of the dispatch: writes what fern has formatted.
struct Sink {
    /// Lines that were lost since the last one that got through.
    lost: AtomicU64,
    /// A line has waited in vain.
    is_stalled: AtomicBool,
    file: Mutex<LogFile>,
}

struct LogFile {
    outlet: Outlet,
    /// What was written last ends in the middle of a line.
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
            // With the lock still held: who waits for it shall not wait for the reader once more.
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

    /// Writes how many lines were lost, if any were. They are still if that cannot be written.
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
    /// Writes a line, at once if the file takes it: lines that other processes write to the same file are before or after it.
    /// Returns whether all of it was written.
    fn write(&mut self, line: &str, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        // After half a line, the next one has a line of its own.
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

/// A line as it is written, without its end.
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
