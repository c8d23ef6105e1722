//! The signal that makes a thread trap in a plugin's code.
#![expect(unsafe_code, reason = "the kernel and a signal's handler know addresses only")]

use std::iter;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::record::Record;
use super::{Code, alternate_stack};

/// What the kernel passes on with a signal, as far as it matters: `siginfo_t` of Linux on x86-64, of a queued signal.
#[repr(C)]
struct Info {
    number: i32,
    error: i32,
    code: i32,
    _padding: i32,
    process: i32,
    user: u32,
    record: usize,
    _rest: [u64; 11],
    /// [`PASSED_ON`], if it is.
    mark: u64,
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

/// The code of our signals. The kernel's are positive; `sigqueue` and the like have small ones. Another process may send it
/// only if it may do anything to this one (rt_sigqueueinfo(2)).
const OURS: i32 = -0x4578_7469;

/// Of a signal that the handler has passed on, at the end of what is known of it, which the kernel leaves unused: this, and how
/// often it was passed on.
const PASSED_ON: u64 = 0x4578_7469_7373_0000;

/// What has handled the signal before.
struct Before {
    action: libc::sigaction,
    /// What has handled it before that, when the library's handler was installed for the first time.
    earlier: Option<&'static Self>,
}

/// A host may install another handler later. They are never freed, as handlers read them.
static BEFORE: AtomicPtr<Before> = AtomicPtr::new(ptr::null_mut());

/// A real-time signal that nobody uses, or the last but one. The handler is installed with it.
static SIGNAL: LazyLock<i32> = LazyLock::new(|| {
    let candidates = || (libc::SIGRTMIN()..libc::SIGRTMAX()).rev();
    let is_free = |number: &i32| current_action(*number).sa_sigaction == libc::SIG_DFL;
    // One that is blocked may be waited for: sigwaitinfo(2), signalfd(2).
    let blocked = Blocked::new();
    let is_unused = |number: &i32| is_free(number) && !blocked.was_blocked(*number);
    let number = candidates().find(is_unused).or_else(|| candidates().find(is_free)).unwrap_or(libc::SIGRTMAX() - 1);
    install(number);
    number
});

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == handle as extern "C" fn(_, _, _) as usize
}

fn current_action(number: i32) -> libc::sigaction {
    let mut action = MaybeUninit::zeroed();
    // SAFETY: it writes the old action, which all zeros are a valid value of, to where there is room for it.
    unsafe { libc::sigaction(number, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: written, or all zeros.
    unsafe { action.assume_init() }
}

fn install(number: i32) {
    let last = BEFORE.load(Ordering::Acquire);
    let before = current_action(number);
    // The handler may have to pass on a signal from the first moment.
    if !is_ours(&before) {
        let handler = |action: &libc::sigaction| (action.sa_sigaction, action.sa_flags);
        let known = all_before(last).find(|known| handler(&known.action) == handler(&before));
        let known = known.map(|known| ptr::from_ref(known).cast_mut());
        let new = || Box::into_raw(Box::new(Before { action: before, earlier: all_before(last).next() }));
        // Unless another thread, which sends the signal too, has come first: it has found the same.
        let _ = BEFORE.compare_exchange(last, known.unwrap_or_else(new), Ordering::AcqRel, Ordering::Relaxed);
    }
    // SAFETY: all zeros are a valid value of it.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handle as extern "C" fn(_, _, _) as usize;
    // On the thread's alternate stack, which Wasmer sees to: that of a plugin may be at its end.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the handler is of the type that `SA_SIGINFO` asks for, and does only what a handler may.
    unsafe { libc::sigaction(number, &raw const action, ptr::null_mut()) };
}

/// The number of this thread, which is ready for the signal then. Some hosts have threads that block all signals: there a trap,
/// whose signal cannot wait, would end the process.
#[cold]
pub(super) fn prepare() -> i32 {
    alternate_stack::prepare();
    let mut ours = MaybeUninit::zeroed();
    // SAFETY: it makes an empty set.
    unsafe { libc::sigemptyset(ours.as_mut_ptr()) };
    for signal in [*SIGNAL, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
        // SAFETY: it is a set now, and the number that of a signal.
        unsafe { libc::sigaddset(ours.as_mut_ptr(), signal) };
    }
    // SAFETY: the set is one; the old one is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, ours.as_ptr(), ptr::null_mut()) };
    // SAFETY: it only asks.
    unsafe { libc::gettid() }
}

/// Sends the signal for `record` to `thread`; `false` if that is not there, or cannot get it now.
pub(super) fn send(record: &Record, thread: i32) -> bool {
    let number = *SIGNAL;
    // Somebody may have taken the handler away; without one, the signal ends the process.
    if !is_ours(&current_action(number)) {
        install(number);
    }
    let mut info = Info {
        number,
        error: 0,
        code: OURS,
        _padding: 0,
        process: std::process::id().cast_signed(),
        user: 0,
        record: ptr::from_ref(record).expose_provenance(),
        _rest: [0; 11],
        mark: 0,
    };
    let process = info.process;
    // SAFETY: the kernel reads as much as an `Info` has; the thread is one of this process, or none.
    unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, number, &raw mut info) == 0 }
}

