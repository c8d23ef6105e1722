//! Work on many bytes or entries for a plugin. At yield points, it asks whether the plugin shall stop.
//!
//! A plugin chooses how much a host function has to do, up to 4 GiB a call, and no signal stops it there
//! (`stop/`). All work that no small constant bounds is therefore done here. Work of up to one slice has no
//! yield point: each host function has one before and one after its work (`watched.rs`).

use std::ops::Range;

use super::direct::{DirectMemory, PAGE};
use super::fault::Fault;
use crate::stop::Watch;

/// The bytes that are read, written or given back between two yield points. Takes about a millisecond if the operating
/// system has to supply all pages.
pub(crate) const SLICE: usize = 1 << 20;

/// The entries of a table that are compared between two yield points.
const ENTRIES: usize = 1 << 12;

/// A yield point: fails if the plugin shall stop.
pub(crate) fn yield_point(watch: Watch) -> Result<(), Fault> {
    #[cfg(test)]
    tests::count_yield_point();
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
        yield_point(watch)?;
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
        yield_point(watch)?;
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
        yield_point(watch)?;
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
        yield_point(watch)?;
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
        yield_point(watch)?;
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
            yield_point(watch)?;
        }
        if equal(entry.as_bytes(), name, watch)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::{ENTRIES, Fault, Range, SLICE, backwards, copy, copy_to, find, of};
    use crate::stop::{CodeRanges, Stopper, Watch};

    thread_local! {
        static PASSED: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts a yield point that this thread passes.
    pub(crate) fn count_yield_point() {
        PASSED.set(PASSED.get() + 1);
    }

    /// The number of whole slices that the test data has; a few bytes follow them.
    const COUNT: usize = 5;
    const LENGTH: usize = COUNT * SLICE + 7;

    /// Does `work` for a running plugin, then for a cancelled one. Returns how many yield points it passed in the first
    /// case; in the second, it has to fail at the first one.
    fn yield_points<T>(mut work: impl FnMut(Watch) -> Result<T, Fault>) -> usize {
        let stopper = Stopper::new(Arc::new(CodeRanges::new(Vec::new())));
        let _run = stopper.begin(None).expect("no deadline");
        PASSED.set(0);
        assert!(work(stopper.watch()).is_ok());
        let yield_points = PASSED.replace(0);
        assert!(stopper.handle().cancel());
        assert!(matches!(work(stopper.watch()), Err(Fault::Stopped)));
        assert_eq!(PASSED.get(), 1);
        yield_points
    }

    type Work<'a> = &'a mut dyn FnMut(Range<u64>) -> Result<(), Fault>;

    /// The number of yield points that `way` passes, and the only slice of `range` that it works on for a plugin that
    /// shall stop.
    fn ranges(range: &Range<u64>, way: fn(Range<u64>, Watch, Work<'_>) -> Result<(), Fault>) -> (usize, Range<u64>) {
        let mut ranges = Vec::new();
        let yield_points = yield_points(|watch| {
            ranges.clear();
            way(range.clone(), watch, &mut |slice| {
                ranges.push(slice);
                Ok(())
            })
            .inspect(|()| {
                let all: u64 = ranges.iter().map(|slice| slice.end - slice.start).sum();
                assert_eq!(all, range.end - range.start);
            })
        });
        assert_eq!(ranges.len(), 1, "{ranges:?}");
        (yield_points, ranges.remove(0))
    }

    #[test]
    fn no_more_than_a_slice_is_between_two_yield_points() {
        let slice = SLICE as u64;
        let all = 3..3 + LENGTH as u64;
        let forwards = ranges(&all, |range, watch, work| of(range, watch, work));
        assert_eq!(forwards, (COUNT, all.start..all.start + slice));
        let backwards = ranges(&all, |range, watch, work| backwards(range, watch, work));
        assert_eq!(backwards, (COUNT, all.end - slice..all.end));

        let source: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
        assert_eq!(yield_points(|watch| copy(&source, watch).inspect(|copy| assert_eq!(copy, &source))), COUNT + 1);
        let mut target = vec![0; LENGTH];
        assert_eq!(yield_points(|watch| copy_to(&mut target, &source, watch)), COUNT + 1);
        assert_eq!(target, source);

        let same = String::from_utf8(vec![b'x'; LENGTH]).expect("ASCII");
        let found = |watch| find([(&same, 7)].into_iter(), same.as_bytes(), watch);
        assert_eq!(yield_points(|watch| found(watch).inspect(|value| assert_eq!(*value, Some(7)))), COUNT + 1);
        let others: Vec<_> = (0..COUNT * ENTRIES + 7).map(|index| index.to_string()).collect();
        let found = |watch| find(others.iter().zip(0..), same.as_bytes(), watch);
        assert_eq!(yield_points(|watch| found(watch).inspect(|value| assert_eq!(*value, None::<i32>))), COUNT);
    }

    /// Most calls move no more than one slice.
    #[test]
    fn a_slice_or_less_is_done_without_a_yield_point() {
        let stopper = Stopper::new(Arc::new(CodeRanges::new(Vec::new())));
        let _run = stopper.begin(None).expect("no deadline");
        assert!(stopper.handle().cancel());
        let watch = stopper.watch();
        for length in [0, 1, SLICE] {
            let bytes = vec![7; length];
            assert!(copy(&bytes, watch).is_ok_and(|copy| copy == bytes), "{length}");
            let mut target = vec![0; length];
            assert!(copy_to(&mut target, &bytes, watch).is_ok() && target == bytes, "{length}");
            let mut done = 0;
            let mut count = |range: Range<u64>| {
                done += range.end - range.start;
                Ok(())
            };
            assert!(of(9..9 + length as u64, watch, &mut count).is_ok());
            assert!(backwards(9..9 + length as u64, watch, &mut count).is_ok());
            assert_eq!(done, 2 * length as u64);
        }
    }
}
