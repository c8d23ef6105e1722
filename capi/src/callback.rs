//! The host functions that run on this thread, innermost first.
//!
//! C gets a token for the plugin that calls a host function, and another one each time: the same one comes again after
//! thousands of calls at the earliest (`token.rs`). Only the thread on which the host function runs knows it, and only
//! until the return. Nothing that threads share is read or written for this, and
//! nothing is allocated.
#![expect(unsafe_code, reason = "a thread-local refers to what is on the thread's stack")]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use extism_core::plugin::CurrentPlugin;

use crate::token;

/// A host function that runs. It is on the stack, and its address is in [`TOP`] or in the frame above.
struct Frame {
    token: usize,
    /// Its plugin, whose lifetime is longer than that of the frame.
    plugin: *mut CurrentPlugin<'static>,
    host_context: *mut c_void,
    /// The text that the plugin's call is to fail with.
    error: Cell<Option<String>>,
    /// The frame of the host function below which this one runs; null if there is none.
    below: *const Frame,
}

thread_local! {
    // Neither has a destructor: they stay valid until the thread is gone.
    static TOP: Cell<*const Frame> = const { Cell::new(ptr::null()) };
    static HOST_CONTEXT: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

/// Runs `work`, in which host functions of one plugin may be called, which find `context` by [`host_context`].
#[inline]
pub fn with_host_context<T>(context: *mut c_void, work: impl FnOnce() -> T) -> T {
    struct Back(*mut c_void);

    impl Drop for Back {
        fn drop(&mut self) {
            HOST_CONTEXT.set(self.0);
        }
    }

    let _back = Back(HOST_CONTEXT.replace(context));
    work()
}

/// Runs `work`, which calls a host function for `plugin` and gives it the token.
///
/// # Errors
/// The host function has set an error, which is the text.
#[inline]
pub(crate) fn run(plugin: &mut CurrentPlugin<'_>, work: impl FnOnce(usize)) -> Result<(), String> {
    struct Back(*const Frame);

    impl Drop for Back {
        fn drop(&mut self) {
            TOP.set(self.0);
        }
    }

    let below = TOP.get();
    let frame = Frame {
        token: token::passing(),
        plugin: ptr::from_mut(plugin).cast(),
        host_context: HOST_CONTEXT.get(),
        error: Cell::new(None),
        below,
    };
    let back = Back(below);
    TOP.set(&raw const frame);
    work(frame.token);
    drop(back);
    frame.error.into_inner().map_or(Ok(()), Err)
}

/// Calls `work` with the frame of this token; `None` if it is unknown on this thread.
fn with_frame<T>(token: usize, work: impl FnOnce(&Frame) -> T) -> Option<T> {
    let mut next = TOP.get();
    loop {
        // SAFETY: null or the address of a frame, whose `run` has not returned: it takes the address away before.
        let frame = unsafe { next.as_ref() }?;
        if frame.token == token {
            return Some(work(frame));
        }
        next = frame.below;
    }
}

/// Calls `work` with the plugin of this token; `None` if it is unknown on this thread. `work` must not use this module.
pub(crate) fn with_plugin<T>(token: usize, work: impl FnOnce(&mut CurrentPlugin<'_>) -> T) -> Option<T> {
    with_frame(token, |frame| {
        // SAFETY: `run` has borrowed the plugin for as long as the frame lives, and does not use it meanwhile. This is
        // the only other place that does, and never twice at a time: `work` does not come here. The lifetime in the type
        // is not that of the plugin, but `work` takes any and so cannot keep what it gets.
        let plugin = unsafe { &mut *frame.plugin };
        work(plugin)
    })
}

/// The host context of the call in which the host function of this token runs. Null if there is none, or if the token is
/// unknown on this thread.
pub(crate) fn host_context(token: usize) -> *mut c_void {
    with_frame(token, |frame| frame.host_context).unwrap_or(ptr::null_mut())
}

/// Has the host function of this token fail with `text` when it returns, or succeed. Does nothing if the token is
/// unknown on this thread.
pub(crate) fn set_error(token: usize, text: Option<String>) {
    with_frame(token, |frame| frame.error.set(text));
}
