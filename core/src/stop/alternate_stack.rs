//! The alternate signal stack of a thread. Wasmer makes one for each thread without a large enough one, and unmaps it
//! when the thread ends, although the kernel still has its address: a late signal would then end the process. The
//! library therefore installs its own stack first, and takes it back from the kernel before unmapping it.
#![expect(unsafe_code, reason = "the kernel gets the address of a mapping")]

use std::mem::MaybeUninit;
use std::ptr;

/// Bytes; Wasmer accepts a stack of this size.
const SIZE: usize = 64 << 10;
/// Bytes below the stack that are not accessible.
const GUARD: usize = 64 << 10;

thread_local! {
    static STACK: Option<AlternateStack> = AlternateStack::of_this_thread();
}

/// Gives this thread a signal stack, if it has none that is large enough.
pub(crate) fn prepare() {
    // At the very end of a thread it goes without one.
    let _ = STACK.try_with(|_| ());
}

struct AlternateStack {
    mapping: *mut libc::c_void,
}

fn current() -> libc::stack_t {
    let mut current = MaybeUninit::zeroed();
    // SAFETY: it only asks, and the answer has room.
    unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) };
    // SAFETY: written, or all zeros, which are a valid value.
    unsafe { current.assume_init() }
}

impl AlternateStack {
    /// `None` if the thread has one, or there is no memory: Wasmer reports the latter.
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
        // SAFETY: the range is a part of the mapping.
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
            // SAFETY: it only disables the alternate stack; handlers then run on the thread's own stack.
            unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) };
        }
        // SAFETY: the kernel does not use the mapping any more, and nobody else ever did.
        unsafe { libc::munmap(self.mapping, GUARD + SIZE) };
    }
}
