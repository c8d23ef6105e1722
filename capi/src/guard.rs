//! The panic boundary: every C function runs its body inside [`guard`].
//!
//! State that a panic left half changed is never used again: locks are released, and an instance whose call did not end
//! is replaced.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use extism_core::error::Message;
use extism_core::panics::message;

use crate::thread_end::{self, Stage, Use};

/// Runs `work`; a panic in it becomes `fallback`.
pub fn guard<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}

/// A panic that was caught.
#[derive(Debug)]
pub struct Panic(Box<dyn Any + Send>);

impl Panic {
    /// The text of an error that it was.
    #[cold]
    pub fn text(&self) -> String {
        format!("internal error: {}", Message::of(message(&*self.0)))
    }
}

/// Runs `work`, and catches a panic in it.
///
/// # Errors
/// The panic.
#[inline(always)]
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(Panic)
}

/// Runs `work`, the body of a C function that uses plugins, inside [`guard`]. On a thread that is ending, runs `again`
/// instead, the same C function, on another thread; if there can be none, `refuse` gets the reason.
// Inlined: it is on the path of every call, and used once per C function.
#[inline(always)]
pub fn guard_use<T: Copy>(
    what: Use,
    fallback: T,
    again: impl FnOnce() -> T,
    refuse: impl FnOnce(String),
    work: impl FnOnce() -> T,
) -> T {
    guard(fallback, || {
        let stage = thread_end::stage();
        if stage == Stage::Ending && !thread_end::is_busy() {
            return at_thread_end(fallback, again, refuse);
        }
        let result = work();
        if stage == Stage::New {
            thread_end::note(what);
        }
        result
    })
}

#[cold]
#[inline(never)]
fn at_thread_end<T>(fallback: T, again: impl FnOnce() -> T, refuse: impl FnOnce(String)) -> T {
    const NO_THREAD: &str = "this thread is at its end, and there is no other that could do this for it";
    thread_end::elsewhere(again).unwrap_or_else(|error| {
        refuse(format!("{NO_THREAD}: {error}"));
        fallback
    })
}

#[cfg(test)]
mod tests {
    use super::{caught, guard, message};

    #[test]
    fn a_panic_becomes_the_fallback() {
        assert_eq!(guard(-1, || panic!("below")), -1);
        assert_eq!(guard(-1, || 7), 7);
    }

    #[test]
    fn a_panic_becomes_a_text() {
        let panic = caught(|| -> () { panic!("below") }).expect_err("it panics");
        assert_eq!(panic.text(), "internal error: below");
        assert!(matches!(caught(|| 7), Ok(7)));
    }

    #[test]
    fn both_kinds_of_messages_are_read() {
        assert_eq!(message(&"text"), "text");
        assert_eq!(message(&"text".to_owned()), "text");
        assert_eq!(message(&7), "a panic without a message");
    }
}
