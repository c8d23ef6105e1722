//! The stack probe for Wasmer's libcalls, which run on the plugin's stack.
//!
//! A plugin may call one with almost no stack left. A libcall that overflows the stack in its middle is abandoned
//! there, with the locks that it holds: Wasmer's, the allocator's, the unwinder's. Therefore the pages that it may need
//! are touched before it begins. A fault then is an ordinary stack overflow of the plugin, and nothing is locked.
#![expect(unsafe_code, reason = "the stack is touched below what is in use")]

/// In bytes: the stack that a libcall may need, including the stack walk of a trap.
const NEEDED: usize = 32 << 10;

/// In bytes, between touches: less than a page (4 KiB), so that none is missed; not equal, to vary the cache sets.
pub(super) const STEP: usize = (4 << 10) - 64;

/// The number of touches.
pub(super) const COUNT: usize = NEEDED.div_ceil(STEP);

/// The stack probe: returns if the plugin's stack has [`NEEDED`] bytes left, else traps. For threads that run a plugin.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn probe() {
    macro_rules! touch {
        ($($number:literal)*) => {
            const { assert!([$($number),*].len() == COUNT) };
            $(
                // SAFETY: it only reads a byte, of this thread's stack or of the guard page behind its end. Wasmer
                // turns that fault into a trap, as only a libcall wrapper's frame is between the plugin's and here.
                unsafe {
                    std::arch::asm!(
                        "test byte ptr [rsp - {}], 0",
                        const $number * STEP,
                        options(nostack, readonly),
                    );
                }
            )*
        };
    }
    touch!(1 2 3 4 5 6 7 8 9);
}
