//! Stopping a run: the library's own record of it, and its way to say when the timer looks, on Loom's threads. Every order of
//! steps is tried, and every value that a load may find by the rules of the memory model.

#[path = "../src/interrupt/next.rs"]
mod next;
#[expect(dead_code, reason = "assignments")]
#[path = "../src/interrupt/record.rs"]
mod record;
#[path = "interrupt/signal.rs"]
mod signal;
#[path = "interrupt/sync.rs"]
mod sync;

use loom::sync::Arc;
use loom::thread;
use next::Next;
use record::{Phase, Record};
use sync::AtomicU64;

/// As in the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Timeout,
    Cancelled,
}

#[derive(Debug)]
pub(crate) struct Code;

/// In a plugin's code.
const ADDRESS: usize = 1000;

mod timer {
    pub(crate) const SOON: u64 = 100;
    pub(crate) const LATER: u64 = 1000;
    pub(crate) const TRIES: u32 = 2;
    pub(crate) const LOST: u32 = 2;
}

const NO_DEADLINE: u64 = u64::MAX;

fn record(owner: u64) -> (Arc<Record>, loom::sync::Arc<Code>) {
    let (record, code) = (Arc::new(Record::new()), Arc::new(Code));
    record.own(owner, &code);
    (record, code)
}

fn spawn<T: 'static>(record: &Arc<Record>, work: impl FnOnce(&Record) -> T + 'static) -> thread::JoinHandle<T> {
    let record = Arc::clone(record);
    thread::spawn(move || work(&record))
}

fn join<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().expect("a panic ends the model")
}

/// A late canceller stops nothing that another plugin runs with the same record.
fn cancelled_by_owner() {
    let (record, code) = record(1);
    let canceller = spawn(&record, |record| record.cancel(1));
    record.begin(1, NO_DEADLINE);
    let reason = record.phase().reason();
    record.end();
    record.disown();
    record.own(2, &code);
    record.begin(1, NO_DEADLINE);
    assert!(!signal::arrive(&record, 1));
    assert_eq!(record.phase(), Phase::Running);
    let hit = join(canceller).is_some();
    assert!(hit || reason.is_none());
    assert_eq!(record.phase(), Phase::Running);
    assert!(!signal::arrive(&record, 1) && !record.has_stopped());
    record.end();
}

/// A deadline ends the run that has it, and not the next one.
fn expired_in_time() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    let timer = spawn(&record, |record| record.look(20));
    record.end();
    record.begin(1, NO_DEADLINE);
    assert!(!signal::arrive(&record, 1));
    join(timer);
    assert_eq!(record.phase(), Phase::Running);
    assert!(!signal::arrive(&record, 1) && !record.has_stopped());
}

/// Who cancels and the timer agree on one reason, and the thread learns it.
fn one_reason() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    let timer = spawn(&record, |record| record.look(20));
    let canceller = spawn(&record, |record| record.cancel(1));
    let early = record.phase().reason();
    join(timer);
    assert!(join(canceller).is_some());
    let reason = record.phase().reason();
    assert!(reason.is_some() && (early.is_none() || early == reason));
    assert!(signal::arrive(&record, 1) && record.has_stopped());
    record.end();
    assert_eq!(record.phase(), Phase::Idle);
}

/// A thread that waits in a host function wakes up.
fn woken() {
    let (record, _code) = record(1);
    record.begin(1, NO_DEADLINE);
    let canceller = spawn(&record, |record| assert_eq!(record.cancel(1), Some(true)));
    record.sleeps(true);
    while record.phase() == Phase::Running {
        thread::park();
    }
    record.sleeps(false);
    join(canceller);
}

/// However late the signal for a run is sent, and though it never arrives, the next run is told.
fn told_again() {
    let (record, _code) = record(1);
    record.begin(1, NO_DEADLINE);
    let canceller = spawn(&record, |record| record.cancel(1));
    record.end();
    record.begin(2, NO_DEADLINE);
    join(canceller);
    assert!(record.cancel(1).is_some());
    assert!(signal::arrive(&record, 2));
}

/// Where a signal cannot be sent, it is sent the next time.
fn sent_again() {
    let (record, _code) = record(1);
    record.begin(77, 10);
    let timer = spawn(&record, |record| {
        record.look(20);
        record.look(30)
    });
    record.set_thread(1);
    let next = join(timer);
    record.look(next);
    assert!(signal::arrive(&record, 1));
}

/// A signal that arrives while the thread runs another plugin is sent again when it has ended.
fn resumed() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    let timer = spawn(&record, |record| {
        let next = record.look(20);
        record.look(next)
    });
    // It may come here, where the thread runs the other one.
    signal::swallow(1);
    record.resume();
    let next = join(timer);
    record.look(next);
    assert!(signal::arrive(&record, 1));
}

/// Where a signal arrives in a handler of somebody else's, another one is sent.
fn not_lost_for_good() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    let timer = spawn(&record, |record| record.look(20));
    signal::swallow(1);
    let next = join(timer);
    signal::swallow(1);
    (0..=timer::LOST).fold(next, |next, _| record.look(next));
    assert!(signal::arrive(&record, 1));
}

/// Either the timer knows of a run's deadline, or who begins the run sees that it does not.
fn known_to_the_timer() {
    let (record, _code) = record(1);
    let next = Arc::new(Next(AtomicU64::new(Next::NEVER)));
    let timer = {
        let next = Arc::clone(&next);
        spawn(&record, move |record| next.look([record].into_iter(), 0))
    };
    record.begin(1, 10);
    let seems_known = next.is_by(10);
    join(timer);
    assert!(!seems_known || next.is_by(10));
}

/// The same at the end of another run's time.
fn known_to_the_timer_again() {
    let (first, code) = record(1);
    let second = Arc::new(Record::new());
    second.own(2, &code);
    first.begin(1, 5);
    let next = Arc::new(Next(AtomicU64::new(5)));
    let timer = {
        let (next, second) = (Arc::clone(&next), Arc::clone(&second));
        spawn(&first, move |first| next.look([first, &*second].into_iter(), 6))
    };
    second.begin(2, 10);
    let seems_known = next.is_by(10);
    join(timer);
    assert!(!seems_known || next.is_by(10));
    // The first one's time is over, so that a look is due soon, whatever was seen.
    next.look([&*first, &*second].into_iter(), 10);
    assert_eq!([first.phase(), second.phase()], [Phase::Expired; 2]);
}

type Case = (&'static str, fn());

const CASES: [Case; 10] = [
    ("cancelled by owner", cancelled_by_owner),
    ("expired in time", expired_in_time),
    ("one reason", one_reason),
    ("woken", woken),
    ("told again", told_again),
    ("sent again", sent_again),
    ("resumed", resumed),
    ("not lost for good", not_lost_for_good),
    ("known to the timer", known_to_the_timer),
    ("known to the timer again", known_to_the_timer_again),
];

fn main() {
    for (name, case) in CASES {
        let tried = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let count = std::sync::Arc::clone(&tried);
        loom::model(move || {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            case();
        });
        println!("{name}: {} orders, which are all", tried.load(std::sync::atomic::Ordering::Relaxed));
    }
}
