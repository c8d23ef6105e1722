//! The way of a C function to the plugin of a token: panics stay there.

use extism_capi::guard::{caught, guard_use};
use extism_capi::thread_end::Use;

use crate::plugin::Plugin;
use crate::registry;

/// Runs `work` on the plugin of the token. If there is none, or `work` panics, `fallback` is returned; a panic becomes the
/// plugin's error. On a thread that is ending, runs `again` instead, the same C function, on another thread.
// Inlined: it is on the path of every call, and used once per C function.
#[inline(always)]
pub(super) fn with_plugin<T: Copy>(
    what: Use,
    token: usize,
    fallback: T,
    again: impl FnOnce() -> T,
    work: impl FnOnce(&Plugin) -> T,
) -> T {
    let refuse = |text| {
        registry::with(token, |plugin| plugin.fail(text));
    };
    guard_use(what, fallback, again, refuse, || {
        let result = registry::with(token, |plugin| {
            caught(|| work(plugin)).unwrap_or_else(|panic| {
                plugin.fail(panic.text());
                fallback
            })
        });
        result.unwrap_or(fallback)
    })
}
