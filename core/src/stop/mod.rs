//! Stops a plugin's run at its deadline, or when another thread asks for it.
//!
//! A plugin's own code is stopped by a signal, and checks nothing. The timer thread (`timer.rs`), or a canceller, marks
//! the run in the plugin's `Record` as to be ended, and signals the thread that runs it (`signal.rs`). The signal's
//! handler (`handler.rs`) makes that thread trap if it is in the plugin's own code. Elsewhere, host functions ask
//! [`Watch`], and the replacements of Wasmer's libcalls call `leave_if_stopped`. ARCHITECTURE.md has more ("Stopping").
//!
//! Start with [`Stopper`].

#[cfg(target_os = "linux")]
mod action;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod alternate_stack;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod chain;
mod code;
#[cfg(target_os = "linux")]
mod faults;
pub mod fork;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod handler;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod info;
mod next;
mod record;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod signal;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod signal_absent;
mod stopper;
mod this_thread;
mod timer;
mod watch;

pub(crate) use code::CodeRanges;
#[cfg(target_os = "linux")]
pub(crate) use faults::cover as cover_faults;
pub(crate) use record::Stopped;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
use signal_absent as signal;
pub use stopper::Handle;
pub(crate) use stopper::{Run, Stopper};
pub use this_thread::is_running_here;
pub(crate) use timer::{NoTimer, check as check_timer};
pub(crate) use watch::Watch;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use watch::leave_if_stopped;
