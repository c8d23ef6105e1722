//! The threads that compile, and their stacks.

use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::fork;
use crate::sandbox;
use crate::sync::{AtomicU32, Ordering, PerProcess};

/// Runs `work` on rayon's threads. Its global pool belongs to the process that compiled first: one forked later would
/// wait for it forever and gets its own pool. A process with little address space does as well, with few threads.
pub(super) fn with_threads<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    /// The process that rayon's global pool is in, as `fork::generation() + 1`; 0 if there is none yet.
    static OWNER: AtomicU32 = AtomicU32::new(0);
    static THREADS: PerProcess<ThreadPool> = PerProcess::new();
    // Test whether threads can be made: rayon and the compilers panic otherwise, and the global pool stays unusable.
    let one = thread::Builder::new().spawn(|| ()).map_err(|error| error.to_string())?;
    let _ = one.join();
    // The number is always given, as rayon would otherwise read it from the environment.
    let count = sandbox::compiling_threads().get();
    let threads = || ThreadPoolBuilder::new().num_threads(count).stack_size(sandbox::COMPILING_STACK);
    let process = fork::generation() + 1;
    let is_owner = match OWNER.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {
            // Fails if a host in Rust has already made rayon's global pool; its threads are used then.
            let _ = threads().build_global();
            true
        }
        Err(owner) => owner == process,
    };
    if is_owner && !sandbox::is_small() {
        return Ok(work());
    }
    let pool = THREADS.get_or_make(|| threads().build()).map_err(|error| error.to_string())?;
    Ok(pool.install(work))
}

/// Refuses a value of `RUST_MIN_STACK` with which a compiler could run out of stack, which would end the process.
/// Larger values are fine. The standard library ignores those that are no numbers.
pub(super) fn check_stacks(value: Option<&str>) -> Result<(), String> {
    match value.and_then(|value| value.parse::<usize>().ok()) {
        Some(bytes) if bytes < sandbox::COMPILING_STACK => Err(format!(
            "RUST_MIN_STACK: `{bytes}` is less than {} bytes, the stack that threads need to compile",
            sandbox::COMPILING_STACK
        )),
        _ => Ok(()),
    }
}

/// Makes the standard library read `RUST_MIN_STACK`, which it caches for all threads. It does so for the first thread
/// made without a stack size of its own, such as those that compile. The thread made for it here ends at once.
pub(crate) fn begin() {
    if let Ok(thread) = thread::Builder::new().name("extism-first".to_owned()).spawn(|| ()) {
        let _ = thread.join();
    }
}
