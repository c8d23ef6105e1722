//! The one thread that watches all deadlines. It is made for the first one, sleeps until the earliest, and for ever if there is
//! none.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::next::Next;
use super::record::Record;
use super::signal;
use crate::sync::{AtomicU64, Lazy};

/// How long to wait before a thread that has not stopped is told again, in nanoseconds: the first times, when it may have been
/// in a host function by chance, and then.
pub(super) const SOON: u64 = 100_000;
pub(super) const LATER: u64 = 1_000_000;
pub(super) const TRIES: u32 = 100;

/// From this try on, a signal that has not arrived may be lost, to a handler that the host has put in the way: there is another at
/// each power of two. They are few, as those of a thread that blocks them queue.
pub(super) const LOST: u32 = 64;

static NEXT: Next = Next(AtomicU64::new(Next::NEVER));

// Of the standard library, as these two stand the process's being forked.
static SCHEDULE: Mutex<Schedule> = Mutex::new(Schedule { records: Vec::new(), free: Vec::new(), is_watched: false });
static CHANGED: Condvar = Condvar::new();

pub(super) struct Schedule {
    /// All that there are.
    records: Vec<&'static Record>,
    /// Those without an owner.
    free: Vec<&'static Record>,
    /// There is a thread.
    is_watched: bool,
}

fn schedule() -> MutexGuard<'static, Schedule> {
    SCHEDULE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The moment that deadlines count from.
static START: Lazy<Instant> = Lazy::new(Instant::now);

/// A deadline in nanoseconds.
pub(super) fn nanoseconds(instant: Instant) -> u64 {
    instant.saturating_duration_since(*START).as_nanos().try_into().unwrap_or(u64::MAX)
}

pub(super) fn now() -> u64 {
    nanoseconds(Instant::now())
}

/// A record that nobody else has.
pub(super) fn take_record() -> &'static Record {
    let mut schedule = schedule();
    schedule.free.pop().unwrap_or_else(|| {
        let record = Box::leak(Box::new(Record::new()));
        schedule.records.push(record);
        record
    })
}

pub(super) fn give_back(record: &'static Record) {
    schedule().free.push(record);
}

/// Makes the thread look at the records no later than `at`.
///
/// # Errors
/// There is no thread, and none can be made.
pub(super) fn look_by(at: u64) -> io::Result<()> {
    if NEXT.is_by(at) {
        return Ok(());
    }
    let mut schedule = schedule();
    if !schedule.is_watched {
        start()?;
        schedule.is_watched = true;
    }
    if !NEXT.is_by(at) {
        NEXT.set(at);
        CHANGED.notify_one();
    }
    Ok(())
}

fn start() -> io::Result<()> {
    const STACK: usize = 128 << 10;
    // The host's signals are not for this thread.
    let _blocked = signal::Blocked::new();
    thread::Builder::new().name("extism-timer".to_owned()).stack_size(STACK).spawn(watch).map(drop)
}

fn watch() {
    let mut schedule = schedule();
    loop {
        let next = NEXT.look(schedule.records.iter().copied(), now());
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

/// The schedule, if nobody has it at this moment.
pub(super) fn try_hold() -> Option<MutexGuard<'static, Schedule>> {
    match SCHEDULE.try_lock() {
        Ok(schedule) => Some(schedule),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// In a process that was forked off, which has one thread: it was `before` and is `now`, and what others ran is over.
pub(super) fn forget_threads(schedule: &mut Schedule, before: i32, now: i32) {
    schedule.is_watched = false;
    NEXT.set(Next::NEVER);
    schedule.records.iter().for_each(|record| record.fork(before, now));
}
