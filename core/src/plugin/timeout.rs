//! The limit on the time of a call, and the error texts of calls that end at a limit.

use std::time::{Duration, Instant};

use crate::environment;
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

/// The error text for a call that used up its `limit` of instructions.
pub(super) fn out_of_fuel(limit: u64) -> String {
    format!("out of fuel: it has not ended within the {limit} instructions that a call may execute (fuel)")
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
