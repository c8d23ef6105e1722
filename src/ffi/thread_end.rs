//! Calls from a thread that is at its end: in `atexit`, and in destructors of static and thread-local objects.
//!
//! The engine has thread-local values with destructors, and panics without them. They are gone, in the main thread too, before
//! the host's own destructors run. So what is asked for after that is done on a thread made for it, while the one that asked waits.
//!
//! Destructors run in the opposite order of first uses. So a thread has two [`Sentinel`]s here, used for the first time right after
//! its first use of the library and right after its first call of a plugin, by when the engine has used all of its values: one of the
//! two goes before any of them.

use crate::stop;
use std::cell::Cell;
use std::{io, panic, thread};



/// How far a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not called a plugin.
    New,
    HasCalled,
    /// Its thread-local values are going, or are gone.
    Ending,
}

thread_local! {
    // Without a destructor: there to the very end.
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

/// How far this thread is.
#[inline(always)]
pub(super) fn stage() -> Stage {
    STAGE.get()
}

/// Whether a plugin that this thread runs, and ends in the middle of, such as by `exit` in a logger, is locked by it.
#[cold]
pub(super) fn is_busy() -> bool {
    stop::is_running_here()
}

/// What the library was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Call,
    Other,
}

/// Notes that a new thread has used the library.
#[cold]
pub(super) fn note(what: Use) {
    let _ = AFTER_USE.try_with(|_| ());
    if what == Use::Call {
        let _ = AFTER_CALL.try_with(|_| ());
        STAGE.set(Stage::HasCalled);
    }
}

/// Does `work` on a thread made for it.
#[cold]
#[inline(never)]
pub(super) fn elsewhere<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    /// As large as that of a main thread mostly is.
    const STACK: usize = 8 << 20;
    /// What one thread lends to another, which uses it alone.
    struct Lent<T>(T);
    // SAFETY: the thread that lends it waits until the other has ended.
    unsafe impl<T> Send for Lent<T> {}

    let work = Lent(work);
    let work = move || {
        let Lent(work) = { work };
        Lent(work())
    };
    let builder = thread::Builder::new().name("extism-last-call".to_owned()).stack_size(STACK);
    // SAFETY: the thread is waited for, so that what `work` has borrowed is there as long as it.
    let running = unsafe { builder.spawn_unchecked(work) }?;
    match running.join() {
        Ok(Lent(result)) => Ok(result),
        Err(panic) => panic::resume_unwind(panic),
    }
}
