//! What comes with a signal: `siginfo_t` of Linux, as far as the library reads and writes it.

/// Laid out as the kernel has it on x86-64, for a signal that was queued.
#[repr(C)]
pub(crate) struct Info {
    number: i32,
    error: i32,
    /// Why there is a signal. Positive: the kernel found a fault. Else a process sent it.
    code: i32,
    _padding: i32,
    process: i32,
    user: u32,
    _rest: [u64; 12],
    /// [`PASSED_ON`], if it is.
    mark: u64,
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

/// The code of the library's own signals. The kernel's are positive; those of `sigqueue` and the like are small.
const OURS: i32 = -0x4578_7469;

/// Marks a signal that the library's handler has passed on, at the end of its information, which the kernel leaves unused. The
/// lower 16 bits count how often that was.
const PASSED_ON: u64 = 0x4578_7469_7373_0000;

impl Info {
    /// Of a signal with this number from the library, in this process.
    pub(crate) fn ours(number: i32, process: i32) -> Self {
        Self { number, error: 0, code: OURS, _padding: 0, process, user: 0, _rest: [0; 12], mark: 0 }
    }

    /// Whether it is of the library's own. Another process of the same user can send the same.
    pub(crate) fn is_ours(&self) -> bool {
        self.code == OURS
    }

    /// Notes that the signal is passed on, and says how often it was before.
    pub(crate) fn pass_on(&mut self) -> usize {
        let before = self.mark ^ PASSED_ON;
        let times = if before < 1 << 16 { before } else { 0 };
        self.mark = PASSED_ON | (times + 1) & 0xffff;
        times as usize
    }
}
