//! Why a call has no status, and what its caller is told.

use thiserror::Error as ThisError;
use wasmer::RuntimeError;

use super::complaint::{CallOutcome, Complaint};
use super::error::Error;
use super::link::Linked;
use super::timeout::{Timeout, out_of_fuel, stopped};
use super::trap;
use crate::error::{self, Excerpt};
use crate::host::Fault;
use crate::stop::{NoTimer, Stopped};
use crate::wasi;

/// A result within a call. Errors are boxed, as they are rare and large.
pub(super) type CallResult<T> = Result<T, Box<CallError>>;

/// Why a call has no status.
#[derive(Debug, ThisError)]
pub(super) enum CallError {
    #[error("the function's name is not UTF-8 from byte {0} on")]
    BadName(usize),
    #[error("Function not found: {0}")]
    NotFound(Excerpt),
    #[error("Function {name} has {results} results, expected 0 or 1")]
    TooManyResults { name: Excerpt, results: usize },
    #[error("Function {name} returns {ty}, expected i32 or nothing")]
    BadResult { name: Excerpt, ty: String },
    #[error(
        "Call failed\n\nCaused by:\n    expected {parameters} arguments, got 0: a function of a plugin takes none, `{name}` does"
    )]
    Parameters { name: Excerpt, parameters: usize },
    /// [`trap::describe`] makes the text that the caller gets.
    #[error(transparent)]
    Trap(RuntimeError),
    #[error("Call failed\n\nCaused by:\n    {}", stopped(*.0, *.1))]
    Stopped(Stopped, Option<Timeout>),
    #[error("Call failed: {0}")]
    Timer(NoTimer),
    #[error("Call failed\n\nCaused by:\n    {}", out_of_fuel(Some(.function), *.limit))]
    OutOfFuel { function: Excerpt, limit: u64 },
    #[error("Call failed: the input of {length} bytes does not fit into the plugin's memory: {cause}")]
    Input { length: usize, cause: Fault },
    #[error("Call failed: the function's name: {0}")]
    Name(Fault),
    #[error("Call failed: the plugin could not be instantiated anew")]
    Renew(#[source] Error),
}

impl CallError {
    /// False for errors that can come from a running function.
    pub(super) fn is_early(&self) -> bool {
        !matches!(self, Self::Trap(_) | Self::Stopped(..) | Self::OutOfFuel { .. })
    }

    /// The function that it is about, if it names one.
    pub(super) fn function(&self) -> Option<&Excerpt> {
        match self {
            Self::NotFound(name)
            | Self::TooManyResults { name, .. }
            | Self::BadResult { name, .. }
            | Self::Parameters { name, .. }
            | Self::OutOfFuel { function: name, .. } => Some(name),
            _ => None,
        }
    }
}

/// The outcome for the caller: the error that the plugin set comes first, the host's error follows.
pub(super) fn outcome(result: CallResult<i32>, guest_error: Option<String>, modules: &[Linked]) -> CallOutcome {
    let (code, host_error) = match result.map_err(|error| *error) {
        Ok(code) => (code, None),
        Err(CallError::Trap(trap)) => match wasi::exit_code(&trap) {
            Some(0) => (0, None),
            Some(code @ 1..126) => (code, guest_error.is_none().then(|| format!("Exited with i32 exit status {code}"))),
            Some(code) => (
                -1,
                Some(format!(
                    "Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): {code}"
                )),
            ),
            None => {
                let cause = trap::describe(&trap, modules).replace('\n', "\n    ");
                (-1, Some(error::bounded(format!("Call failed\n\nCaused by:\n    {cause}"))))
            }
        },
        Err(other) => (-1, Some(error::describe(&other))),
    };
    match (guest_error, host_error) {
        (None, None) => Ok(code),
        (Some(text), None) | (None, Some(text)) => Err(Box::new(Complaint { code, text })),
        (Some(guest), Some(host)) => Err(Box::new(Complaint { code, text: format!("{guest}\n\n{host}") })),
    }
}
