//! The shared state of a plugin's current run: written by the thread that runs it, and by threads that want it to end.

use std::ptr;

use super::code::CodeRanges;
use crate::sync::{Arc, AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, InnerMutex, Ordering, Thread, current};

/// Nanoseconds until a thread that has not stopped is notified again: `SOON` for the first [`TRIES`] times, because the
/// thread may just have been in a host function, and `LATER` after that.
pub(crate) const SOON: u64 = 100_000;
const LATER: u64 = 1_000_000;
const TRIES: u32 = 100;

/// From this try on, a signal that has not arrived may be lost to a handler of the host's: another one is sent at each
/// power of two. They are few, because those for a thread that blocks them queue up.
pub(crate) const LOST: u32 = 64;

/// Why a run has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Timeout,
    Cancelled,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing runs.
    Idle,
    Running,
    /// Must end: its deadline has passed.
    Expired,
    /// Must end: it was cancelled.
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

/// The way to tell the thread of a run that the run must end. [`Record::deliver`] does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The kernel's id of the thread that shall be signalled, if it has no pending signal yet.
    signal: Option<i32>,
    /// The thread learns it without a further signal: one is pending, or the thread was woken in a host function.
    is_told: bool,
}

/// The result of a look at a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    /// When to look next, in nanoseconds of `timer::nanoseconds`; `u64::MAX` is never.
    again_at: u64,
    /// `None` if the run need not end.
    notice: Option<Notice>,
}

