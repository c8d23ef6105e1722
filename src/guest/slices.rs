//! Work on many bytes or entries for a plugin, which looks every now and then whether the plugin shall stop.
//!
//! A plugin chooses how much a host function has to do, up to 4 GiB in one call, and no signal stops it there
//! (`interrupt.rs`). So everything whose size is not bounded by a small constant goes through here. Work on no more than one slice
//! never looks: host functions look before they begin and when they are done (`watched.rs`).

use std::ops::Range;

use super::Fault;
use super::direct::{DirectMemory, PAGE};
use crate::interrupt::Watch;

/// How many bytes are read, written or given back between two looks. Takes about a millisecond where the system has to find
/// pages for all of them.
pub(super) const SLICE: usize = 1 << 20;

/// How many entries of a table are looked at between two looks.
const ENTRIES: usize = 1 << 12;

/// An error if the plugin shall stop.
pub(super) fn look(watch: Watch) -> Result<(), Fault> {
    #[cfg(test)]
    tests::count_look();
    match watch.stop() {
        Some(_) => Err(Fault::Stopped),
        None => Ok(()),
    }
}

/// Does `work` on all of `range`, from its start on, a slice at a time.
fn of(range: Range<u64>, watch: Watch, mut work: impl FnMut(Range<u64>) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut start = range.start;
    while range.end.saturating_sub(start) > SLICE as u64 {
        work(start..start + SLICE as u64)?;
        start += SLICE as u64;
        look(watch)?;
    }
    work(start..range.end)
}

/// The same from its end on, for what overlaps.
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

/// Zeroes a range of a memory, as far as there is memory.
pub(super) fn clear(memory: &mut DirectMemory, range: Range<u64>, watch: Watch) -> Result<(), Fault> {
    of(range, watch, |slice| {
        memory.clear(slice);
        Ok(())
    })
}

/// The same, and gives whole pages back to the system.
pub(super) fn discard(memory: &mut DirectMemory, range: Range<u64>, watch: Watch) -> Result<(), Fault> {
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

/// Copies a range of a memory to where `offset` is, which may overlap with it.
pub(super) fn move_within(memory: &mut DirectMemory, from: Range<u64>, offset: u64, watch: Watch) -> Result<(), Fault> {
    let start = from.start;
    let step = |slice: Range<u64>| {
        let target = offset + (slice.start - start);
        memory.copy_within(slice, target).ok_or(Fault::OutOfBounds)
    };
    if offset <= start { of(from, watch, step) } else { backwards(from, watch, step) }
}

/// Copies `source` over `target`, which is as long.
pub(super) fn copy_to(target: &mut [u8], source: &[u8], watch: Watch) -> Result<(), Fault> {
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

/// A copy, of any length that a plugin likes: if there is no room for one, that is an error.
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

/// Whether the two are equal.
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

/// The one of `entries` whose name is `name`, which need not be UTF-8: no byte of a name is read that is as long as none of
/// theirs.
pub(super) fn find<'a, T>(
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
