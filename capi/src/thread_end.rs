//! Calls from a thread that is ending: in `atexit` functions, and in destructors of static and thread-local objects.
//!
//! The engine panics without its thread-local values, which are destroyed before the host's own destructors run, in the
//! main thread too. Each later call runs on a thread made for it, which stands in for the calling thread while
//! that waits: the call's output and error are those of the calling thread.
//!
//! Each thread has two [`Sentinel`]s. The destructor of either notes that the thread is ending. Thread-local values are
//! destroyed in reverse order of their first use. `AFTER_USE` is first used right after the thread's first use of the
//! library, `AFTER_CALL` after its first plugin call, when the engine has used all its values. One of the two is
//! therefore destroyed before any of those values.
#![expect(unsafe_code, reason = "a thread borrows from the one that waits for it")]

use extism_core::stop;
use std::cell::Cell;
use std::{io, panic, thread};

use crate::thread_number::{stand_in_for, thread_number};

/// The life stages of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not called a plugin.
    New,
    /// It has called a plugin.
    HasCalled,
    /// Its thread-local values are being destroyed, or are gone.
    Ending,
}

thread_local! {
    // Has no destructor: it stays valid until the thread is gone.
    static STAGE: Cell<Stage> = const { Cell::new(Stage::New) };
    static AFTER_USE: Sentinel = const { Sentinel };
    static AFTER_CALL: Sentinel = const { Sentinel };
}

struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        STAGE.set(Stage::Ending);
    }
}

/// The stage of this thread.
#[inline(always)]
pub fn stage() -> Stage {
    STAGE.get()
}

/// True if this thread is in the middle of a plugin's run, and so holds that plugin's lock. A logger that calls `exit`
/// leads to this.
#[cold]
pub fn is_busy() -> bool {
    stop::is_running_here()
}

/// The kind of a use of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A call of a plugin.
    Call,
    /// Anything else.
    Other,
}

/// Notes the first use, or the first call, by a new thread.
#[cold]
pub fn note(what: Use) {
    let _ = AFTER_USE.try_with(|_| ());
    if what == Use::Call {
        let _ = AFTER_CALL.try_with(|_| ());
        STAGE.set(Stage::HasCalled);
    }
}

/// Runs `work` on a thread made for it, and waits.
///
/// # Errors
/// There can be no more threads.
#[cold]
#[inline(never)]
pub fn elsewhere<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    /// As large as most main threads' stacks.
    const STACK: usize = 8 << 20;
    /// A value that one thread lends to another, which uses it alone.
    struct Lent<T>(T);
    // SAFETY: the lending thread waits until the other one has ended.
    unsafe impl<T> Send for Lent<T> {}

    let work = Lent(work);
    let number = thread_number();
    let work = move || {
        stand_in_for(number);
        let Lent(work) = { work };
        Lent(work())
    };
    let builder = thread::Builder::new().name("extism-last-call".to_owned()).stack_size(STACK);
    // SAFETY: the thread is joined below, so that everything `work` borrows outlives it.
    let running = unsafe { builder.spawn_unchecked(work) }?;
    match running.join() {
        Ok(Lent(result)) => Ok(result),
        Err(panic) => panic::resume_unwind(panic),
    }
}
