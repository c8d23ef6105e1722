//! The steps before a fork, and after it in both processes, in their order. `crate::fork` says why.

use std::cell::RefCell;
use std::sync::Once;
use std::time::{Duration, Instant};

use super::context;
use super::guard::guard;

use crate::{sandbox, stop, fork as gate};
use crate::fork::Closed;


/// How long all of it may take. It takes that long only where a thread is inside the gate for so long, such as one that writes to a
/// log nobody reads, and what that thread has locked is lost then in the new process.
const PATIENCE: Duration = Duration::from_millis(400);

/// What a thread that forks has locked. They are taken from the last to the first, and given back in this order.
struct Held {
    engine: sandbox::fork::Held,
    timer: Option<stop::fork::Held>,
    gate: Closed,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Sees to it that the process can be forked from now on. Whatever takes a lock comes after that.
pub(super) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the three are functions of this library, which is linked to stay (`-z nodelete`): Wasmer's handlers are in it too.
        // There may be no memory for that, and then a fork is as it was.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    });
}

extern "C" fn before() {
    let deadline = Instant::now() + PATIENCE;
    let gate = gate::close(deadline);
    // Nobody who wants the schedule is inside; nor is who has it, who wants nothing else.
    let timer = stop::fork::hold(deadline);
    // Who has these wants nothing else either.
    let engine = sandbox::fork::hold(deadline);
    let held = Held { engine, timer, gate };
    // At the very end of a thread there is no place, and all is given back at once.
    let _ = HELD.try_with(|place| place.replace(Some(held)));
}

fn take_held() -> Option<Held> {
    HELD.try_with(RefCell::take).ok().flatten()
}

extern "C" fn after_in_parent() {
    drop(take_held());
}

extern "C" fn after_in_child() {
    if let Some(Held { engine, timer, gate }) = take_held() {
        drop(engine);
        if let Some(timer) = timer {
            timer.forked();
        }
        gate.open_forked();
        guard((), sandbox::fork::forked);
        guard((), context::forked);
    }
}
