//! Stops a plugin's run at its deadline, or when another thread asks for it.
//!
//! Nothing is checked while a plugin runs. The timer thread, which sleeps until the earliest deadline (`timer.rs`), or
//! a canceller marks the run in the plugin's [`Record`] as to be ended, and signals the thread that runs it
//! (`signal.rs`). The signal's handler makes that thread trap if it is in the plugin's own code. If the host is doing
//! something for the plugin, the signal is sent again a little later. Host functions that wait ask [`Watch`].
//!
//! Start with [`Stopper`].

#[cfg(target_os = "linux")]
mod action;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod alternate_stack;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod chain;
#[cfg(target_os = "linux")]
mod faults;
pub mod fork;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod info;
mod next;
mod record;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod signal;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod signal_absent;
mod this_thread;
mod timer;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

#[cfg(target_os = "linux")]
pub(crate) use faults::cover as cover_faults;
use record::{Phase, Record};
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
use signal_absent as signal;
use this_thread::THREAD;
pub(crate) use timer::{NoTimer, check as check_timer};

/// Why a run has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Timeout,
    Cancelled,
}

/// The addresses of a plugin's own functions, without anything else that the compiler puts beside them.
#[derive(Debug)]
pub(crate) struct Code {
    /// Sorted by address, disjoint.
    functions: Vec<Range<usize>>,
    /// Called on each thread before it runs such code for the first time.
    prepare_thread: fn(),
}

impl Code {
    /// The addresses of `functions`.
    pub(crate) fn new(mut functions: Vec<Range<usize>>) -> Self {
        /// Gaps of fewer bytes than this are padding, and count as code.
        const PADDING: usize = 32;
        functions.sort_unstable_by_key(|function| function.start);
        functions.dedup_by(|next, previous| {
            let is_near = next.start >= previous.end && next.start - previous.end < PADDING;
            if is_near {
                previous.end = next.end;
            }
            is_near
        });
        functions.shrink_to_fit();
        Self { functions, prepare_thread: || () }
    }

    /// Sets the function that each thread calls before it runs such code for the first time.
    pub(crate) fn for_threads(self, prepare: fn()) -> Self {
        Self { prepare_thread: prepare, ..self }
    }

    fn contains(&self, address: usize) -> bool {
        let after = self.functions.partition_point(|function| function.start <= address);
        let before = after.checked_sub(1).and_then(|index| self.functions.get(index));
        before.is_some_and(|function| address < function.end)
    }
}

/// A plugin's side of the mechanism: announces its runs, one at a time.
#[derive(Debug)]
pub(crate) struct Stopper {
    record: &'static Record,
    /// Distinguishes this owner from earlier owners of the record.
    owner: u64,
    /// Keeps the code alive, because the record holds its address.
    code: Arc<Code>,
}

impl Stopper {
    /// Makes the stopper of a plugin with this code.
    pub(crate) fn new(code: Arc<Code>) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(1);
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        let record = timer::take_record();
        record.own(owner, &code);
        Self { record, owner, code }
    }

    /// Begins a run on this thread; dropping the returned value ends it.
    ///
    /// # Errors
    /// There is a deadline that nothing could enforce.
    pub(crate) fn begin(&self, deadline: Option<Instant>) -> Result<Run, NoTimer> {
        let deadline = deadline.map_or(u64::MAX, timer::nanoseconds);
        let (outer, thread) = THREAD.with(|thread| {
            let number = thread.number(|| (self.code.prepare_thread)());
            (thread.current.replace(self.record), number)
        });
        self.record.begin(thread, deadline);
        // From here on, dropping it ends the run.
        let run = Run { record: self.record, outer };
        if deadline != u64::MAX {
            timer::look_by(deadline)?;
        }
        Ok(run)
    }

    /// A watch for the plugin's host functions.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.record)
    }

    /// A handle that cancels the plugin's runs, as long as the plugin lives.
    pub(crate) fn handle(&self) -> Handle {
        Handle { record: self.record, owner: self.owner }
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.record.disown();
        timer::give_back(self.record);
    }
}

