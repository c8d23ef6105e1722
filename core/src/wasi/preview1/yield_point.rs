//! Yield points: places where a function with work of any size asks whether the plugin shall stop.
//!
//! A signal stops a plugin in its own code only; a host function runs on until it returns. Each loop of WASI's
//! functions therefore has a yield point, unless a small constant bounds it. Plugins never see the error of a yield
//! point: `enter` stops them instead.

use super::errno::Errno;
use crate::stop::Watch;

/// The most bytes that are moved between two yield points. Moving them takes some microseconds.
pub(crate) const MAX_BYTES: usize = 64 << 10;

/// Fails if the plugin shall stop. Costs one atomic load.
pub(crate) fn yield_point(watch: Watch) -> Result<(), Errno> {
    #[cfg(test)]
    PASSED.with(|passed| passed.set(passed.get() + 1));
    if watch.reason().is_some() { Err(Errno::INTR) } else { Ok(()) }
}

#[cfg(test)]
thread_local! {
    /// The number of yield points that this thread has passed.
    pub(crate) static PASSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Passes `bytes` to `work` piece by piece, with a yield point between two pieces.
pub(crate) fn in_pieces(
    watch: Watch,
    bytes: &[u8],
    mut work: impl FnMut(&[u8]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut pieces = bytes.chunks(MAX_BYTES);
    if let Some(first) = pieces.next() {
        work(first)?;
    }
    for piece in pieces {
        yield_point(watch)?;
        work(piece)?;
    }
    Ok(())
}
