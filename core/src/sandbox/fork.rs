//! Locks that a trap takes in Wasmer, held around a fork: a trap does not enter the gate of `crate::fork`.

use std::any::Any;
use std::time::Instant;

use wasmer_compiler::FRAME_INFO;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
use super::trace_lock::TraceLock;
use crate::fork;

/// Two locks, held from before a fork until after it. A trap takes `_frames` and then `_traces`, or only `_traces`.
pub struct Held {
    // Declared first, so released first: the locks are taken in the opposite order.
    #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
    _traces: Option<TraceLock>,
    /// The guard of [`FRAME_INFO`], Wasmer's table of all code; boxed, as its type cannot be named here.
    _frames: Option<Box<dyn Any>>,
}

/// Takes the locks, which other threads hold for moments. Gives up on `_frames` at `deadline`: the forking thread may
/// hold it itself, if it forks in a signal handler.
///
/// Only for the steps around a fork (`capi/src/fork.rs`): until the locks are released, traps of other threads wait.
pub fn hold(deadline: Instant) -> Held {
    let frames = fork::until(deadline, || FRAME_INFO.try_write().ok());
    Held {
        #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
        _traces: TraceLock::take(),
        _frames: frames.map(|frames| Box::new(frames) as Box<dyn Any>),
    }
}
