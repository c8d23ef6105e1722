//! The steps before a fork, and after it in both processes, in their order. `extism_core::fork` explains the design.
#![expect(unsafe_code, reason = "the C library calls the steps")]

use std::cell::RefCell;
use std::ptr;
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use extism_core::code;
use extism_core::fork as gate;
use extism_core::fork::Closed;
use extism_core::reserve;
use extism_core::sandbox;
use extism_core::stop;
use extism_core::sync;

use crate::guard::guard;

/// The time limit of all steps before a fork. They take that long only if a thread stays inside the gate, for example
/// while it writes to a log that nobody reads. The new process then loses the locks of that thread.
const PATIENCE: Duration = Duration::from_millis(400);

/// The locks that a forking thread holds, taken from the last field to the first and released in field order.
struct Held {
    engine: sandbox::fork::Held,
    timer: Option<stop::fork::Held>,
    gate: Closed,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Makes forks safe from here on. Must come before anything that takes a lock.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the three functions stay loaded, because the library is linked with `-z nodelete`, which Wasmer's
        // handlers need too. If there is no memory to register them, a fork behaves as without the library.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    });
}

/// The step in a new process for the plugins that other threads were using.
static PLUGINS: OnceLock<fn()> = OnceLock::new();

/// Has `forked` called in each forked process before it has a second thread. One function counts, the first.
pub fn call_in_child(forked: fn()) {
    let first = sync::get_or_make(&PLUGINS, || forked);
    debug_assert!(ptr::fn_addr_eq(*first, forked), "another function would not be called");
}

extern "C" fn before() {
    let deadline = Instant::now() + PATIENCE;
    let gate = gate::close(deadline);
    // The gate is empty, so no thread inside holds or wants the schedule. An outside holder waits for nothing else.
    let timer = stop::fork::hold(deadline);
    // A thread that holds the engine's locks takes no others.
    let engine = sandbox::fork::hold(deadline);
    let held = Held { engine, timer, gate };
    // At the very end of a thread, thread-local storage is gone: everything is released at once.
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
        guard((), code::forked);
        guard((), || PLUGINS.get().into_iter().for_each(|forked| forked()));
        guard((), reserve::forked);
    }
}
