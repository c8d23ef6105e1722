//! The limit on the process's address space, and the kind of linear memory that plugins get under it.

use rustix::process::{Resource, getrlimit};

/// The way in which a plugin's linear memories are allocated. Machine code is compiled for one of these kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Memories {
    /// A reservation of 8 GiB of address space each, which never moves. The fastest kind: code needs no bounds checks.
    Reserved,
    /// A mapping little larger than the memory, which may move on growth. Code compares every address with the length.
    Moving,
}

impl Memories {
    /// The kinds for plugins of this process, in order of preference: the first kind that code is available for is
    /// used. A built-in compiler always compiles for the first.
    pub(crate) fn preferred() -> &'static [Self] {
        if is_small() { &[Self::Moving, Self::Reserved] } else { &[Self::Reserved, Self::Moving] }
    }
}

/// In bytes. Below this limit on the address space (`RLIMIT_AS`), which is 32 reservations, memories are not reserved.
const SMALL: u64 = 256 << 30;

/// The process's limit on its address space, in bytes; `None` if it is unlimited.
fn limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// The address space that the process may still take, in bytes; `None` if that is unlimited. All of the limit if the
/// system does not tell what is taken.
pub(crate) fn left() -> Option<u64> {
    let limit = limit()?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = |line: &str| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok();
    let taken = status.lines().find_map(kibibytes).unwrap_or(0);
    Some(limit.saturating_sub(taken.saturating_mul(1024)))
}

pub(crate) fn is_small() -> bool {
    limit().is_some_and(|limit| limit < SMALL)
}

/// The stack of a thread that compiles, in bytes. Wasmer makes threads without saying how large a stack they need, so
/// that these have the standard library's default, which this is, or `RUST_MIN_STACK`.
#[cfg(feature = "compiler")]
pub(crate) const COMPILING_STACK: usize = 2 << 20;

/// The number of threads that compile: one for each processor or fewer, as `RAYON_NUM_THREADS` says or the limit on the
/// address space demands.
///
/// Each takes 2 MiB for its stack, and up to 128 MiB of addresses that glibc's allocator reserves for a new thread.
#[cfg(feature = "compiler")]
pub(crate) fn compiling_threads() -> std::num::NonZero<usize> {
    use std::num::NonZero;

    /// In bytes: a thread takes 130 MiB, and a quarter of the limit is for threads.
    const SHARE: u64 = 4 * (130 << 20);
    let processors = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let given = crate::environment::text("RAYON_NUM_THREADS").and_then(|given| given.parse().ok());
    let all = given.unwrap_or(processors).min(processors);
    let fit = limit().map_or(usize::MAX, |limit| usize::try_from(limit / SHARE).unwrap_or(usize::MAX));
    all.min(NonZero::new(fit).unwrap_or(NonZero::<usize>::MIN))
}
