//! Logs plugins and calls: a line of level debug for each plugin made and each call, and one of level error for each
//! failed call. Calls in the 1.x face, whose plugins have a label, are of level trace, as Extism 1.x has them. If these
//! levels are off, nothing reads a clock, copies or formats.

use std::ffi::CStr;
use std::fmt::{self, Display};
use std::time::Instant;

use log::Level;

use super::call_failure::{CallFailure, CallOutcome};
use super::link::Plan;
use crate::code::PluginCode;
use crate::error::{self, Excerpt};
use crate::log as sink;
use crate::module::digest::Digest;

/// In bytes. Longer texts from outside are cut in a log line.
const MOST: usize = 256;

/// The most modules that a line names.
const MODULES: usize = 8;

/// The start time for a line of level debug; `None` if that level is off.
pub(super) fn clock() -> Option<Instant> {
    sink::is_enabled(Level::Debug).then(Instant::now)
}

/// A plugin was made.
pub(super) fn created(
    plan: &Plan,
    sha256: impl Fn(&str) -> Option<Digest>,
    compiled: &PluginCode,
    label: Option<&str>,
    since: Option<Instant>,
) {
    let Some(since) = since else { return };
    let (took, compiler) = (since.elapsed(), compiled.compiler);
    // Read once for each plugin: reading it makes it `Process` for the next plugin of the same code.
    let origin = compiled.origin();
    sink::note_of(
        Level::Debug,
        label,
        format_args!("plugin made in {took:?} of {}: code of {compiler}, {origin}", Modules(plan, sha256)),
    );
}

/// A call has ended.
pub(super) fn called(
    plan: &Plan,
    label: Option<&str>,
    function: Called<'_>,
    since: Option<Instant>,
    outcome: &CallOutcome,
) {
    if since.is_none() && !sink::is_enabled(Level::Error) {
        return;
    }
    let plugin = Start(plan.modules.last().map_or("", |main| &main.name));
    match (outcome, since.map(|since| since.elapsed())) {
        (Ok(code), Some(took)) => {
            let level = if label.is_some() { Level::Trace } else { Level::Debug };
            sink::note_of(level, label, format_args!("call{function} of plugin `{plugin}`: {code} in {took:?}"));
        }
        (Ok(_), None) => {}
        (Err(failure), took) => {
            let took = took.map_or_else(String::new, |took| format!(" after {took:?}"));
            let reason = reason(failure);
            let reason = Start(&reason);
            let line = format_args!("call{function} of plugin `{plugin}` failed{took}: {reason}");
            sink::note_of(Level::Error, label, line);
        }
    }
}

/// Why a call failed, on one line, without the heading that most of the host's own errors begin with.
fn reason(failure: &CallFailure) -> String {
    let summary = error::summary(&failure.text());
    summary.strip_prefix("Call failed: ").map(str::to_owned).unwrap_or(summary)
}

/// Displays at most [`MOST`] bytes of a text.
struct Start<'a>(&'a str);

impl Display for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.floor_char_boundary(MOST);
        f.write_str(&self.0[..end])?;
        if end < self.0.len() { write!(f, "... {} more bytes", self.0.len() - end) } else { Ok(()) }
    }
}

/// The function that was called.
pub(super) enum Called<'a> {
    Name(FunctionName),
    /// As an error names it.
    Excerpt(&'a Excerpt),
    /// The call failed before its function was looked for, and the caller's text may be gone.
    Unknown,
}

impl Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(FunctionName { start, more: 0 }) => write!(f, " of `{start}`"),
            Self::Name(FunctionName { start, more }) => write!(f, " of `{start}... {more} more bytes`"),
            Self::Excerpt(name) => write!(f, " of `{name}`"),
            Self::Unknown => Ok(()),
        }
    }
}

/// The modules of a plugin, the main one first, each with the SHA-256 of its bytes, which manifests and the cache on
/// disk name it by.
struct Modules<'a, F>(&'a Plan, F);

impl<F: Fn(&str) -> Option<Digest>> Display for Modules<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modules = &self.0.modules;
        for (index, linked) in modules.iter().rev().take(MODULES).enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}`{}`", Start(&linked.name))?;
            if let Some(sha256) = self.1(&linked.name) {
                write!(f, " (SHA-256 {sha256})")?;
            }
        }
        if modules.len() > MODULES { write!(f, " and {} more", modules.len() - MODULES) } else { Ok(()) }
    }
}

/// A function's name as far as a line shows it: callers choose names, which may be longer than there is memory for a
/// copy.
pub(super) struct FunctionName {
    /// At most [`MOST`] bytes.
    start: String,
    /// The number of bytes that follow.
    more: usize,
}

impl FunctionName {
    pub(super) fn of(name: &CStr) -> Self {
        let bytes = name.to_bytes();
        let mut end = bytes.len().min(MOST);
        // Does not end inside a character, of which all bytes but the first are 0b10xx_xxxx.
        while end < bytes.len() && end > 0 && bytes[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        Self { start: String::from_utf8_lossy(&bytes[..end]).into_owned(), more: bytes.len() - end }
    }
}

/// A copy of a function's name, if there is to be a line of level debug.
pub(super) fn copy(name: &CStr, since: Option<Instant>) -> Option<FunctionName> {
    since.map(|_| FunctionName::of(name))
}

#[cfg(test)]
mod tests {
    use super::{Called, FunctionName, MOST};
    use std::ffi::CString;

    #[test]
    fn names_are_copied_as_far_as_they_are_shown() {
        let x = |count: usize| "x".repeat(count);
        for (name, shown) in [
            ("run".to_owned(), "run".to_owned()),
            (x(MOST), x(MOST)),
            (x(MOST + 1), format!("{}... 1 more bytes", x(MOST))),
            (x(1 << 20), format!("{}... {} more bytes", x(MOST), (1 << 20) - MOST)),
            (x(MOST - 1) + "é", format!("{}... 2 more bytes", x(MOST - 1))),
        ] {
            let copy = FunctionName::of(&CString::new(name).expect("no NUL"));
            assert_eq!(Called::Name(copy).to_string(), format!(" of `{shown}`"));
        }
        // No text at all: nothing but continuation bytes.
        let copy = FunctionName::of(&CString::new(vec![0x80; 1000]).expect("no NUL"));
        assert!(copy.start.is_empty() && copy.more == 1000);
        assert_eq!(Called::Unknown.to_string(), "");
    }
}