/// A record belongs to one plugin at a time and is never freed, because a signal or a canceller may come late. A late
/// one finds valid, current values in every field.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Record {
    /// The number of runs so far, times four, plus the [`Phase`]. Only the running thread begins and ends a run. A
    /// thread that stops it exchanges exactly the value that it read, and so cannot stop a later run.
    state: AtomicU64,
    /// The number of the [`Stopper`](super::Stopper) that owns the record; 0 is none.
    owner: AtomicU64,
    /// The end of the run's time, in nanoseconds as `timer::nanoseconds` counts them.
    deadline: AtomicU64,
    /// The kernel's id of the thread that runs it.
    thread: AtomicI32,
    stopped: AtomicBool,
    /// The `state` of the run that a pending signal is meant for; 0 is none.
    signalled: AtomicU64,
    /// The number of times that the thread was notified.
    tries: AtomicU32,
    /// Valid as long as there is an owner, which keeps it alive.
    code: AtomicPtr<CodeRanges>,
    /// The thread is in a function of the host program, where it must not be disturbed: no signal is sent. It looks at
    /// [`phase`](Self::phase) when it comes back.
    is_away: AtomicBool,
    /// The thread, while it waits in a host function, where no signal stops it. Locked for moments: by that thread, by
    /// the timer under the schedule's lock, and by cancellers inside the gate of `fork.rs`.
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
            is_away: AtomicBool::new(false),
            sleeper: InnerMutex::new(None),
        }
    }

    pub(crate) fn own(&self, owner: u64, code: &Arc<CodeRanges>) {
        self.code.store(Arc::as_ptr(code).cast_mut(), Ordering::Relaxed);
        self.owner.store(owner, Ordering::Release);
    }

    pub(crate) fn disown(&self) {
        self.owner.store(0, Ordering::Relaxed);
        self.code.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Begins a run on this thread.
    pub(crate) fn begin(&self, thread: i32, deadline: u64) {
        self.thread.store(thread, Ordering::Relaxed);
        self.deadline.store(deadline, Ordering::Relaxed);
        self.stopped.store(false, Ordering::Relaxed);
        self.tries.store(0, Ordering::Relaxed);
        let next = (self.state.load(Ordering::Relaxed) / 4).wrapping_add(1).wrapping_mul(4) + Phase::Running as u64;
        self.state.store(next, Ordering::Release);
    }

    /// The deadline of the run on this thread.
    pub(crate) fn deadline(&self) -> u64 {
        self.deadline.load(Ordering::Relaxed)
    }

    /// Ends the run on this thread.
    pub(crate) fn end(&self) {
        let state = self.state.load(Ordering::Relaxed);
        self.state.store(state / 4 * 4 + Phase::Idle as u64, Ordering::Release);
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::of(self.state.load(Ordering::Acquire))
    }

    /// True if the run must end, or its deadline has passed but the timer has not looked yet.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.phase().reason().is_some() || self.deadline.load(Ordering::Relaxed) <= now
    }

    /// Continues this run after a nested run of another plugin, during which signals for this one had no effect.
    pub(crate) fn resume(&self) {
        self.has_no_signal();
    }

    pub(crate) fn set_stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn set_thread(&self, thread: i32) {
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// After a fork: the only thread had the id `before` and has `now`; runs of all others are over.
    pub(crate) fn fork(&self, before: i32, now: i32) {
        self.has_no_signal();
        if self.thread.load(Ordering::Relaxed) == before {
            self.set_thread(now);
        } else {
            self.end();
        }
    }

    /// Notes whether this thread is in a function of the host program.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    /// Notes whether this thread waits and can be unparked.
    pub(crate) fn sleeps(&self, sleeps: bool) {
        *self.sleeper.lock() = sleeps.then(current);
    }

    /// Marks the run of `owner` as to be ended. `None` if nothing runs.
    pub(crate) fn cancel(&self, owner: u64) -> Option<Notice> {
        loop {
            let state = self.state.load(Ordering::Acquire);
            // If the record changes owners from here on, `state` changes too, and the exchange fails.
            if self.owner.load(Ordering::Acquire) != owner {
                return None;
            }
            match Phase::of(state) {
                Phase::Idle => return None,
                // The timer signals the thread again.
                Phase::Expired | Phase::Cancelled => return Some(Notice { signal: None, is_told: false }),
                Phase::Running => {}
            }
            let notice = self.stop(state, Phase::Cancelled);
            // Otherwise the run has just ended, or its deadline has just passed.
            if notice.is_some() {
                return notice;
            }
        }
    }

    /// The timer's look at the run: marks it as to be ended if its deadline has passed, and tells its thread, again if
    /// it was to be ended before. `send` is as for [`deliver`](Self::deliver). Returns when to look next.
    pub(crate) fn look(&self, now: u64, send: impl FnOnce(i32) -> bool) -> u64 {
        let look = self.check(now);
        if let Some(notice) = look.notice {
            self.deliver(notice, send);
        }
        look.again_at
    }

    /// Has `send` send a signal to a thread, if `notice` asks for one; `send` returns false if it cannot. Returns false
    /// if the thread does not learn of the notice at the moment.
    pub(crate) fn deliver(&self, notice: Notice, send: impl FnOnce(i32) -> bool) -> bool {
        let Some(thread) = notice.signal else { return notice.is_told };
        let is_sent = send(thread);
        if !is_sent {
            self.has_no_signal();
        }
        is_sent || notice.is_told
    }

    /// [`look`](Self::look) without telling the thread.
    fn check(&self, now: u64) -> Look {
        let state = self.state.load(Ordering::Acquire);
        match Phase::of(state) {
            Phase::Idle => Look { again_at: u64::MAX, notice: None },
            Phase::Running => {
                let deadline = self.deadline.load(Ordering::Relaxed);
                if deadline > now {
                    return Look { again_at: deadline, notice: None };
                }
                Look { again_at: now + SOON, notice: self.stop(state, Phase::Expired) }
            }
            Phase::Expired | Phase::Cancelled => {
                let tries = self.tries.fetch_add(1, Ordering::Relaxed);
                if tries >= LOST && tries.is_power_of_two() {
                    self.has_no_signal();
                }
                let pause = if tries < TRIES && !self.is_away.load(Ordering::Relaxed) { SOON } else { LATER };
                Look { again_at: now + pause, notice: Some(self.notify(state)) }
            }
        }
    }

    /// Marks the run with this state as to be ended. `None` if it is over.
    fn stop(&self, state: u64, phase: Phase) -> Option<Notice> {
        let next = state / 4 * 4 + phase as u64;
        self.state.compare_exchange(state, next, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(self.notify(next))
    }

    /// Wakes the thread of the run with this state, which must end, if it waits.
    fn notify(&self, state: u64) -> Notice {
        // If the thread comes back at this moment without having seen the new phase, the timer's next look signals it.
        if self.is_away.load(Ordering::Relaxed) {
            return Notice { signal: None, is_told: true };
        }
        let was_woken = self.sleeper.lock().as_ref().map(Thread::unpark).is_some();
        // Real-time signals queue up in a thread that blocks them: one pending signal per run is enough.
        let is_pending = self.signalled.swap(state, Ordering::Relaxed) == state;
        let signal = (!is_pending).then(|| self.thread.load(Ordering::Relaxed));
        Notice { signal, is_told: is_pending || was_woken }
    }

    /// The signal of a [`Notice`] could not be sent, or has arrived, or may be lost: none counts as pending.
    fn has_no_signal(&self) {
        self.signalled.store(0, Ordering::Relaxed);
    }

    /// Called in the signal's handler, on the thread of this run. Returns true if the thread must trap: the run must end,
    /// and `is_in` says that the thread is in this code. The run then counts as stopped.
    pub(crate) fn arrive(&self, is_in: impl FnOnce(*const CodeRanges) -> bool) -> bool {
        self.has_no_signal();
        let traps = self.phase().reason().is_some() && is_in(self.code.load(Ordering::Relaxed).cast_const());
        if traps {
            self.set_stopped();
        }
        traps
    }
}
