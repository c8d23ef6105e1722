//! The room on the stack of the thread that calls a plugin. Functions of the host program run there, and may call plugins
//! whose functions call further ones: such calls inside calls end with an error before they overflow the stack.
#![expect(unsafe_code, reason = "the C library knows where a thread's stack is")]

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

use thiserror::Error;

/// The least room for a call inside a call, in bytes. One takes about 4 KiB itself; the functions that plugins import,
/// and the program's own, need the rest.
const NEEDED: usize = 64 << 10;

/// The stack has too little room for a call inside a call.
#[derive(Debug, Error)]
#[error(
    "calls inside calls have used up the stack of this thread: {left} bytes are left, and one more needs {NEEDED}; give \
     the thread a larger stack, or do not call plugins from host functions without end"
)]
pub(crate) struct NoStack {
    left: usize,
}

thread_local! {
    /// The addresses of this thread's stack, once they are known; empty if they cannot be.
    static STACK: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Checks that this thread's stack has room for a call inside a call. It has if it is not known where the stack is, or
/// if the thread runs on another one, as fibers do.
pub(crate) fn check() -> Result<(), NoStack> {
    let here = ptr::from_ref(&MaybeUninit::<u8>::uninit()).addr();
    let stack = STACK.get().unwrap_or_else(|| {
        let Range { start, end } = stack().unwrap_or(0..0);
        STACK.set(Some((start, end)));
        (start, end)
    });
    match here.checked_sub(stack.0) {
        Some(left) if here < stack.1 && left < NEEDED => Err(NoStack { left }),
        _ => Ok(()),
    }
}

/// The addresses of this thread's stack.
#[cfg(target_os = "linux")]
fn stack() -> Option<Range<usize>> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: always possible.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: the thread exists, and there is room for the answer.
    let result = unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    let (mut start, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the call above has written the attributes; there is room for the answers.
    let result = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut size) };
    // SAFETY: as above; nothing uses them afterwards.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (result == 0).then(|| start.addr()..start.addr().saturating_add(size))
}

#[cfg(not(target_os = "linux"))]
fn stack() -> Option<Range<usize>> {
    None
}
