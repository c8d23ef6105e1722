//! The plugin's side: announces its runs, one at a time, so that others can stop them; cancels them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::code::CodeRanges;
use super::record::{Record, SOON, Stopped};
use super::signal;
use super::this_thread::THREAD;
use super::timer::{self, NoTimer};
use super::watch::Watch;
use crate::fork;

#[derive(Debug)]
pub(crate) struct Stopper {
    record: &'static Record,
    /// Distinguishes this owner from earlier owners of the record.
    owner: u64,
    /// Keeps the code alive, because the record holds its address.
    code: Arc<CodeRanges>,
}

impl Stopper {
    pub(crate) fn new(code: Arc<CodeRanges>) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(1);
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        let record = timer::take_record();
        record.own(owner, &code);
        Self { record, owner, code }
    }

    /// Begins a run on this thread; dropping the returned value ends it. Fails if nothing could enforce the deadline.
    pub(crate) fn begin(&self, deadline: Option<Instant>) -> Result<Run, NoTimer> {
        let deadline = deadline.map_or(u64::MAX, timer::nanoseconds);
        let (outer, thread) = THREAD.with(|thread| {
            if thread.number.get() == 0 {
                thread.number.set(signal::prepare(thread));
                (self.code.prepare_thread)();
            }
            (thread.current.replace(self.record), thread.number.get())
        });
        self.record.begin(thread, deadline);
        // From here on, dropping it ends the run.
        let run = Run { record: self.record, outer };
        if deadline != u64::MAX {
            timer::look_by(deadline)?;
        }
        Ok(run)
    }

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

/// Cancels a plugin's runs, from any thread. It may outlive the plugin, and then cancels nothing.
#[derive(Debug, Clone, Copy)]
pub struct Handle {
    record: &'static Record,
    /// The number of the plugin's [`Stopper`].
    owner: u64,
}

impl Handle {
    /// Stops the plugin's current run; `false` if there is none, or if no signal reaches it.
    pub fn cancel(&self) -> bool {
        let _inside = fork::enter();
        self.record.cancel(self.owner).is_some_and(|notice| {
            let was_told = self.record.deliver(notice, signal::send);
            // Without a timer, the first notification is the only one.
            timer::look_by(timer::now() + SOON).is_ok() || was_told
        })
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

#[cfg(test)]
mod tests {
    use super::{CodeRanges, Stopped, Stopper};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[test]
    fn only_what_runs_is_cancelled() {
        let stopper = || Stopper::new(Arc::new(CodeRanges::new(Vec::new())));
        let (one, other) = (stopper(), stopper());
        let handle = one.handle();
        assert!(!handle.cancel());
        let run = one.begin(None).expect("no deadline");
        let inner = other.begin(None).expect("no deadline");
        assert!(handle.cancel() && handle.cancel());
        assert_eq!((one.watch().stop(), other.watch().stop()), (Some(Stopped::Cancelled), None));
        assert_eq!((run.stopped(), inner.stopped()), (Some(Stopped::Cancelled), None));
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
        let stopper = Stopper::new(Arc::new(CodeRanges::new(Vec::new())));
        let start = Instant::now();
        let run = stopper.begin(Some(start + Duration::from_millis(30))).expect("a thread");
        stopper.watch().wait(None, || false);
        assert_eq!(stopper.watch().stop(), Some(Stopped::Timeout));
        assert!(start.elapsed() >= Duration::from_millis(30));
        drop(run);
        let run = stopper.begin(None).expect("no deadline");
        let handle = stopper.handle();
        let canceller = std::thread::spawn(move || handle.cancel());
        stopper.watch().wait(Some(start + Duration::from_secs(60)), || false);
        assert_eq!(stopper.watch().stop(), Some(Stopped::Cancelled));
        assert_eq!(run.stopped(), Some(Stopped::Cancelled));
        assert!(canceller.join().expect("no panic"));
    }
}
