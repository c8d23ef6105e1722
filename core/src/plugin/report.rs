//! Logs plugins and calls: a line of level debug for each plugin made and each call, and one of level error for each
//! failed call. If these levels are off, nothing reads a clock, copies or formats.

use std::ffi::{CStr, CString};
use std::fmt::{self, Display};
use std::time::Instant;

use log::Level;

use super::call::{Complaint, Outcome};
use super::link::Plan;
use crate::code::CompiledPlugin;
use crate::log as sink;

/// In bytes. Longer texts from outside are cut in a log line.
const MOST: usize = 256;

/// The most modules that a line names.
const MODULES: usize = 8;

/// The start time for a line of level debug; `None` if that level is off.
pub(super) fn clock() -> Option<Instant> {
    sink::is_enabled(Level::Debug).then(Instant::now)
}

/// Logs that a plugin was made.
pub(super) fn created(plan: &Plan, compiled: &CompiledPlugin, since: Option<Instant>) {
    let Some(since) = since else { return };
    let (took, compiler) = (since.elapsed(), compiled.compiler);
    // Read once for each plugin: reading it makes it `Process` for the next plugin of the same code.
    let origin = compiled.origin();
    sink::note(
        Level::Debug,
        format_args!("plugin made in {took:?} of {}: code of {compiler}, {origin}", Modules(plan)),
    );
}

/// Logs that a call has ended.
pub(super) fn called(plan: &Plan, function: Option<&CStr>, since: Option<Instant>, outcome: &Outcome) {
    if since.is_none() && !sink::is_enabled(Level::Error) {
        return;
    }
    let plugin = Start(plan.modules.last().map_or("", |main| &main.name));
    let function = Named(function);
    match (outcome, since.map(|since| since.elapsed())) {
        (Ok(code), Some(took)) => {
            sink::note(Level::Debug, format_args!("call{function} of plugin `{plugin}`: {code} in {took:?}"));
        }
        (Ok(_), None) => {}
        (Err(complaint), took) => {
            let took = took.map_or_else(String::new, |took| format!(" after {took:?}"));
            let reason = Start(reason(complaint));
            sink::note(Level::Error, format_args!("call{function} of plugin `{plugin}` failed{took}: {reason}"));
        }
    }
}

/// The first line of an error that states a reason; most of the host's errors begin with a heading.
fn reason(complaint: &Complaint) -> &str {
    let mut lines = complaint.text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "Caused by:");
    match (lines.next(), lines.next()) {
        (Some("Call failed"), Some(cause)) => cause,
        (first, _) => first.unwrap_or_default(),
    }
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

/// Displays a function's name, if it is known.
struct Named<'a>(Option<&'a CStr>);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, " of `{}`", Start(&name.to_string_lossy())),
            None => Ok(()),
        }
    }
}

/// Displays the modules of a plugin, the main one first, each with the BLAKE3 of its bytes, its name in the code.
struct Modules<'a>(&'a Plan);

impl Display for Modules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modules = &self.0.modules;
        for (index, linked) in modules.iter().rev().take(MODULES).enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            let hash = linked.module.name().unwrap_or("unknown");
            write!(f, "{separator}`{}` (BLAKE3 {})", Start(&linked.name), Start(hash))?;
        }
        if modules.len() > MODULES { write!(f, " and {} more", modules.len() - MODULES) } else { Ok(()) }
    }
}

/// A copy of a function's name, if there is to be a line of level debug.
pub(super) fn copy(name: &CStr, since: Option<Instant>) -> Option<CString> {
    since.map(|_| name.to_owned())
}
