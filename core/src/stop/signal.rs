//! The signals that make a thread trap in a plugin's code.
//!
//! There are two ways to send one. A real-time signal with a code of the library's own ([`REALTIME`]) is never taken
//! for a signal of the host's. It needs a place in the kernel's queue, which is bounded per user (`RLIMIT_SIGPENDING`),
//! and a system call that some filters refuse. If it cannot be sent, a standard signal ([`URGENT`]) is: it needs no
//! place in a queue, because one pending signal stands for all. Both have the same handler. It finds the run to stop by
//! the thread that it runs on. It trusts nothing that comes with the signal, because others can send the same.
#![expect(unsafe_code, reason = "the kernel and a signal's handler know addresses only")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{LazyLock, OnceLock};

use super::chain::Chain;
use super::info::Info;
use super::this_thread::ThisThread;
use super::{Code, action, alternate_stack};

/// A system error number.
pub(crate) type Errno = i32;

/// The earlier handlers of the signal `*SIGNAL`.
static REALTIME: Chain = Chain::new();

/// The standard signal, ignored where it has no handler. The library's is installed before the first one is sent. Hosts
/// with a handler, such as Go, tolerate more of these signals than were sent, because one may stand for several.
const URGENT: i32 = libc::SIGURG;

/// The earlier handlers of [`URGENT`].
static BEFORE_URGENT: Chain = Chain::new();

/// The key of each thread's [`ThisThread`] address; `None` if the process has no key left. The handler reads it instead
/// of a Rust thread-local, which may allocate at a thread's first access; a host's signals reach all threads.
static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();

/// The library's real-time signal: one that nobody uses, else the last but one. Its handler is installed on first use.
static SIGNAL: LazyLock<i32> = LazyLock::new(|| {
    let candidates = || (libc::SIGRTMIN()..libc::SIGRTMAX()).rev();
    let is_free = |number: &i32| action::current(*number).sa_sigaction == libc::SIG_DFL;
    // A blocked signal may be in use by sigwaitinfo(2) or signalfd(2).
    let blocked = Blocked::new();
    let is_unused = |number: &i32| is_free(number) && !blocked.was_blocked(*number);
    let number = candidates().find(is_unused).or_else(|| candidates().find(is_free)).unwrap_or(libc::SIGRTMAX() - 1);
    REALTIME.install(number, handle);
    number
});

fn new_key() -> Option<libc::pthread_key_t> {
    let mut key = 0;
    // SAFETY: there is room for the key; it has no destructor.
    let result = unsafe { libc::pthread_key_create(&raw mut key, None) };
    (result == 0).then_some(key)
}

/// Makes this thread ready for the signals; returns its kernel id, or 0 if there is no memory for that. Some hosts have
/// threads that block all signals: a trap's signal cannot wait, and would end the process there.
#[cold]
pub(crate) fn prepare(this: &ThisThread) -> i32 {
    alternate_stack::prepare();
    if let Some(key) = *KEY.get_or_init(new_key) {
        // SAFETY: it stores the address. The value there has no destructor and is valid until the thread is gone.
        let result = unsafe { libc::pthread_setspecific(key, ptr::from_ref(this).cast()) };
        if result != 0 {
            return 0;
        }
    }
    let mut ours = MaybeUninit::zeroed();
    // SAFETY: it makes an empty set.
    unsafe { libc::sigemptyset(ours.as_mut_ptr()) };
    for signal in [*SIGNAL, URGENT, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
        // SAFETY: the set is initialised, and the number is that of a signal.
        unsafe { libc::sigaddset(ours.as_mut_ptr(), signal) };
    }
    // SAFETY: the set is initialised; the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, ours.as_ptr(), ptr::null_mut()) };
    this_number()
}

fn this_number() -> i32 {
    // SAFETY: it only asks.
    unsafe { libc::gettid() }
}

