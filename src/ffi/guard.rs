//! The boundary that no panic crosses.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use log::Level;
use thiserror::Error;

use super::context::{self, ExtismContext};
use crate::context::{self as contexts, Context, PluginId};
use crate::log as sink;

/// Runs `work`; a panic in it becomes `fallback`.
pub(super) fn guard<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}

/// Runs `work` on the context behind `context`. What goes wrong is kept for `extism_error`, with plugin `id` where
/// there is one, and the result is `fallback`.
///
/// State that a panic has left half-changed is not seen again: locks are released, and an instance in which a call
/// did not come to its end is replaced.
pub(super) fn with_context<T: Copy>(
    context: *const ExtismContext,
    id: Option<PluginId>,
    fallback: T,
    work: impl FnOnce(&Context) -> Result<T, Box<Failure>>,
) -> T {
    guard(fallback, || {
        let result = context::with(context, |context| {
            match catch_unwind(AssertUnwindSafe(|| work(context))) {
                Ok(Ok(value)) => return value,
                Ok(Err(failure)) => {
                    log(id, &failure);
                    match *failure {
                        Failure::Context(error) => context.report(id, &error),
                        Failure::Argument(error) => context.report_text(id, error.to_string()),
                    }
                }
                Err(panic) => context.report_text(id, format!("internal error: {}", message(&*panic))),
            }
            fallback
        });
        result.unwrap_or(fallback)
    })
}

/// A line of the log about what failed. What a plugin's own call comes to is logged where that ends.
fn log(id: Option<PluginId>, failure: &Failure) {
    /// How much of the first line of an error is logged, in bytes.
    const MOST: usize = 512;
    if !sink::is_enabled(Level::Error) {
        return;
    }
    let text = failure.to_string();
    let first = text.lines().next().unwrap_or_default();
    let shown = &first[..first.floor_char_boundary(MOST)];
    match id {
        Some(id) => sink::note(Level::Error, format_args!("plugin {id}: {shown}")),
        None => sink::note(Level::Error, format_args!("{shown}")),
    }
}

/// Why an entry point fails.
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

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
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
