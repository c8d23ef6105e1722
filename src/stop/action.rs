//! What signals do: the kernel's table of it, and calls of a host's handlers.
#![expect(unsafe_code, reason = "handlers are known to the kernel by their addresses")]

use std::mem::{self, MaybeUninit};
use std::ptr;

/// A handler as `SA_SIGINFO` asks for it.
pub(crate) type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// On the thread's alternate stack: that of a plugin may be at its end.
const FLAGS: libc::c_int = libc::SA_SIGINFO | libc::SA_ONSTACK;

/// What a signal of this number does at the moment.
pub(crate) fn current(number: i32) -> libc::sigaction {
    let mut action = MaybeUninit::zeroed();
    // SAFETY: it writes the old action, which all zeros are a valid value of, to where there is room for it.
    unsafe { libc::sigaction(number, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: written, or all zeros.
    unsafe { action.assume_init() }
}

pub(crate) fn is(action: &libc::sigaction, handler: Handler) -> bool {
    action.sa_sigaction == handler as usize
}

/// Makes `handler` what a signal does. `flags` come to those that all handlers of the library have.
pub(crate) fn install(number: i32, handler: Handler, flags: libc::c_int) {
    // SAFETY: all zeros are a valid value of it.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = FLAGS | flags;
    restore(number, &action);
}

/// Makes a signal do what it did before.
pub(crate) fn restore(number: i32, action: &libc::sigaction) {
    // SAFETY: the handler, if there is one, is of the type that the flags say, and does only what a handler may.
    unsafe { libc::sigaction(number, ptr::from_ref(action), ptr::null_mut()) };
}

/// Calls a host's handler, as its own flags ask for it.
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
        // SAFETY: who installed it with `SA_SIGINFO` has said so.
        let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
        handler(number, info, context);
    } else {
        // SAFETY: who installed it without that flag has said so.
        let handler = unsafe { mem::transmute::<usize, extern "C" fn(i32)>(handler) };
        handler(number);
    }
}

/// Makes a signal do what the system does with it.
pub(crate) fn set_default(number: i32) {
    // SAFETY: all zeros are a valid value of it: no handler.
    restore(number, &unsafe { mem::zeroed() });
}

/// Sends a signal to this thread, or to the process where that is refused.
pub(crate) fn raise(number: i32) {
    // SAFETY: it only sends.
    let result = unsafe { libc::raise(number) };
    if result != 0 {
        let process = std::process::id().cast_signed();
        // SAFETY: as above.
        unsafe { libc::kill(process, number) };
    }
}
