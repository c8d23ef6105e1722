//! Work on many bytes or entries for a plugin. At yield points, it asks whether the plugin shall stop.
//!
//! A plugin chooses how much a host function has to do, up to 4 GiB a call, and no signal stops it there
//! (`interrupt.rs`). All work that no small constant bounds is therefore done here. Work of up to one slice has no
//! yield point: each host function has one before and one after its work (`watched.rs`).

use std::ops::Range;

use super::Fault;
use super::direct::{DirectMemory, PAGE};
use crate::stop::Watch;

/// The bytes that are read, written or given back between two yield points. Takes about a millisecond if the operating
/// system has to supply all pages.
pub(crate) const SLICE: usize = 1 << 20;

/// The entries of a table that are compared between two yield points.
const ENTRIES: usize = 1 << 12;

/// A yield point: fails if the plugin shall stop.
pub(crate) fn look(watch: Watch) -> Result<(), Fault> {
    #[cfg(test)]
    tests::count_look();
    match watch.stop() {
        Some(_) => Err(Fault::Stopped),
        None => Ok(()),
    }
}

/// Does `work` on all of `range`, slice by slice from its start.
fn of(range: Range<u64>, watch: Watch, mut work: impl FnMut(Range<u64>) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut start = range.start;
    while range.end.saturating_sub(start) > SLICE as u64 {
        work(start..start + SLICE as u64)?;
        start += SLICE as u64;
        look(watch)?;
    }
    work(start..range.end)
}

/// Like `of`, from the end of `range` to its start, for overlapping copies.
fn backwards(
    range: Range<u64>,
    watch: Watch,
    mut work: impl FnMut(Range<u64>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut end = range.end;
    while end.saturating_sub(range.start) > SLICE as u64 {
        work(end - SLICE as u64..end)?;
        end -= SLICE as u64;
        look(watch)?;
    }
    work(range.start..end)
}

/// Zeroes a range of a memory, as far as it is inside.
pub(crate) fn clear(memory: &mut DirectMemory, range: Range<u64>, watch: Watch) -> Result<(), Fault> {
    of(range, watch, |slice| {
        memory.clear(slice);
        Ok(())
    })
}

/// Zeroes a range like `clear`, and gives the whole pages in it back to the operating system.
pub(crate) fn discard(memory: &mut DirectMemory, range: Range<u64>, watch: Watch) -> Result<(), Fault> {
    let pages = range.start.next_multiple_of(PAGE)..range.end / PAGE * PAGE;
    if pages.is_empty() {
        return clear(memory, range, watch);
    }
    clear(memory, range.start..pages.start, watch)?;
    of(pages.clone(), watch, |slice| {
        memory.discard(slice);
        Ok(())
    })?;
    clear(memory, pages.end..range.end, watch)
}

/// Copies a range of a memory to `offset`, where it may overlap itself.
pub(crate) fn move_within(memory: &mut DirectMemory, from: Range<u64>, offset: u64, watch: Watch) -> Result<(), Fault> {
    let start = from.start;
    let step = |slice: Range<u64>| {
        let target = offset + (slice.start - start);
        memory.copy_within(slice, target).ok_or(Fault::OutOfBounds)
    };
    if offset <= start { of(from, watch, step) } else { backwards(from, watch, step) }
}

/// Copies `source` to `target`, which has the same length.
pub(crate) fn copy_to(target: &mut [u8], source: &[u8], watch: Watch) -> Result<(), Fault> {
    if source.len() <= SLICE {
        target.copy_from_slice(source);
        return Ok(());
    }
    for (target, source) in target.chunks_mut(SLICE).zip(source.chunks(SLICE)) {
        target.copy_from_slice(source);
        look(watch)?;
    }
    Ok(())
}

/// A copy of `bytes`. Fails if the host cannot allocate it, as a plugin chooses the length.
pub(crate) fn copy(bytes: &[u8], watch: Watch) -> Result<Vec<u8>, Fault> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Fault::NoRoom(bytes.len()))?;
    if bytes.len() <= SLICE {
        copy.extend_from_slice(bytes);
        return Ok(copy);
    }
    for slice in bytes.chunks(SLICE) {
        copy.extend_from_slice(slice);
        look(watch)?;
    }
    Ok(copy)
}

/// True if both are equal.
fn equal(left: &[u8], right: &[u8], watch: Watch) -> Result<bool, Fault> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.chunks(SLICE).zip(right.chunks(SLICE)) {
        if left != right {
            return Ok(false);
        }
        look(watch)?;
    }
    Ok(true)
}

/// The value in `entries` under `name`, which need not be UTF-8. Only names of the same length are compared, so a very
/// long `name` is usually not read at all.
pub(crate) fn find<'a, T>(
    entries: impl Iterator<Item = (&'a String, T)>,
    name: &[u8],
    watch: Watch,
) -> Result<Option<T>, Fault> {
    for (index, (entry, value)) in entries.enumerate() {
        if index % ENTRIES == ENTRIES - 1 {
            look(watch)?;
        }
        if equal(entry.as_bytes(), name, watch)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
