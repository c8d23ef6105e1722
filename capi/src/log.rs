//! The log, as C sets and drains it, and the lines about C functions that fail.

use std::ffi::CStr;
use std::fmt::Display;

use log::{Level, LevelFilter};

use extism_core::error::{self, Excerpt};
use extism_core::first_use;
use extism_core::log as sink;
use extism_core::log::{Destination, Format};

use crate::{arg, fork};

/// A text from C, which may be NULL.
type Text<'a> = Result<Option<&'a str>, arg::Error>;

/// Sets the destination of log lines of the 0.1 face, for the whole process: `-` or `stdout`, `stderr`, or the path of
/// a file; `None` means `stderr`. `level` is the name of one; `None` means `error`.
///
/// Returns false if that cannot be done. The log then stays as it was, and gets a line about it that names `function`,
/// the C function that was called.
pub fn set(function: &str, filename: Text<'_>, level: Text<'_>) -> bool {
    set_or_log(function, || {
        let filename = filename?.unwrap_or("stderr");
        let destination = match filename {
            "-" | "stdout" => Destination::Stdout,
            "stderr" => Destination::Stderr,
            path => Destination::ExpandedFile(path),
        };
        let level = level?.unwrap_or("error");
        let level = level.parse::<LevelFilter>().map_err(|_| {
            let level = Excerpt::of(level);
            format!("log_level: `{level}` is not off, error, warn, info, debug or trace")
        })?;
        set_file(filename, destination, Format::V0, level)
    })
}

/// Sets the destination of log lines of the 1.x face, for the whole process: `-` or `stderr`, `stdout`, or the path of
/// a file, which is appended to and made if it is missing, but no directory is; `None` means `stderr`. `level` is one
/// or a filter ([`sink::level_of`]); `None` means `error`. Can be called as often as wanted.
///
/// Returns false if that cannot be done. The log then stays as it was, and gets a line about it.
pub fn set_v1(filename: Text<'_>, level: Text<'_>) -> bool {
    set_or_log("extism_log_file", || {
        let filename = filename?.unwrap_or("stderr");
        let destination = match filename {
            "-" | "stderr" => Destination::Stderr,
            "stdout" => Destination::Stdout,
            path => Destination::File(path),
        };
        set_file(filename, destination, Format::V1, level_v1(level)?)
    })
}

/// Makes the buffer that [`drain`] empties the destination of log lines, for the whole process. It keeps lines that it
/// has already, so that a second call only changes the level. `level` is as for [`set_v1`].
///
/// Returns false if that cannot be done. The log then stays as it was, and gets a line about it.
pub fn set_buffer(level: Text<'_>) -> bool {
    set_or_log("extism_log_custom", || {
        sink::set(Destination::Buffer, Format::V1, level_v1(level)?).map_err(|error| Failure(error.to_string()))
    })
}

/// Takes all lines out of the buffer, then calls `work` with each, oldest first. A line ends in a newline and contains
/// no other; its length in bytes is what C is told beside the pointer. Without [`set_buffer`] there are none.
///
/// No lock is held while `work` runs: it may log, drain, and call plugins. Lines that are logged meanwhile are for the
/// next drain.
pub fn drain(mut work: impl FnMut(&CStr)) {
    sink::drain(|line| work(&error::to_c_string(line)));
}

/// Why the log cannot be set.
struct Failure(String);

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<arg::Error> for Failure {
    fn from(error: arg::Error) -> Self {
        Self(error.to_string())
    }
}

fn set_or_log(function: &str, set: impl FnOnce() -> Result<(), Failure>) -> bool {
    first_use::begin();
    fork::prepare();
    // The line goes to the log as it was before the call.
    let log = |Failure(why): &Failure| sink::record(Level::Error, sink::TARGET, format_args!("{function}: {why}"));
    set().inspect_err(log).is_ok()
}

fn set_file(filename: &str, destination: Destination<'_>, format: Format, level: LevelFilter) -> Result<(), Failure> {
    sink::set(destination, format, level).map_err(|error| Failure(format!("`{}`: {error}", Excerpt::of(filename))))
}

fn level_v1(level: Text<'_>) -> Result<LevelFilter, Failure> {
    sink::level_of(level?.unwrap_or("error")).map_err(|error| Failure(format!("log_level: {error}")))
}

