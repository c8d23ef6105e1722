//! Yield points: where a function whose work a plugin sizes looks whether the plugin shall stop.
//!
//! A signal stops a plugin in its own code only. In a host function the plugin goes on until that returns, so each loop of
//! WASI's whose length is not a small constant has a yield point in it. The error that it gives is never seen by a plugin:
//! `enter` stops the plugin in its place.

use super::errno::Errno;
use crate::interrupt::Watch;

/// Most bytes that are moved from one yield point to the next. Moving them takes some microseconds.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// An error if the plugin shall stop. Costs one atomic load.
pub(super) fn yield_point(watch: Watch) -> Result<(), Errno> {
    #[cfg(test)]
    PASSED.with(|passed| passed.set(passed.get() + 1));
    if watch.reason().is_some() { Err(Errno::INTR) } else { Ok(()) }
}

#[cfg(test)]
thread_local! {
    /// How many yield points this thread has passed.
    pub(super) static PASSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Gives `bytes` to `work` piece by piece, with a yield point between two of them.
pub(super) fn in_pieces(
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
