//! The contexts by their tokens, and the way of a C function into one: its errors and panics stay there.

use std::sync::Arc;

use thiserror::Error;

use crate::context;
use crate::context::{Context, PluginId};
use extism_capi::guard::{caught, guard_use};
use extism_capi::recent::{Recent, with_recent};
use extism_capi::thread_end::Use;
use extism_capi::token::TokenTable;
use extism_capi::{arg, ffi, log};
use extism_core::error;

/// All contexts. One is in the table from `extism_context_new` to `extism_context_free`.
pub(super) static CONTEXTS: TokenTable<Arc<Context>> = TokenTable::new();

/// The number of places in a thread's own cache, where it finds contexts without the shared table. A token modulo this
/// number chooses the place.
const RECENT: usize = 4;

thread_local! {
    static RECENTLY: Recent<usize, Context, RECENT> = const { Recent::new() };
}

/// Calls `work` with the context of a token; `None` if the token is unknown.
pub(super) fn with<T>(token: usize, work: impl FnOnce(&Context) -> T) -> Option<T> {
    with_recent(&RECENTLY, token, token, || find(token), work)
}

#[cold]
fn find(token: usize) -> Option<Arc<Context>> {
    CONTEXTS.get(token)
}

/// Runs `work` on the context of the token. An error is kept for `extism_error`, with plugin `id` if there is one, and
/// `fallback` is returned. On a thread that is ending, runs `again` instead, the same C function, on another thread.
#[inline(always)]
pub(super) fn with_context<T: Copy>(
    token: usize,
    id: Option<PluginId>,
    fallback: T,
    again: impl FnOnce() -> T,
    work: impl FnOnce(&Context) -> Result<T, Box<Failure>>,
) -> T {
    in_context(Use::Other, token, id, fallback, again, work)
}

/// Like [`with_context`], for `work` that calls plugin `id`.
#[inline(always)]
pub(super) fn call_in_context<T: Copy>(
    token: usize,
    id: PluginId,
    fallback: T,
    again: impl FnOnce() -> T,
    work: impl FnOnce(&Context) -> Result<T, Box<Failure>>,
) -> T {
    in_context(Use::Call, token, Some(id), fallback, again, work)
}

// Inlined: it is on the path of every call, and used once per C function.
#[inline(always)]
fn in_context<T: Copy>(
    what: Use,
    token: usize,
    id: Option<PluginId>,
    fallback: T,
    again: impl FnOnce() -> T,
    work: impl FnOnce(&Context) -> Result<T, Box<Failure>>,
) -> T {
    let refuse = |text| {
        with(token, |context| context.report_text(id, text));
    };
    guard_use(what, fallback, again, refuse, || {
        let result = with(token, |context| {
            match caught(|| work(context)) {
                Ok(Ok(value)) => return value,
                Ok(Err(failure)) => {
                    let text = error::describe(&*failure);
                    log::note_failure(id, &text);
                    match *failure {
                        Failure::Context(error) => context.report(id, &error, text),
                        Failure::Argument(_) | Failure::Functions(_) => context.report_text(id, text),
                    }
                }
                Err(panic) => context.report_text(id, panic.text()),
            }
            fallback
        });
        result.unwrap_or(fallback)
    })
}

/// Why a C function fails.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Context(context::Error),
    #[error(transparent)]
    Argument(arg::Error),
    #[error(transparent)]
    Functions(ffi::Error),
}

impl From<context::Error> for Box<Failure> {
    fn from(error: context::Error) -> Self {
        Self::new(Failure::Context(error))
    }
}

impl From<arg::Error> for Box<Failure> {
    fn from(error: arg::Error) -> Self {
        Self::new(Failure::Argument(error))
    }
}

impl From<ffi::Error> for Box<Failure> {
    fn from(error: ffi::Error) -> Self {
        Self::new(Failure::Functions(error))
    }
}