/// Logs that a C function of the 0.1 face failed, for `plugin` if there is one, with `text` as the reason. Calls of
/// plugins do not use it: their failures are logged at the end of the call.
pub fn note_failure(plugin: Option<impl Display>, text: &str) {
    let Some(shown) = reason(text) else { return };
    match plugin {
        Some(plugin) => sink::note(Level::Error, format_args!("plugin {plugin}: {shown}")),
        None => sink::note(Level::Error, format_args!("{shown}")),
    }
}

/// Logs that a C function of the 1.x face failed, with `text` as the reason. `label` is the id of the plugin
/// that it is about, which the line ends with. Calls of plugins do not use it, as above.
pub fn note_failure_v1(label: Option<&str>, text: &str) {
    if let Some(shown) = reason(text) {
        sink::note_of(Level::Error, label, format_args!("{shown}"));
    }
}

/// Logs that `function`, a C function of both faces, failed, for the reason `why`. It may be the program's first use of the
/// library.
pub(crate) fn note_failed(function: &str, why: impl Display) {
    first_use::begin();
    fork::prepare();
    note_failure_v1(None, &format!("{function}: {why}"));
}

/// The text of an error as a line shows it; `None` if errors are not logged.
fn reason(text: &str) -> Option<String> {
    /// The most bytes of an error's text that are logged.
    const MOST: usize = 512;
    sink::is_enabled(Level::Error).then(|| {
        let mut text = error::summary(text);
        text.truncate(text.floor_char_boundary(MOST));
        text
    })
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::process;

    use log::Level::{Debug, Error, Info};

    use super::{drain, note_failure_v1, set_buffer, set_v1, sink};

    fn record(level: log::Level, text: &str) {
        sink::record(level, sink::TARGET, format_args!("{text}"));
    }

    /// The lines of the buffer without their times.
    fn drained() -> Vec<String> {
        let mut lines = Vec::new();
        drain(|line| lines.push(line.to_str().expect("UTF-8")["2026-11-29T20:57:52.296845Z ".len()..].to_owned()));
        lines
    }

    /// One test, because the process has one log.
    #[test]
    fn the_log_of_the_1x_face_is_a_buffer_or_a_file() {
        assert!(drained().is_empty());
        assert!(set_buffer(Ok(None)));
        record(Error, "one\ntwo\0three");
        record(Info, "above the level");
        assert!(set_buffer(Ok(Some("cranelift=off,extism=Info"))));
        record(Info, "after a change");
        record(Debug, "above the level");
        note_failure_v1(Some("id"), "first\n\nCaused by:\n    second");
        note_failure_v1(None, &"x".repeat(600));
        assert!(!set_buffer(Ok(Some("degub"))), "the log stays as it is");
        let lines = drained();
        assert_eq!(lines[0], "ERROR extism: one\\ntwo\\x00three\n");
        assert_eq!(lines[1], " INFO extism: after a change\n");
        assert_eq!(lines[2], "ERROR extism: first: second plugin=\"id\"\n");
        assert_eq!(lines[3], format!("ERROR extism: {}\n", "x".repeat(512)));
        assert!(lines[4].starts_with("ERROR extism: extism_log_custom: log_level: `degub` is not "), "{}", lines[4]);
        assert_eq!(lines.len(), 5, "{lines:?}");

        let folder = env::temp_dir().join(format!("extism-log-{}", process::id()));
        let inside = folder.join("log");
        assert!(!set_v1(Ok(inside.to_str()), Ok(None)), "no directory is made");
        record(Info, "still in the buffer");
        fs::create_dir(&folder).expect("writable");
        fs::write(&inside, "before\n").expect("writable");
        assert!(set_v1(Ok(inside.to_str()), Ok(Some("debug"))));
        record(Debug, "in the file");
        let text = fs::read_to_string(&inside).expect("text");
        fs::remove_dir_all(&folder).expect("it is ours");
        let (before, line) = text.split_once('\n').expect("two lines");
        assert!(before == "before" && line.ends_with("Z DEBUG extism: in the file\n"), "{text}");
        let lines = drained();
        assert!(lines[0].starts_with("ERROR extism: extism_log_file: `") && lines[0].contains("No such file"));
        assert_eq!(lines[1..], [" INFO extism: still in the buffer\n"]);
    }
}
