//! What a plugin runs at the moment, as the thread that runs it says it, and whether it shall go on, as others do.

use std::ptr;

use super::{Code, Stopped, signal, timer};
use crate::sync::{Arc, AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, InnerMutex, Ordering, Thread, current};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing runs.
    Idle,
    Running,
    /// It shall end, as its time is over.
    Expired,
    /// It shall end, as somebody wants it.
    Cancelled,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Idle, Self::Running, Self::Expired, Self::Cancelled];

    fn of(state: u64) -> Self {
        Self::ALL[(state % 4) as usize]
    }

    pub(crate) fn reason(self) -> Option<Stopped> {
        match self {
            Self::Idle | Self::Running => None,
            Self::Expired => Some(Stopped::Timeout),
            Self::Cancelled => Some(Stopped::Cancelled),
        }
    }
}

/// Belongs to one plugin at a time, and is never freed: a signal or a canceller may come late. In each field, what a late one finds
/// is true of now.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Record {
    /// How many runs there were, times four, and the [`Phase`]. Only the thread that runs begins and ends a run; who wants to
    /// stop it exchanges the very number that it has seen, and so cannot stop another.
    state: AtomicU64,
    /// Which [`Stopper`](super::Stopper) has it; 0 is none.
    owner: AtomicU64,
    /// When the run has to be done, as `timer::nanoseconds` says.
    deadline: AtomicU64,
    /// The kernel's number of the thread.
    thread: AtomicI32,
    /// The run was made to end.
    stopped: AtomicBool,
    /// The run that a signal is on its way for, as its `state`; 0 is none.
    signalled: AtomicU64,
    /// How often the thread was told to stop.
    tries: AtomicU32,
    /// As long as there is an owner, it keeps this.
    code: AtomicPtr<Code>,
    /// The thread, while it waits for something that the plugin is not stopped in. Locked by that thread for moments, by the timer,
    /// which has the schedule, and by who cancels, inside the gate of `fork.rs`.
    sleeper: InnerMutex<Option<Thread>>,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            owner: AtomicU64::new(0),
            deadline: AtomicU64::new(u64::MAX),
            thread: AtomicI32::new(0),
            stopped: AtomicBool::new(false),
            signalled: AtomicU64::new(0),
            tries: AtomicU32::new(0),
            code: AtomicPtr::new(ptr::null_mut()),
            sleeper: InnerMutex::new(None),
        }
    }

    pub(crate) fn own(&self, owner: u64, code: &Arc<Code>) {
        self.code.store(Arc::as_ptr(code).cast_mut(), Ordering::Relaxed);
        self.owner.store(owner, Ordering::Release);
    }

    pub(crate) fn disown(&self) {
        self.owner.store(0, Ordering::Relaxed);
        self.code.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// This thread begins a run.
    pub(crate) fn begin(&self, thread: i32, deadline: u64) {
        self.thread.store(thread, Ordering::Relaxed);
        self.deadline.store(deadline, Ordering::Relaxed);
        self.stopped.store(false, Ordering::Relaxed);
        self.tries.store(0, Ordering::Relaxed);
        let next = (self.state.load(Ordering::Relaxed) / 4).wrapping_add(1).wrapping_mul(4) + Phase::Running as u64;
        self.state.store(next, Ordering::Release);
    }

    /// This thread ends the run.
    pub(crate) fn end(&self) {
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state / 4 * 4 + Phase::Idle as u64, Ordering::Release);
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::of(self.state.load(Ordering::Acquire))
    }

    /// Whether the run shall end, or its deadline has come and nobody has looked yet.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.phase().reason().is_some() || self.deadline.load(Ordering::Relaxed) <= now
    }

    /// The thread goes on with this run, after it has run another plugin in the middle of it: a signal that came meanwhile has done
    /// nothing.
    pub(crate) fn resume(&self) {
        self.signalled.store(0, Ordering::Relaxed);
    }

    pub(crate) fn set_stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The thread has another number.
    pub(crate) fn set_thread(&self, thread: i32) {
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// After a fork, the thread `before` has the number `now`, and there is no other.
    pub(crate) fn fork(&self, before: i32, now: i32) {
        self.signalled.store(0, Ordering::Relaxed);
        if self.thread.load(Ordering::Relaxed) == before {
            self.set_thread(now);
        } else {
            self.end();
        }
    }

    /// Says that this thread waits, and can be unparked.
    pub(crate) fn sleeps(&self, sleeps: bool) {
        *self.sleeper.lock() = sleeps.then(current);
    }

    /// Stops what `owner` runs: says whether the thread has been told by now; `None` if nothing runs.
    pub(crate) fn cancel(&self, owner: u64) -> Option<bool> {
        loop {
            let state = self.state.load(Ordering::Acquire);
            // Should it be another's from now on, the state is not this any more either.
            if self.owner.load(Ordering::Acquire) != owner {
                return None;
            }
            match Phase::of(state) {
                Phase::Idle => return None,
                Phase::Expired | Phase::Cancelled => return Some(false),
                Phase::Running => {}
            }
            let told = self.stop(state, Phase::Cancelled);
            // Else the run has ended at this moment, or its time has.
            if told.is_some() {
                return told;
            }
        }
    }

    /// Stops the run whose deadline is over, or has another try; returns when to look again.
    pub(crate) fn look(&self, now: u64) -> u64 {
        let state = self.state.load(Ordering::Acquire);
        match Phase::of(state) {
            Phase::Idle => u64::MAX,
            Phase::Running => {
                let deadline = self.deadline.load(Ordering::Relaxed);
                if deadline > now {
                    return deadline;
                }
                self.stop(state, Phase::Expired);
                now + timer::SOON
            }
            Phase::Expired | Phase::Cancelled => {
                let tries = self.tries.fetch_add(1, Ordering::Relaxed);
                if tries >= timer::LOST && tries.is_power_of_two() {
                    self.signalled.store(0, Ordering::Relaxed);
                }
                self.notify(state);
                now + if tries < timer::TRIES { timer::SOON } else { timer::LATER }
            }
        }
    }

    /// Makes the run with this state end, and says whether the thread was told; `None` if that run is not any more.
    fn stop(&self, state: u64, phase: Phase) -> Option<bool> {
        let next = state / 4 * 4 + phase as u64;
        self.state.compare_exchange(state, next, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(self.notify(next))
    }

    /// Lets the thread know that the run with this state shall end; `false` if that cannot be done now.
    fn notify(&self, state: u64) -> bool {
        let is_awake = self.sleeper.lock().as_ref().map(Thread::unpark).is_none();
        // Real-time signals queue. One for each run that has not arrived, in a thread that blocks it for a time, is enough.
        if self.signalled.swap(state, Ordering::Relaxed) == state || signal::send(self.thread.load(Ordering::Relaxed)) {
            return true;
        }
        self.signalled.store(0, Ordering::Relaxed);
        !is_awake
    }

    /// In the handler of a signal that has arrived in the thread which runs this, at `address`: whether it shall trap there. If so,
    /// that is taken for granted.
    pub(crate) fn traps(&self, address: usize) -> bool {
        self.signalled.store(0, Ordering::Relaxed);
        let traps = self.phase().reason().is_some() && signal::is_in(self.code.load(Ordering::Relaxed), address);
        if traps {
            self.stopped.store(true, Ordering::Relaxed);
        }
        traps
    }
}
