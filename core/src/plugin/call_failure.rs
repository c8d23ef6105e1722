//! The result of a call, for the caller.

use crate::error;

/// The return value of the function that was called, or why there is none.
pub(crate) type CallOutcome = Result<i32, Box<CallFailure>>;

/// Why a call has failed: the plugin has set an error, or the host has found one, or both.
#[derive(Debug)]
pub struct CallFailure {
    /// The status that the function returned, or that the plugin exited with; -1 if there is none.
    pub code: i32,
    /// The error that the plugin has set.
    pub guest: Option<String>,
    /// The error that the host has found.
    pub host: Option<HostFailure>,
}

/// An error that the host has found in a call.
#[derive(Debug)]
pub struct HostFailure {
    /// The subject of the error.
    pub kind: FailureKind,
    /// The reason, without a heading. It may have several lines.
    pub reason: String,
    /// The functions of the plugin that were running, innermost first, one a line; empty if that is not known.
    pub backtrace: String,
    /// Where a text of Extism 0.1.0 has the reason.
    pub(super) heading: Heading,
}

/// The subject of an error of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The call has not begun: no such function, or one that cannot be called; no room for the input; no timer.
    NotCalled,
    /// The plugin's code trapped.
    Trap,
    /// A function that the plugin imports has failed.
    Fault,
    /// The call's time was over.
    Timeout,
    /// Another thread has cancelled the call.
    Cancelled,
    /// The call has executed as many instructions as it may.
    OutOfFuel,
    /// The plugin exited with this status, which is not 0.
    Exit(i32),
}

/// The words before a reason, in the texts of Extism 0.1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heading {
    None,
    /// `Call failed: `, then the reason.
    CallFailed,
    /// `Call failed`, then the reason in a list of causes.
    CausedBy,
}

impl CallFailure {
    /// The error as Extism 0.1.0 words it: the plugin's own text first, then the host's. A plugin that sets an error and
    /// exits has told its status by that.
    pub fn text(&self) -> String {
        let is_told = |host: &&HostFailure| self.guest.is_some() && host.is_status();
        match (&self.guest, self.host.as_ref().filter(|host| !is_told(host)).map(HostFailure::text)) {
            (Some(guest), Some(host)) => format!("{guest}\n\n{host}"),
            (Some(guest), None) => guest.clone(),
            (None, host) => host.unwrap_or_default(),
        }
    }
}

impl HostFailure {
    /// An error that a text of Extism 0.1.0 has without a heading.
    pub fn new(kind: FailureKind, reason: String, backtrace: String) -> Self {
        Self { kind, reason, backtrace, heading: Heading::None }
    }

    /// True if the plugin exited with a status that the caller gets.
    fn is_status(&self) -> bool {
        matches!(self.kind, FailureKind::Exit(_)) && self.heading == Heading::None
    }

    fn text(&self) -> String {
        let mut text = self.reason.clone();
        if !self.backtrace.is_empty() && !matches!(self.kind, FailureKind::Exit(_)) {
            text.push_str("\nwasm backtrace:");
            self.backtrace.lines().for_each(|frame| text.extend(["\n    ", frame]));
        }
        match self.heading {
            Heading::None => text,
            Heading::CallFailed => format!("Call failed: {text}"),
            Heading::CausedBy => {
                error::bounded(format!("Call failed\n\nCaused by:\n    {}", text.replace('\n', "\n    ")))
            }
        }
    }
}
