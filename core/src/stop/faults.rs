//! The signals of faults, such as SIGSEGV, which the engine turns into traps.
//!
//! The engine's handler checks the address of the fault, not whether a fault happened. A signal that a process sends
//! (`kill -SEGV`) would count as a trap in a running plugin. Anywhere else it would be swallowed, and the engine's
//! handler removed, so that the next trap would end the process. The library therefore installs one handler above the
//! engine's, which lets only faults through, and one below it, for faults that the engine does not take for traps. Both
//! leave the rest to the action from before the library: it ends the process or calls the host's handler.
#![expect(unsafe_code, reason = "handlers are known by their addresses")]

use std::mem;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::action::{self, Handler};

/// A fault inside a handler reaches the handler again, as with the engine's own flags.
const FLAGS: libc::c_int = libc::SA_NODEFER;

/// One of the signals.
struct Fault {
    number: i32,
    /// The address of the engine's handler; 0 if there is none.
    engine: AtomicUsize,
    /// The host's action: a handler's address, `SIG_DFL` or `SIG_IGN`.
    host: AtomicUsize,
    /// The host's handler was installed with `SA_SIGINFO`.
    has_info: AtomicBool,
}

static FAULTS: [Fault; 4] =
    [Fault::new(libc::SIGSEGV), Fault::new(libc::SIGBUS), Fault::new(libc::SIGILL), Fault::new(libc::SIGFPE)];

/// Calls `install` for the engine's handlers, and puts the library's above and below them. Does nothing later.
pub(crate) fn cover(install: fn()) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = FAULTS.each_ref().map(|fault| (fault, fault.put_below()));
        install();
        before.iter().for_each(|(fault, host)| fault.put_above(host));
    });
}

impl Fault {
    const fn new(number: i32) -> Self {
        let (engine, host) = (AtomicUsize::new(0), AtomicUsize::new(libc::SIG_DFL));
        Self { number, engine, host, has_info: AtomicBool::new(false) }
    }

    fn put_below(&self) -> libc::sigaction {
        let host = action::current(self.number);
        self.has_info.store(host.sa_flags & libc::SA_SIGINFO != 0, Ordering::Relaxed);
        self.host.store(host.sa_sigaction, Ordering::Relaxed);
        action::install(self.number, below, FLAGS);
        host
    }

    fn put_above(&self, host: &libc::sigaction) {
        let engine = action::current(self.number);
        if action::is(&engine, below) {
            // The engine does not handle this signal on this platform.
            action::restore(self.number, host);
        } else {
            self.engine.store(engine.sa_sigaction, Ordering::Relaxed);
            action::install(self.number, above, FLAGS);
        }
    }

    /// Does what the signal did before the library was loaded.
    fn as_before(&self, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let is_sent = is_sent(info);
        let host = self.host.load(Ordering::Relaxed);
        match host {
            libc::SIG_IGN if is_sent => {}
            // A fault cannot be ignored.
            libc::SIG_DFL | libc::SIG_IGN => self.end_process(is_sent),
            handler => {
                action::call(handler, self.has_info.load(Ordering::Relaxed), self.number, info, context);
                if is_sent {
                    self.stay();
                }
            }
        }
    }

    /// Ends the process by the default action. A signal that was sent is sent again; after a fault, the instruction is
    /// executed again.
    fn end_process(&self, is_sent: bool) {
        action::set_default(self.number);
        if is_sent {
            action::raise(self.number);
        }
    }

    /// The host's handler may have reset its signal to the default, as Rust's standard library does. The default then
    /// becomes the host's action, and the library's handler stays installed for traps.
    fn stay(&self) {
        if action::current(self.number).sa_sigaction == libc::SIG_DFL {
            self.host.store(libc::SIG_DFL, Ordering::Relaxed);
            action::install(self.number, above, FLAGS);
        }
    }
}

/// True if a process sent the signal; otherwise the kernel found a fault.
fn is_sent(info: *const libc::siginfo_t) -> bool {
    // SAFETY: the kernel passes a valid pointer to the handler.
    unsafe { &*info }.si_code <= 0
}

fn find(number: i32) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.number == number)
}

extern "C" fn above(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(fault) = find(number) else { return };
    let engine = fault.engine.load(Ordering::Relaxed);
    if is_sent(info) || engine == 0 {
        fault.as_before(info, context);
    } else {
        // SAFETY: the engine installed it with `SA_SIGINFO`, so it has this type.
        let engine = unsafe { mem::transmute::<usize, Handler>(engine) };
        engine(number, info, context);
    }
}

extern "C" fn below(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if let Some(fault) = find(number) {
        fault.as_before(info, context);
    }
}
