//! The signals that make a thread trap in a plugin's code.
//!
//! There are two ways to send one. A real-time signal with a code of the library's own in it ([`REALTIME`]) is never taken for a
//! signal of the host's, but needs a place in the kernel's queue, which is bounded for each user (`RLIMIT_SIGPENDING`), and a
//! system call that some filters refuse. Where it cannot be sent, a standard signal is ([`URGENT`]): it needs no place, as one that
//! is pending already stands for all. The handler is the same for both. It finds what to stop by the thread it runs on, and takes
//! nothing from what comes with the signal, which others can send too.
#![expect(unsafe_code, reason = "the kernel and a signal's handler know addresses only")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{LazyLock, OnceLock};


use super::{action, alternate_stack, Code};
use super::chain::Chain;
use super::info::Info;
use super::this_thread::ThisThread;

/// A number of the system's for an error.
pub(crate) type Errno = i32;

/// The handlers from before the library's of the signal `*SIGNAL`.
static REALTIME: Chain = Chain::new();

/// The standard signal, which does nothing where it has no handler. The library's is installed when it is first sent. Hosts that
/// have one, such as Go, get by with more signals of this kind than were sent to them: one may stand for several.
const URGENT: i32 = libc::SIGURG;

/// The handlers from before the library's of [`URGENT`].
static BEFORE_URGENT: Chain = Chain::new();

/// Where a thread keeps the address of its [`ThisThread`]; `None` if the process has no key left. The handler asks here: to ask
/// for a thread-local value itself may allocate memory in a thread that never did before, and a host's signals come to all threads.
static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();

/// A real-time signal that nobody uses, or the last but one. The handler is installed with it.
static SIGNAL: LazyLock<i32> = LazyLock::new(|| {
    let candidates = || (libc::SIGRTMIN()..libc::SIGRTMAX()).rev();
    let is_free = |number: &i32| action::current(*number).sa_sigaction == libc::SIG_DFL;
    // One that is blocked may be waited for: sigwaitinfo(2), signalfd(2).
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

/// The number of this thread, which is ready for the signals then; 0 if there is no memory for that. Some hosts have threads that
/// block all signals: there a trap, whose signal cannot wait, would end the process.
#[cold]
pub(crate) fn prepare(this: &ThisThread) -> i32 {
    alternate_stack::prepare();
    if let Some(key) = *KEY.get_or_init(new_key) {
        // SAFETY: it keeps the address. What is there has no destructor and is not gone before the thread is.
        let result = unsafe { libc::pthread_setspecific(key, ptr::from_ref(this).cast()) };
        if result != 0 {
            return 0;
        }
    }
    let mut ours = MaybeUninit::zeroed();
    // SAFETY: it makes an empty set.
    unsafe { libc::sigemptyset(ours.as_mut_ptr()) };
    for signal in [*SIGNAL, URGENT, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
        // SAFETY: it is a set now, and the number that of a signal.
        unsafe { libc::sigaddset(ours.as_mut_ptr(), signal) };
    }
    // SAFETY: the set is one; the old one is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, ours.as_ptr(), ptr::null_mut()) };
    this_number()
}

fn this_number() -> i32 {
    // SAFETY: it only asks.
    unsafe { libc::gettid() }
}

/// Sends a signal to `thread`; `false` if that is not there, or the system refuses both ways.
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

/// Whether this thread can send signals to others of the process.
///
/// # Errors
/// Why the system refuses it.
pub(crate) fn can_send() -> Result<(), Errno> {
    if KEY.get_or_init(new_key).is_none() {
        return Err(libc::EAGAIN);
    }
    // With 0 for a signal, everything is checked, and none is sent.
    let thread = this_number();
    if queue(thread, 0) || kill(thread, 0) { Ok(()) } else { Err(errno()) }
}

/// Somebody may have taken the handler away. Without one, the real-time signal ends the process.
fn install_again(number: i32, before: &Chain) {
    if !action::is(&action::current(number), handle) {
        before.install(number, handle);
    }
}

fn queue(thread: i32, number: i32) -> bool {
    let process = std::process::id().cast_signed();
    let mut info = Info::ours(number, process);
    // SAFETY: the kernel reads as much as an `Info` has; the thread is one of this process, or none.
    unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, number, &raw mut info) == 0 }
}

fn kill(thread: i32, number: i32) -> bool {
    let process = std::process::id().cast_signed();
    // SAFETY: it only sends; the thread is one of this process, or none.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, number) == 0 }
}

/// Why the last system call has failed.
fn errno() -> Errno {
    io::Error::last_os_error().raw_os_error().unwrap_or_default()
}

/// Does nothing but look at a record and change where the thread goes on. Nothing in it allocates, locks or panics.
extern "C" fn handle(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a `siginfo_t`, which is that.
    let is_ours = unsafe { &*info.cast::<Info>() }.is_ours();
    if !is_ours {
        let before = if number == URGENT { &BEFORE_URGENT } else { &REALTIME };
        before.pass_on(number, info, context);
    }
    // A standard signal of the library's looks like the host's, or stands for both.
    if is_ours || number == URGENT {
        stop(context);
    }
}

/// Makes this thread trap if it is in the code of a plugin that shall stop.
fn stop(context: *mut libc::c_void) {
    let Some(record) = this_thread().and_then(|this| this.current.get()) else { return };
    // SAFETY: the kernel passes the thread's context, which the handler may change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let address = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    if record.traps(*address as usize) {
        // No register or stack of the plugin is looked at any more: Wasmer leaves its stack as a whole.
        *address = trap as extern "C" fn() -> ! as usize as i64;
    }
}

/// What this thread knows of itself, if it has ever run a plugin.
fn this_thread() -> Option<&'static ThisThread> {
    let key = (*KEY.get()?)?;
    // SAFETY: it only reads, which a handler may do in glibc ("AS-Safe" in its manual) and in musl.
    let this = unsafe { libc::pthread_getspecific(key) };
    // SAFETY: null, or what `prepare` has put there, which is this thread's own and lives as long as that.
    unsafe { this.cast::<ThisThread>().as_ref() }
}

/// Whether an address is in this code.
pub(crate) fn is_in(code: *const Code, address: usize) -> bool {
    // SAFETY: null, or what the record's owner keeps; and the owner does not go while it runs, which the caller has checked.
    unsafe { code.as_ref() }.is_some_and(|code| code.contains(address))
}

/// The instruction that Wasmer has for a stack overflow, the one trap whose stack it does not look through: this one is not
/// where the stack says.
#[unsafe(naked)]
pub(crate) extern "C" fn trap() -> ! {
    std::arch::naked_asm!(".byte 0x0f, 0xb9, 0xc0")
}

/// While this lives, the thread gets no signals, nor do threads that it makes.
pub(crate) struct Blocked(libc::sigset_t);

impl Blocked {
    pub(crate) fn new() -> Self {
        let (mut all, mut before) = (MaybeUninit::zeroed(), MaybeUninit::zeroed());
        // SAFETY: it makes a set of all signals.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: it is a set now; there is room for the old one.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: written, or all zeros, the empty set.
        Self(unsafe { before.assume_init() })
    }
}

impl Blocked {
    /// Whether the thread did not get this signal before.
    fn was_blocked(&self, number: i32) -> bool {
        // SAFETY: it is a set.
        unsafe { libc::sigismember(&raw const self.0, number) == 1 }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: it is the set from before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
