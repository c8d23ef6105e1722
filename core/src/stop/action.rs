//! Signal actions: the kernel's table of handlers, and calls of a host's handlers.
#![expect(unsafe_code, reason = "handlers are known to the kernel by their addresses")]

use std::mem::{self, MaybeUninit};
use std::ptr;

/// A handler for `SA_SIGINFO`.
pub(crate) type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// Handlers run on the thread's alternate stack, because a plugin's stack may be exhausted.
const FLAGS: libc::c_int = libc::SA_SIGINFO | libc::SA_ONSTACK;

/// The current action of a signal.
pub(crate) fn current(number: i32) -> libc::sigaction {
    let mut action = MaybeUninit::zeroed();
    // SAFETY: it only writes the old action, to a buffer of its size; all zeros are a valid value.
    unsafe { libc::sigaction(number, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: written, or all zeros.
    unsafe { action.assume_init() }
}

pub(crate) fn is(action: &libc::sigaction, handler: Handler) -> bool {
    action.sa_sigaction == handler as usize
}

/// Installs `handler` for a signal. `flags` are added to those of all the library's handlers.
pub(crate) fn install(number: i32, handler: Handler, flags: libc::c_int) {
    // SAFETY: all zeros are a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = FLAGS | flags;
    restore(number, &action);
}

/// Installs `action` for a signal.
pub(crate) fn restore(number: i32, action: &libc::sigaction) {
    // SAFETY: the handler, if there is one, has the type that the flags say, and is async-signal-safe.
    unsafe { libc::sigaction(number, ptr::from_ref(action), ptr::null_mut()) };
}

/// Calls a host's handler, with the parameters that its flags ask for.
pub(crate) fn call(
    handler: usize,
    has_info: bool,
    number: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    if matches!(handler, libc::SIG_DFL | libc::SIG_IGN) {
        return;
    }
    if has_info {
        // SAFETY: the host installed it with `SA_SIGINFO`, so it has this type.
        let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
        handler(number, info, context);
    } else {
        // SAFETY: the host installed it without that flag, so it has this type.
        let handler = unsafe { mem::transmute::<usize, extern "C" fn(i32)>(handler) };
        handler(number);
    }
}

/// Restores the system's default action of a signal.
pub(crate) fn set_default(number: i32) {
    // SAFETY: all zeros are a valid value: no handler.
    restore(number, &unsafe { mem::zeroed() });
}

/// Sends a signal to this thread, or to the process if the thread cannot be signalled.
pub(crate) fn raise(number: i32) {
    // SAFETY: it only sends.
    let result = unsafe { libc::raise(number) };
    if result != 0 {
        let process = std::process::id().cast_signed();
        // SAFETY: as above.
        unsafe { libc::kill(process, number) };
    }
}
