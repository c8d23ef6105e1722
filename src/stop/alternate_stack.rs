//! The stack that handlers of signals run on. Wasmer makes one for each thread that has none that is large enough, and unmaps it
//! when the thread ends, while the kernel still has its address: a signal that comes late would end the process there. So a
//! thread gets this one before, which is taken back first.
#![expect(unsafe_code, reason = "the kernel gets the address of a mapping")]

use std::mem::MaybeUninit;
use std::ptr;

/// What is enough for Wasmer.
const SIZE: usize = 64 << 10;
/// Below the stack, where nothing may be written.
const GUARD: usize = 64 << 10;

thread_local! {
    static STACK: Option<AlternateStack> = AlternateStack::of_this_thread();
}

/// Gives this thread a stack for handlers, if it has none that is large enough.
pub(crate) fn prepare() {
    // At the very end of a thread, it does without.
    let _ = STACK.try_with(|_| ());
}

struct AlternateStack {
    mapping: *mut libc::c_void,
}

fn current() -> libc::stack_t {
    let mut current = MaybeUninit::zeroed();
    // SAFETY: it only asks, and there is room for the answer.
    unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) };
    // SAFETY: written, or all zeros, which are a valid value of it.
    unsafe { current.assume_init() }
}

impl AlternateStack {
    /// `None` if the thread has one, or there is no memory: Wasmer says that then.
    fn of_this_thread() -> Option<Self> {
        let has = current();
        if has.ss_flags & libc::SS_DISABLE == 0 && has.ss_size >= SIZE {
            return None;
        }
        let (kind, access) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping, which nobody else has.
        let mapping = unsafe { libc::mmap(ptr::null_mut(), GUARD + SIZE, libc::PROT_NONE, kind, -1, 0) };
        if mapping == libc::MAP_FAILED {
            return None;
        }
        let this = Self { mapping };
        let stack = libc::stack_t { ss_sp: this.bottom(), ss_flags: 0, ss_size: SIZE };
        // SAFETY: it is a part of the mapping.
        let is_writable = unsafe { libc::mprotect(this.bottom(), SIZE, access) } == 0;
        // SAFETY: the mapping stays until `drop` has taken the stack back.
        let is_in_use = is_writable && unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } == 0;
        is_in_use.then_some(this)
    }

    fn bottom(&self) -> *mut libc::c_void {
        self.mapping.wrapping_byte_add(GUARD)
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        if current().ss_sp == self.bottom() {
            let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            // SAFETY: handlers run on the thread's own stack from then on.
            unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) };
        }
        // SAFETY: the kernel does not have it any more, and nobody else ever did.
        unsafe { libc::munmap(self.mapping, GUARD + SIZE) };
    }
}
