//! Yield points of long work that the host does for a plugin, where no signal stops it.

use std::thread;
use std::time::Instant;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use super::handler;
use super::record::{Phase, Record, Stopped};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use super::this_thread::THREAD;
use super::timer;

/// Lets a long host function ask whether its plugin must stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(pub(super) &'static Record);

impl Watch {
    /// Why the plugin must stop; `None` if it need not.
    pub(crate) fn reason(&self) -> Option<Stopped> {
        self.0.phase().reason()
    }

    /// Like [`reason`](Self::reason). If there is one, the caller must end the run, which then counts as stopped.
    pub(crate) fn stop(&self) -> Option<Stopped> {
        let reason = self.reason()?;
        self.0.set_stopped();
        Some(reason)
    }

    /// Calls `work`, a function of the host program: its thread gets no signals for this run meanwhile. If the run must
    /// end, it ends after `work`, at the caller's next yield point.
    pub(crate) fn away<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Ends the absence also if `work` panics.
        struct Away(&'static Record);

        impl Drop for Away {
            fn drop(&mut self) {
                self.0.set_away(false);
            }
        }

        self.0.set_away(true);
        let _away = Away(self.0);
        work()
    }

    /// The deadline of the plugin's current run, if it has one.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only requests have a use for it"))]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        timer::instant(self.0.deadline())
    }

    /// Waits until `is_done` returns true, `until` has passed, or the plugin must stop. A thread that changes the
    /// result of `is_done` must unpark this one.
    #[cfg_attr(not(any(feature = "wasi", feature = "http")), expect(dead_code, reason = "no host function waits"))]
    pub(crate) fn wait(&self, until: Option<Instant>, mut is_done: impl FnMut() -> bool) {
        self.0.sleeps(true);
        while !is_done() && self.0.phase() == Phase::Running {
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => break,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
        self.0.sleeps(false);
    }
}

/// Yield point for long operations that plugins' code calls: traps, as that code would, if the plugin must stop.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn leave_if_stopped() {
    if let Some(record) = THREAD.with(|thread| thread.current.get())
        && record.phase().reason().is_some()
    {
        record.set_stopped();
        handler::trap();
    }
}
