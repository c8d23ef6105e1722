//! Models of stopping a run: the library's own `Record` and `Next`, on Loom's threads. Loom tries every order of steps,
//! and every value that a load may see by the rules of the memory model. The files are taken by `#[path]`, because the
//! model compiles the same text with other atomics and threads than the library does.

#[path = "../core/src/stop/next.rs"]
mod next;
#[expect(dead_code, reason = "assignments, and the library's way to a signal")]
#[path = "../core/src/stop/record.rs"]
mod record;
#[path = "interrupt/signal.rs"]
mod signal;
#[path = "interrupt/sync.rs"]
mod sync;

use code::CodeRanges;
use loom::sync::Arc;
use loom::thread;
use next::Next;
use record::{LOST, Phase, Record};
use sync::AtomicU64;

mod code {
    #[derive(Debug)]
    pub(crate) struct CodeRanges;
}

const NO_DEADLINE: u64 = u64::MAX;

fn record(owner: u64) -> (Arc<Record>, Arc<CodeRanges>) {
    let (record, code) = (Arc::new(Record::new()), Arc::new(CodeRanges));
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

/// Cancels as the library does. Returns whether the thread is told; `None` if nothing runs.
fn cancel(record: &Record, owner: u64) -> Option<bool> {
    record.cancel(owner).map(|notice| record.deliver(notice, signal::send))
}

/// The timer's look at one record. Returns when to look again.
fn look(record: &Record, now: u64) -> u64 {
    record.look(now, signal::send)
}

/// A late canceller does not stop another plugin that reuses the record.
fn cancelled_by_owner() {
    let (record, code) = record(1);
    let canceller = spawn(&record, |record| cancel(record, 1));
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

/// A deadline ends its own run, and not the next one.
fn expired_in_time() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    let timer = spawn(&record, |record| look(record, 20));
    record.end();
    record.begin(1, NO_DEADLINE);
    assert!(!signal::arrive(&record, 1));
    join(timer);
    assert_eq!(record.phase(), Phase::Running);
    assert!(!signal::arrive(&record, 1) && !record.has_stopped());
}

/// A canceller and the timer agree on one reason, and the thread sees it.
fn one_reason() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    let timer = spawn(&record, |record| look(record, 20));
    let canceller = spawn(&record, |record| cancel(record, 1));
    let early = record.phase().reason();
    join(timer);
    assert!(join(canceller).is_some());
    let reason = record.phase().reason();
    assert!(reason.is_some() && (early.is_none() || early == reason));
    assert!(signal::arrive(&record, 1) && record.has_stopped());
    record.end();
    assert_eq!(record.phase(), Phase::Idle);
}

/// A thread that waits in a host function is woken.
fn woken() {
    let (record, _code) = record(1);
    record.begin(1, NO_DEADLINE);
    let canceller = spawn(&record, |record| assert_eq!(cancel(record, 1), Some(true)));
    record.sleeps(true);
    while record.phase() == Phase::Running {
        thread::park();
    }
    record.sleeps(false);
    join(canceller);
}

/// A thread that is in a function of the host program gets no signal there, and learns the reason or gets a signal when
/// it is back.
fn away() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    record.set_away(true);
    let timer = spawn(&record, |record| {
        let next = look(record, 20);
        look(record, next)
    });
    let seen = record.phase().reason();
    record.set_away(false);
    let reason = record.phase().reason();
    let next = join(timer);
    assert!(seen.is_none() || seen == reason);
    look(&record, next);
    assert!(reason.is_some() || signal::arrive(&record, 1));
}

/// A thread that is in a function of the host program gets no signal, however often the timer looks. Once it is back, it
/// gets one.
fn undisturbed() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    record.set_away(true);
    let next = look(&record, 20);
    let next = look(&record, next);
    assert_eq!(signal::swallow(1), 0);
    let timer = spawn(&record, move |record| look(record, next));
    record.set_away(false);
    let next = join(timer);
    look(&record, next);
    assert!(signal::arrive(&record, 1));
}

/// If the signal for a run is sent late, and never arrives, the next run is still signalled.
fn told_again() {
    let (record, _code) = record(1);
    record.begin(1, NO_DEADLINE);
    let canceller = spawn(&record, |record| cancel(record, 1));
    record.end();
    record.begin(2, NO_DEADLINE);
    join(canceller);
    assert!(cancel(&record, 1).is_some());
    assert!(signal::arrive(&record, 2));
}

/// A signal that cannot be sent is sent the next time.
fn sent_again() {
    let (record, _code) = record(1);
    record.begin(77, 10);
    let timer = spawn(&record, |record| {
        look(record, 20);
        look(record, 30)
    });
    record.set_thread(1);
    let next = join(timer);
    look(&record, next);
    assert!(signal::arrive(&record, 1));
}

/// A signal that arrives during a nested run of another plugin is sent again after that run.
fn resumed() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    let timer = spawn(&record, |record| {
        let next = look(record, 20);
        look(record, next)
    });
    // It may arrive here, during the nested run.
    signal::swallow(1);
    record.resume();
    let next = join(timer);
    look(&record, next);
    assert!(signal::arrive(&record, 1));
}

/// A signal that somebody else's handler takes is sent again.
fn not_lost_for_good() {
    let (record, _code) = record(1);
    record.begin(1, 10);
    let timer = spawn(&record, |record| look(record, 20));
    signal::swallow(1);
    let next = join(timer);
    signal::swallow(1);
    (0..=LOST).fold(next, |next, _| look(&record, next));
    assert!(signal::arrive(&record, 1));
}

/// Either the timer knows a run's deadline, or the thread that begins the run sees that it does not.
fn known_to_the_timer() {
    let (record, _code) = record(1);
    let next = Arc::new(Next(AtomicU64::new(Next::NEVER)));
    let timer = {
        let next = Arc::clone(&next);
        spawn(&record, move |record| next.look([record].into_iter().map(|record| look(record, 0))))
    };
    record.begin(1, 10);
    let seems_known = next.is_by(10);
    join(timer);
    assert!(!seems_known || next.is_by(10));
}

/// The same when another run's time ends.
fn known_to_the_timer_again() {
    let (first, code) = record(1);
    let second = Arc::new(Record::new());
    second.own(2, &code);
    first.begin(1, 5);
    let next = Arc::new(Next(AtomicU64::new(5)));
    let timer = {
        let (next, second) = (Arc::clone(&next), Arc::clone(&second));
        spawn(&first, move |first| next.look([first, &*second].into_iter().map(|record| look(record, 6))))
    };
    second.begin(2, 10);
    let seems_known = next.is_by(10);
    join(timer);
    assert!(!seems_known || next.is_by(10));
    // The first run's time is over, so another look is due soon, whatever `is_by` returned.
    next.look([&*first, &*second].into_iter().map(|record| look(record, 10)));
    assert_eq!([first.phase(), second.phase()], [Phase::Expired; 2]);
}

type Case = (&'static str, fn());

const CASES: [Case; 12] = [
    ("cancelled by owner", cancelled_by_owner),
    ("expired in time", expired_in_time),
    ("one reason", one_reason),
    ("woken", woken),
    ("away", away),
    ("undisturbed", undisturbed),
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