/// Sends a signal to `thread`; `false` if the thread is gone, or the system refuses both ways.
pub(crate) fn send(thread: i32) -> bool {
    let number = *SIGNAL;
    install_again(number, &REALTIME);
    if queue(thread, number) {
        return true;
    }
    if errno() == libc::ESRCH {
        return false;
    }
    install_again(URGENT, &BEFORE_URGENT);
    kill(thread, URGENT)
}

/// Tells whether this thread can send signals to other threads of the process.
///
/// # Errors
/// The system's reason for refusing them.
pub(crate) fn can_send() -> Result<(), Errno> {
    if KEY.get_or_init(new_key).is_none() {
        return Err(libc::EAGAIN);
    }
    // Signal 0 runs all checks and sends nothing.
    let thread = this_number();
    if queue(thread, 0) || kill(thread, 0) { Ok(()) } else { Err(errno()) }
}

/// The host may have replaced the handler. Without one, the real-time signal would end the process.
fn install_again(number: i32, before: &Chain) {
    if !action::is(&action::current(number), handle) {
        before.install(number, handle);
    }
}

fn queue(thread: i32, number: i32) -> bool {
    let process = std::process::id().cast_signed();
    let mut info = Info::ours(number, process);
    // SAFETY: the kernel reads one `Info`; the thread belongs to this process, or does not exist.
    unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, number, &raw mut info) == 0 }
}

fn kill(thread: i32, number: i32) -> bool {
    let process = std::process::id().cast_signed();
    // SAFETY: it only sends; the thread belongs to this process, or does not exist.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, number) == 0 }
}

/// The error of the last system call.
fn errno() -> Errno {
    io::Error::last_os_error().raw_os_error().unwrap_or_default()
}

/// The handler. Only reads a record and changes where the thread continues: it never allocates, locks or panics.
extern "C" fn handle(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a `siginfo_t`, which `Info` mirrors.
    let is_ours = unsafe { &*info.cast::<Info>() }.is_ours();
    if !is_ours {
        let before = if number == URGENT { &BEFORE_URGENT } else { &REALTIME };
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
    if record.traps(*address as usize) {
        // The plugin's registers and stack are not read any more: Wasmer discards its stack as a whole.
        *address = trap as extern "C" fn() -> ! as usize as i64;
    }
}

/// This thread's [`ThisThread`], if it ever ran a plugin.
fn this_thread() -> Option<&'static ThisThread> {
    let key = (*KEY.get()?)?;
    // SAFETY: it only reads, which is allowed in a handler with glibc ("AS-Safe" in its manual) and musl.
    let this = unsafe { libc::pthread_getspecific(key) };
    // SAFETY: null, or the address that `prepare` stored: this thread's own value, which lives as long as the thread.
    unsafe { this.cast::<ThisThread>().as_ref() }
}

/// True if `address` is in this code.
pub(crate) fn is_in(code: *const Code, address: usize) -> bool {
    // SAFETY: null, or kept alive by the record's owner, which stays while it runs, as the caller has checked.
    unsafe { code.as_ref() }.is_some_and(|code| code.contains(address))
}

/// The instruction that Wasmer uses for a stack overflow, the only trap for which it does not walk the stack. The stack
/// does not match this function's address, because the signal's handler jumps here.
#[unsafe(naked)]
pub(crate) extern "C" fn trap() -> ! {
    std::arch::naked_asm!(".byte 0x0f, 0xb9, 0xc0")
}

/// Blocks all signals on this thread, and on threads that it makes, until dropped.
pub(crate) struct Blocked(libc::sigset_t);

impl Blocked {
    pub(crate) fn new() -> Self {
        let (mut all, mut before) = (MaybeUninit::zeroed(), MaybeUninit::zeroed());
        // SAFETY: it makes a set of all signals.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: the set is initialised; the old one has room.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: written, or all zeros, the empty set.
        Self(unsafe { before.assume_init() })
    }
}

impl Blocked {
    /// True if the thread blocked this signal before.
    fn was_blocked(&self, number: i32) -> bool {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&raw const self.0, number) == 1 }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the thread's earlier mask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
