//! The handler of the signals that stop plugins: makes a thread trap in a plugin's code.
//!
//! It finds the run to stop by the thread that it runs on, and trusts nothing that comes with the signal, because
//! others can send the same.
#![expect(unsafe_code, reason = "a signal's handler knows addresses only")]

use std::ptr;
use std::sync::OnceLock;

use super::chain::Chain;
use super::code::CodeRanges;
use super::info::Info;
use super::this_thread::ThisThread;

/// The standard signal, ignored where it has no handler. The library's is installed before the first one is sent. Hosts
/// with a handler, such as Go, tolerate more of these signals than were sent, because one may stand for several.
pub(crate) const URGENT: i32 = libc::SIGURG;

/// The earlier handlers of the real-time signal.
pub(crate) static BEFORE_REALTIME: Chain = Chain::new();

/// The earlier handlers of [`URGENT`].
pub(crate) static BEFORE_URGENT: Chain = Chain::new();

/// The key of each thread's [`ThisThread`] address; `None` if the process has no key left. The handler reads it instead
/// of a Rust thread-local, which may allocate at a thread's first access; a host's signals reach all threads.
static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();

/// The key; makes it at the first call.
pub(crate) fn key() -> Option<libc::pthread_key_t> {
    *KEY.get_or_init(new_key)
}

fn new_key() -> Option<libc::pthread_key_t> {
    let mut key = 0;
    // SAFETY: there is room for the key; it has no destructor.
    let result = unsafe { libc::pthread_key_create(&raw mut key, None) };
    (result == 0).then_some(key)
}

/// Keeps the address of this thread's value for the handler; `false` if there is no memory for that.
pub(crate) fn keep(this: &ThisThread) -> bool {
    // Without a key, no deadline is accepted (`signal::can_send`).
    let Some(key) = key() else { return true };
    // SAFETY: it stores the address. The value there has no destructor and is valid until the thread is gone.
    unsafe { libc::pthread_setspecific(key, ptr::from_ref(this).cast()) == 0 }
}

/// The handler. Only reads a record and changes where the thread continues: it never allocates, locks or panics.
pub(crate) extern "C" fn handle(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a `siginfo_t`, which `Info` mirrors.
    let is_ours = unsafe { &*info.cast::<Info>() }.is_ours();
    if !is_ours {
        let before = if number == URGENT { &BEFORE_URGENT } else { &BEFORE_REALTIME };
        before.pass_on(number, info, context);
    }
    // A standard signal of the library's looks like the host's, or stands for one of each.
    if is_ours || number == URGENT {
        stop(context);
    }
}

/// Makes this thread trap if it is in the code of a plugin that must stop.
fn stop(context: *mut libc::c_void) {
    let Some(record) = this_thread().and_then(|this| this.current.get()) else { return };
    // SAFETY: the kernel passes the thread's context, which the handler may change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let address = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    if record.arrive(|code| is_in(code, *address as usize)) {
        // The plugin's registers and stack are not read any more: Wasmer discards its stack as a whole.
        *address = trap as extern "C" fn() -> ! as usize as i64;
    }
}

/// This thread's [`ThisThread`], if it ever ran a plugin.
fn this_thread() -> Option<&'static ThisThread> {
    let key = (*KEY.get()?)?;
    // SAFETY: it only reads, which is allowed in a handler with glibc ("AS-Safe" in its manual) and musl.
    let this = unsafe { libc::pthread_getspecific(key) };
    // SAFETY: null, or the address that `keep` stored: this thread's own value, which lives as long as the thread.
    unsafe { this.cast::<ThisThread>().as_ref() }
}

/// True if `address` is in this code.
fn is_in(code: *const CodeRanges, address: usize) -> bool {
    // SAFETY: null, or kept alive by the record's owner, which stays while it runs, as the caller has checked.
    unsafe { code.as_ref() }.is_some_and(|code| code.contains(address))
}

/// The instruction that Wasmer uses for a stack overflow, the only trap for which it does not walk the stack. The stack
/// does not match this function's address, because the signal's handler jumps here.
#[unsafe(naked)]
pub(crate) extern "C" fn trap() -> ! {
    std::arch::naked_asm!(".byte 0x0f, 0xb9, 0xc0")
}