/// True if this thread is in the middle of a run.
pub fn is_running_here() -> bool {
    THREAD.with(|thread| thread.current.get().is_some())
}

/// Yield point for long operations that plugins' code calls: traps, as that code would, if the plugin must stop.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn leave_if_stopped() {
    if let Some(record) = THREAD.with(|thread| thread.current.get())
        && record.phase().reason().is_some()
    {
        record.set_stopped();
        signal::trap();
    }
}

/// A run of a plugin on this thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    record: &'static Record,
    /// The run that this one interrupted on its thread; it is not stopped until this one ends.
    outer: Option<&'static Record>,
}

impl Run {
    /// Why the run was stopped; `None` if it ended by itself.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.record.has_stopped().then(|| self.record.phase().reason()).flatten()
    }

    /// True if the thread is in the middle of another run.
    pub(crate) fn is_nested(&self) -> bool {
        self.outer.is_some()
    }

    /// True if the run's time is over or it was cancelled, even if it ended by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.record.is_over(timer::now())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.record.end();
        THREAD.with(|thread| thread.current.set(self.outer));
        if let Some(outer) = self.outer {
            outer.resume();
        }
    }
}

/// Lets a long host function ask whether its plugin must stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(&'static Record);

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

/// Cancels a plugin's runs.
#[derive(Debug, Clone, Copy)]
pub struct Handle {
    record: &'static Record,
    owner: u64,
}

impl Handle {
    /// Stops the plugin's current run; `false` if there is none, or if no signal reaches it.
    pub fn cancel(&self) -> bool {
        let _inside = crate::fork::enter();
        self.record.cancel(self.owner).is_some_and(|was_told| {
            // Without a timer, the first notification is the only one.
            timer::look_by(timer::now() + timer::SOON).is_ok() || was_told
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Stopper};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[test]
    fn code_is_where_the_functions_are() {
        let code = Code::new(vec![100..110, 500..600, 112..200]);
        assert_eq!(code.functions, [100..200, 500..600]);
        let inside: Vec<usize> = (0..700).filter(|address| code.contains(*address)).collect();
        assert_eq!(inside, (100..200).chain(500..600).collect::<Vec<_>>());
        assert!(!Code::new(Vec::new()).contains(0));
    }

    #[test]
    fn only_what_runs_is_cancelled() {
        let stopper = || Stopper::new(Arc::new(Code::new(Vec::new())));
        let (one, other) = (stopper(), stopper());
        let handle = one.handle();
        assert!(!handle.cancel());
        let run = one.begin(None).expect("no deadline");
        let inner = other.begin(None).expect("no deadline");
        assert!(handle.cancel() && handle.cancel());
        assert_eq!((one.watch().stop(), other.watch().stop()), (Some(super::Stopped::Cancelled), None));
        assert_eq!((run.stopped(), inner.stopped()), (Some(super::Stopped::Cancelled), None));
        drop((inner, run));
        assert!(!handle.cancel());
        assert_eq!(one.begin(None).expect("no deadline").stopped(), None);
        drop(one);
        // The next stopper reuses the record.
        let next = stopper();
        let _run = next.begin(None).expect("no deadline");
        assert!(!handle.cancel());
        assert!(next.handle().cancel());
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_by_cancelling() {
        let stopper = Stopper::new(Arc::new(Code::new(Vec::new())));
        let start = Instant::now();
        let run = stopper.begin(Some(start + Duration::from_millis(30))).expect("a thread");
        stopper.watch().wait(None, || false);
        assert_eq!(stopper.watch().stop(), Some(super::Stopped::Timeout));
        assert!(start.elapsed() >= Duration::from_millis(30));
        drop(run);
        let run = stopper.begin(None).expect("no deadline");
        let handle = stopper.handle();
        let canceller = std::thread::spawn(move || handle.cancel());
        stopper.watch().wait(Some(start + Duration::from_secs(60)), || false);
        assert_eq!(stopper.watch().stop(), Some(super::Stopped::Cancelled));
        assert_eq!(run.stopped(), Some(super::Stopped::Cancelled));
        assert!(canceller.join().expect("no panic"));
    }
}
