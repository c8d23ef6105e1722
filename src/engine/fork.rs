//! Wasmer's locks that a trap takes, held while the process is forked: a trap does not enter the gate of `crate::fork`. And code that
//! threads were making, in the new process.

use std::any::Any;
use std::time::Instant;

use wasmer_compiler::FRAME_INFO;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
use super::trace_lock::TraceLock;
use crate::fork;

/// Wasmer's locks, from before a fork until after it. A trap takes them in this order, or the second alone.
pub(crate) struct Held {
    // The first to go.
    #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
    _traces: Option<TraceLock>,
    /// The guard of the table of all code, whose type has no name here.
    _frames: Option<Box<dyn Any>>,
}

/// Takes the locks, which threads have for moments. Gives up when `deadline` has come: the thread that forks has one itself, in a
/// handler of a signal.
pub(crate) fn hold(deadline: Instant) -> Held {
    let frames = fork::until(deadline, || FRAME_INFO.try_write().ok());
    Held {
        #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
        _traces: TraceLock::take(),
        _frames: frames.map(|frames| Box::new(frames) as Box<dyn Any>),
    }
}

/// In a process that was forked off, before it has a second thread: what others were making is lost.
pub(crate) fn forked() {
    super::shared::forked();
    #[cfg(feature = "compiler")]
    super::at_work::forked();
}
