//! The timer thread, which watches all deadlines. It is started for the first deadline, and sleeps until the earliest
//! one, or for ever if there is none.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::next::Next;
use super::record::Record;
use super::signal;
use crate::fork;
use crate::sync::{AtomicU64, Lazy};

static NEXT: Next = Next(AtomicU64::new(Next::NEVER));

// From the standard library, whose locks stay usable in a forked process.
static SCHEDULE: Mutex<Schedule> =
    Mutex::new(Schedule { records: Vec::new(), free: Vec::new(), is_watched: false, can_signal: None });
static CHANGED: Condvar = Condvar::new();
/// Signalled when the timer thread has found out whether it can signal others.
static FOUND_OUT: Condvar = Condvar::new();

pub(crate) struct Schedule {
    records: Vec<&'static Record>,
    /// Records without an owner.
    free: Vec<&'static Record>,
    /// The timer thread exists.
    is_watched: bool,
    /// Whether the timer thread can signal others; filters of system calls are per thread. `None` until it knows.
    can_signal: Option<Result<(), signal::Errno>>,
}

/// Why no deadline can be enforced. One word, because each run has room for it.
#[derive(Debug, Error)]
#[error("no timeout can be kept to, as {0}")]
pub(crate) struct NoTimer(Box<Cause>);

#[derive(Debug, Error)]
enum Cause {
    #[error("there is no thread that could watch the time: {0}")]
    Thread(io::Error),
    #[error("no signal that stops a plugin can be sent (rt_tgsigqueueinfo, tgkill): {0}")]
    Signals(io::Error),
}

impl NoTimer {
    #[cold]
    fn thread(error: io::Error) -> Self {
        Self(Box::new(Cause::Thread(error)))
    }

    #[cold]
    fn signals(errno: signal::Errno) -> Self {
        Self(Box::new(Cause::Signals(io::Error::from_raw_os_error(errno))))
    }
}

fn schedule() -> MutexGuard<'static, Schedule> {
    SCHEDULE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time that deadlines are counted from.
static START: Lazy<Instant> = Lazy::new(Instant::now);

/// An instant in nanoseconds since [`START`].
pub(crate) fn nanoseconds(instant: Instant) -> u64 {
    instant.saturating_duration_since(*START).as_nanos().try_into().unwrap_or(u64::MAX)
}

/// The instant that is this number of nanoseconds after [`START`]; `None` for `u64::MAX`, which is never.
pub(crate) fn instant(nanoseconds: u64) -> Option<Instant> {
    START.checked_add(Duration::from_nanos(nanoseconds)).filter(|_| nanoseconds != u64::MAX)
}

pub(crate) fn now() -> u64 {
    nanoseconds(Instant::now())
}

/// A record without an owner, new or reused.
pub(crate) fn take_record() -> &'static Record {
    let mut schedule = schedule();
    schedule.free.pop().unwrap_or_else(|| {
        let record = Box::leak(Box::new(Record::new()));
        schedule.records.push(record);
        record
    })
}

pub(crate) fn give_back(record: &'static Record) {
    schedule().free.push(record);
}

/// Makes the timer thread look at the records at time `at` or before. Fails if none can be started, or it cannot signal
/// other threads.
pub(crate) fn look_by(at: u64) -> Result<(), NoTimer> {
    if NEXT.is_by(at) {
        return Ok(());
    }
    let schedule = watched()?;
    schedule.can_signal()?;
    if !NEXT.is_by(at) {
        NEXT.set(at);
        CHANGED.notify_one();
    }
    Ok(())
}

/// Checks anew whether deadlines can be enforced.
pub(crate) fn check() -> Result<(), NoTimer> {
    let mut schedule = watched()?;
    // A filter of system calls may have been installed since, for this thread or for all.
    if signal::can_send().is_err() {
        schedule.can_signal = None;
        CHANGED.notify_one();
        schedule = found_out(schedule)?;
    }
    schedule.can_signal()
}

/// The schedule, after starting its timer thread if needed.
fn watched() -> Result<MutexGuard<'static, Schedule>, NoTimer> {
    let mut schedule = schedule();
    if !schedule.is_watched {
        start().map_err(NoTimer::thread)?;
        schedule.is_watched = true;
    }
    found_out(schedule)
}

/// Waits until the timer thread knows whether it can signal others, which takes it a moment after its start.
fn found_out(schedule: MutexGuard<'static, Schedule>) -> Result<MutexGuard<'static, Schedule>, NoTimer> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let is_open = |schedule: &mut Schedule| schedule.can_signal.is_none();
    let waited = FOUND_OUT.wait_timeout_while(schedule, PATIENCE, is_open);
    let (schedule, result) = waited.unwrap_or_else(PoisonError::into_inner);
    if result.timed_out() { Err(NoTimer::thread(io::ErrorKind::TimedOut.into())) } else { Ok(schedule) }
}

impl Schedule {
    fn can_signal(&self) -> Result<(), NoTimer> {
        self.can_signal.unwrap_or(Ok(())).map_err(NoTimer::signals)
    }
}

fn start() -> io::Result<()> {
    const STACK: usize = 128 << 10;
    // The host's signals must not be handled on this thread.
    let _blocked = signal::Blocked::new();
    thread::Builder::new().name("extism-timer".to_owned()).stack_size(STACK).spawn(watch).map(drop)
}

fn watch() {
    let mut schedule = schedule();
    loop {
        // Two system calls at each wake-up.
        let can_signal = signal::can_send();
        schedule.can_signal = Some(can_signal);
        FOUND_OUT.notify_all();
        let now = now();
        let next = NEXT.look(schedule.records.iter().map(|record| record.look(now, signal::send)));
        if can_signal.is_err() {
            // The next run with a deadline takes the schedule's lock and gets the error.
            NEXT.set(Next::NEVER);
        }
        schedule = wait(schedule, next);
    }
}

fn wait(schedule: MutexGuard<'static, Schedule>, until: u64) -> MutexGuard<'static, Schedule> {
    if until == Next::NEVER {
        return CHANGED.wait(schedule).unwrap_or_else(PoisonError::into_inner);
    }
    let left = Duration::from_nanos(until.saturating_sub(now()));
    CHANGED.wait_timeout(schedule, left).unwrap_or_else(PoisonError::into_inner).0
}

pub(crate) fn try_hold() -> Option<MutexGuard<'static, Schedule>> {
    fork::taken(SCHEDULE.try_lock())
}

/// In a forked process: its only thread had the id `before` and has `now`; the runs of other threads are over.
pub(crate) fn forget_threads(schedule: &mut Schedule, before: i32, now: i32) {
    schedule.is_watched = false;
    schedule.can_signal = None;
    NEXT.set(Next::NEVER);
    schedule.records.iter().for_each(|record| record.fork(before, now));
}