/// Does nothing but look at a record and change where the thread goes on. Nothing in it allocates, locks or panics.
extern "C" fn handle(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a `siginfo_t`, which is that; it is this signal's own, on the stack.
    let ours = unsafe { &mut *info.cast::<Info>() };
    if ours.code != OURS {
        let passed_on = (ours.mark ^ PASSED_ON) as usize;
        let times = if passed_on < 1 << 16 { passed_on } else { 0 };
        ours.mark = PASSED_ON | (times as u64 + 1) & 0xffff;
        if let Some(before) = all_before(BEFORE.load(Ordering::Acquire)).nth(times) {
            pass_on(&before.action, number, info, context);
        }
        return;
    }
    // SAFETY: who sends this code gives the address of a record with it; none is ever freed.
    let record = unsafe { &*ptr::with_exposed_provenance::<Record>(ours.record) };
    // SAFETY: the kernel passes the thread's context, which the handler may change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let address = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    // SAFETY: it only asks.
    let thread = unsafe { libc::gettid() };
    if record.traps(thread, *address as usize) {
        // No register or stack of the plugin is looked at any more: Wasmer leaves its stack as a whole.
        *address = trap as extern "C" fn() -> ! as usize as i64;
    }
}

/// The last handler before ours, as [`BEFORE`] says, and those before it.
fn all_before(last: *const Before) -> impl Iterator<Item = &'static Before> {
    // SAFETY: null, or one that was put there to stay.
    iter::successors(unsafe { last.as_ref() }, |before| before.earlier)
}

/// What is not ours, a handler from before ours gets: the last one, and the one before it when that, which was installed after ours,
/// passes it on to ours.
fn pass_on(before: &libc::sigaction, number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if matches!(before.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        return;
    }
    if before.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: who installed it with this flag has said so.
        let handler = unsafe { mem::transmute::<usize, Handler>(before.sa_sigaction) };
        handler(number, info, context);
    } else {
        // SAFETY: who installed it without the flag has said so.
        let handler = unsafe { mem::transmute::<usize, extern "C" fn(i32)>(before.sa_sigaction) };
        handler(number);
    }
}

/// Whether an address is in this code.
pub(super) fn is_in(code: *const Code, address: usize) -> bool {
    // SAFETY: null, or what the record's owner keeps; and the owner does not go while it runs, which the caller has checked.
    unsafe { code.as_ref() }.is_some_and(|code| code.contains(address))
}

/// The instruction that Wasmer has for a stack overflow, the one trap whose stack it does not look through: this one is not
/// where the stack says.
#[unsafe(naked)]
pub(super) extern "C" fn trap() -> ! {
    std::arch::naked_asm!(".byte 0x0f, 0xb9, 0xc0")
}

/// While this lives, the thread gets no signals, nor do threads that it makes.
pub(super) struct Blocked(libc::sigset_t);

impl Blocked {
    pub(super) fn new() -> Self {
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
