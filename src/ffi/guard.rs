//! The panic boundary: every C function runs its body inside [`guard`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use log::Level;
use thiserror::Error;

use super::context::{self, ExtismContext};
use super::thread_end::{self, Stage, Use};
use crate::context as contexts;
use crate::context::{Context, PluginId};
use extism_core::error;
use extism_core::error::Message;
use extism_core::log as sink;
use extism_core::panics::message;

/// Runs `work`; a panic in it becomes `fallback`.
pub(super) fn guard<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}

/// Runs `work` on the context of the token `context`. An error is kept for `extism_error`, with plugin `id` if there is
/// one, and `fallback` is returned. On a thread that is ending, runs `again` instead, the same C function, on another
/// thread.
///
/// State that a panic left half changed is never used again: locks are released, and an instance whose call did not end
/// is replaced.
#[inline(always)]
pub(super) fn with_context<T: Copy>(
    context: *const ExtismContext,
    id: Option<PluginId>,
    fallback: T,
    again: impl FnOnce() -> T,
    work: impl FnOnce(&Context) -> Result<T, Box<Failure>>,
) -> T {
    in_context(Use::Other, context, id, fallback, again, work)
}

/// Like [`with_context`], for `work` that calls plugin `id`.
#[inline(always)]
pub(super) fn call_in_context<T: Copy>(
    context: *const ExtismContext,
    id: PluginId,
    fallback: T,
    again: impl FnOnce() -> T,
    work: impl FnOnce(&Context) -> Result<T, Box<Failure>>,
) -> T {
    in_context(Use::Call, context, Some(id), fallback, again, work)
}

// Inlined: it is on the path of every call, and used once per C function.
#[inline(always)]
fn in_context<T: Copy>(
    what: Use,
    context: *const ExtismContext,
    id: Option<PluginId>,
    fallback: T,
    again: impl FnOnce() -> T,
    work: impl FnOnce(&Context) -> Result<T, Box<Failure>>,
) -> T {
    guard(fallback, || {
        let stage = thread_end::stage();
        if stage == Stage::Ending && !thread_end::is_busy() {
            return at_thread_end(context, id, fallback, again);
        }
        let result = context::with(context, |context| {
            match catch_unwind(AssertUnwindSafe(|| work(context))) {
                Ok(Ok(value)) => return value,
                Ok(Err(failure)) => {
                    let text = error::describe(&*failure);
                    log(id, &text);
                    match *failure {
                        Failure::Context(error) => context.report(id, &error, text),
                        Failure::Argument(_) => context.report_text(id, text),
                    }
                }
                Err(panic) => context.report_text(id, format!("internal error: {}", Message::of(message(&*panic)))),
            }
            fallback
        });
        if stage == Stage::New {
            thread_end::note(what);
        }
        result.unwrap_or(fallback)
    })
}

#[cold]
#[inline(never)]
fn at_thread_end<T>(context: *const ExtismContext, id: Option<PluginId>, fallback: T, again: impl FnOnce() -> T) -> T {
    const NO_THREAD: &str = "this thread is at its end, and there is no other that could do this for it";
    thread_end::elsewhere(again).unwrap_or_else(|error| {
        context::with(context, |context| context.report_text(id, format!("{NO_THREAD}: {error}")));
        fallback
    })
}

/// A line of the log about what failed, with `text` for its reason. Failures of a plugin's call
/// are logged at the end of the call instead.
fn log(id: Option<PluginId>, text: &str) {
    /// The most bytes of an error's text that are logged.
    const MOST: usize = 512;
    if !sink::is_enabled(Level::Error) {
        return;
    }
    let text = error::summary(text);
    let shown = &text[..text.floor_char_boundary(MOST)];
    match id {
        Some(id) => sink::note(Level::Error, format_args!("plugin {id}: {shown}")),
        None => sink::note(Level::Error, format_args!("{shown}")),
    }
}

/// Why a C function fails.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Context(contexts::Error),
    #[error(transparent)]
    Argument(super::arg::Error),
}

impl From<contexts::Error> for Box<Failure> {
    fn from(error: contexts::Error) -> Self {
        Self::new(Failure::Context(error))
    }
}

impl From<super::arg::Error> for Box<Failure> {
    fn from(error: super::arg::Error) -> Self {
        Self::new(Failure::Argument(error))
    }
}

#[cfg(test)]
mod tests {
    use super::{guard, message};

    #[test]
    fn a_panic_becomes_the_fallback() {
        assert_eq!(guard(-1, || panic!("below")), -1);
        assert_eq!(guard(-1, || 7), 7);
    }

    #[test]
    fn both_kinds_of_messages_are_read() {
        assert_eq!(message(&"text"), "text");
        assert_eq!(message(&"text".to_owned()), "text");
        assert_eq!(message(&7), "a panic without a message");
    }
}
