//! A signal's information: Linux's `siginfo_t`, as far as the library reads and writes it.

/// The kernel's layout on x86-64, for a queued signal.
#[repr(C)]
pub(crate) struct Info {
    number: i32,
    error: i32,
    /// The signal's origin. Positive: the kernel found a fault. Otherwise a process sent it.
    code: i32,
    _padding: i32,
    process: i32,
    user: u32,
    _rest: [u64; 12],
    /// [`PASSED_ON`] with a count, if the library has passed the signal on.
    mark: u64,
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

/// The `code` of the library's own signals. The kernel's are positive; those of `sigqueue` and the like are small.
const OURS: i32 = -0x4578_7469;

/// Marks a signal that the library's handler has passed on, in the last word, which the kernel leaves unused. The lower
/// 16 bits count how often it was passed on.
const PASSED_ON: u64 = 0x4578_7469_7373_0000;

impl Info {
    /// The information of a signal that the library sends in this process.
    pub(crate) fn ours(number: i32, process: i32) -> Self {
        Self { number, error: 0, code: OURS, _padding: 0, process, user: 0, _rest: [0; 12], mark: 0 }
    }

    /// True if the library sent it; another process of the same user can send the same.
    pub(crate) fn is_ours(&self) -> bool {
        self.code == OURS
    }

    /// Marks the signal as passed on; returns how often it was before.
    pub(crate) fn pass_on(&mut self) -> usize {
        let before = self.mark ^ PASSED_ON;
        let times = if before < 1 << 16 { before } else { 0 };
        self.mark = PASSED_ON | (times + 1) & 0xffff;
        times as usize
    }
}
