//! How much address space the process may have, and which memories plugins get for it.

use rustix::process::{Resource, getrlimit};

/// How a plugin's memories are made. Its code is compiled for one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Memories {
    /// Each is a reservation of 8 GiB of address space and never moves. The fastest: code needs no bounds checks.
    Reserved,
    /// Each takes little more than it has, and may move when it grows. Code compares every address with the memory's length.
    Moving,
}

impl Memories {
    /// The kinds for plugins of this process, in order of preference: code for the first is taken that is there. A compiler makes it
    /// for the first of them.
    pub(crate) fn preferred() -> &'static [Self] {
        if is_small() { &[Self::Moving, Self::Reserved] } else { &[Self::Reserved, Self::Moving] }
    }
}

/// Below this limit on the address space (`RLIMIT_AS`), in bytes, memories are not reserved: it is room for 32 of them.
const SMALL: u64 = 256 << 30;

/// The process's limit on its address space, in bytes, if it has one.
fn limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

pub(super) fn is_small() -> bool {
    limit().is_some_and(|limit| limit < SMALL)
}

/// How many threads compile: as many as there are processors, unless the address space is small.
///
/// Each takes 2 MiB for its stack, and up to 128 MiB that glibc's allocator reserves for a new thread, whether used or not.
#[cfg(feature = "compiler")]
pub(super) fn compiling_threads() -> std::num::NonZero<usize> {
    use std::num::NonZero;

    /// In bytes: a quarter of the limit is for threads.
    const SHARE: u64 = 4 * (130 << 20);
    let given = crate::environment::text("RAYON_NUM_THREADS").and_then(|given| given.parse().ok());
    let all = given.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
    let fit = limit().map_or(usize::MAX, |limit| usize::try_from(limit / SHARE).unwrap_or(usize::MAX));
    all.min(NonZero::new(fit).unwrap_or(NonZero::<usize>::MIN))
}
