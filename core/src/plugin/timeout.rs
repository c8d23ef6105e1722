//! The limit on the time of a call, and the error texts of calls that end at a limit.

use std::time::{Duration, Instant};

use crate::environment;
use crate::error::Excerpt;
use crate::manifest;
use crate::stop::Stopped;

/// The limit on the time of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout {
    after: Duration,
    /// The setting that it comes from, for errors.
    set_by: &'static str,
}

impl Timeout {
    /// The timeout that the manifest sets, else the one that the environment does.
    pub(super) fn of(manifest: Option<Duration>) -> Option<Self> {
        match manifest {
            Some(after) => Some(Self { after, set_by: "timeout_ms" }),
            None => environment::TIMEOUT.value().map(|after| Self { after, set_by: "EXTISM_TIMEOUT_MS" }),
        }
    }
}

/// The deadline of a call that begins at this moment.
pub(super) fn deadline(timeout: Option<Timeout>) -> Option<Instant> {
    manifest::deadline(timeout.map(|timeout| timeout.after))
}

/// The error text when `limit` instructions were used up: by a call of `function`, or by a start if there is none.
pub(super) fn out_of_fuel(function: Option<&Excerpt>, limit: u64) -> String {
    let subject = function.map_or_else(|| "it".to_owned(), |name| format!("the call of `{name}`"));
    format!("out of fuel: {subject} has not ended within the {limit} instructions that it may execute (fuel)")
}

/// The error text for a call that was stopped.
pub(super) fn stopped(reason: Stopped, timeout: Option<Timeout>) -> String {
    match (reason, timeout) {
        (Stopped::Timeout, Some(Timeout { after, set_by })) => {
            format!("timeout: it has taken more than {} ms ({set_by})", after.as_millis())
        }
        (Stopped::Timeout, None) => "timeout".to_owned(),
        (Stopped::Cancelled, _) => "cancelled by another thread".to_owned(),
    }
}
