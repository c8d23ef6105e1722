//! Why a call has no status, and what its caller is told.

use thiserror::Error as ThisError;
use wasmer::RuntimeError;

use super::call_failure::{CallFailure, CallOutcome, FailureKind, Heading, HostFailure};
use super::error::Error;
use super::link::Linked;
use super::timeout::{Timeout, out_of_fuel, stopped};
use super::trap;
use crate::error::{self, Excerpt};
use crate::host::Fault;
use crate::sandbox::NoStack;
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
    #[error("expected {parameters} arguments, got 0: a function of a plugin takes none, `{name}` does")]
    Parameters { name: Excerpt, parameters: usize },
    /// [`trap`] makes the text that the caller gets.
    #[error(transparent)]
    Trap(RuntimeError),
    #[error("{}", stopped(*.0, *.1))]
    Stopped(Stopped, Option<Timeout>),
    #[error("{0}")]
    Timer(NoTimer),
    #[error("{}", out_of_fuel(Some(.function), *.limit))]
    OutOfFuel { function: Excerpt, limit: u64 },
    #[error("the input of {length} bytes does not fit into the plugin's memory: {cause}{limit}")]
    Input { length: usize, cause: Fault, limit: &'static str },
    #[error("the function's name: {0}")]
    Name(Fault),
    #[error("{0}")]
    Stack(NoStack),
    #[error("the plugin could not be instantiated anew")]
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

    fn kind(&self) -> FailureKind {
        match self {
            Self::Trap(trap) if trap::is_in_code(trap) => FailureKind::Trap,
            Self::Trap(_) => FailureKind::Fault,
            Self::Stopped(reason, _) | Self::Renew(Error::Stopped(reason, _)) => match reason {
                Stopped::Timeout => FailureKind::Timeout,
                Stopped::Cancelled => FailureKind::Cancelled,
            },
            Self::OutOfFuel { .. } => FailureKind::OutOfFuel,
            _ => FailureKind::NotCalled,
        }
    }

    fn heading(&self) -> Heading {
        match self {
            Self::BadName(_) | Self::NotFound(_) | Self::TooManyResults { .. } | Self::BadResult { .. } => {
                Heading::None
            }
            Self::Parameters { .. } | Self::Trap(_) | Self::Stopped(..) | Self::OutOfFuel { .. } => Heading::CausedBy,
            Self::Timer(_) | Self::Input { .. } | Self::Name(_) | Self::Stack(_) | Self::Renew(_) => {
                Heading::CallFailed
            }
        }
    }

    fn failure(&self, modules: &[Linked]) -> HostFailure {
        let (reason, backtrace) = match self {
            Self::Trap(error) => (trap::reason(error), trap::backtrace(error, modules)),
            other => (error::describe(other), String::new()),
        };
        HostFailure { kind: self.kind(), reason, backtrace, heading: self.heading() }
    }
}

/// The outcome for the caller: the error that the plugin set, and the host's.
pub(super) fn outcome(result: CallResult<i32>, guest: Option<String>, modules: &[Linked]) -> CallOutcome {
    let (code, host) = match result.map_err(|error| *error) {
        Ok(code) => (code, None),
        Err(CallError::Trap(error)) => match wasi::exit_code(&error) {
            Some(0) => (0, None),
            Some(status) => {
                let exit = exit(status, trap::backtrace(&error, modules));
                (if exit.heading == Heading::None { status } else { -1 }, Some(exit))
            }
            None => (-1, Some(CallError::Trap(error).failure(modules))),
        },
        Err(other) => (-1, Some(other.failure(modules))),
    };
    if guest.is_none() && host.is_none() { Ok(code) } else { Err(Box::new(CallFailure { code, guest, host })) }
}

/// The plugin has exited with `status`, which is not 0.
fn exit(status: i32, backtrace: String) -> HostFailure {
    let (reason, heading) = match status {
        1..126 => (format!("Exited with i32 exit status {status}"), Heading::None),
        _ => (format!("exit with invalid exit status outside of [0..126): {status}"), Heading::CausedBy),
    };
    HostFailure { kind: FailureKind::Exit(status), reason, backtrace, heading }
}
