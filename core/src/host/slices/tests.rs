use std::cell::Cell;
use std::sync::Arc;

use super::{ENTRIES, Fault, Range, SLICE, backwards, copy, copy_to, find, of};
use crate::stop::{CodeRanges, Stopper, Watch};

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the yield points that this thread passes.
pub(crate) fn count_look() {
    LOOKS.set(LOOKS.get() + 1);
}

/// The number of whole slices that the test data has; a few bytes follow them.
const COUNT: usize = 5;
const LENGTH: usize = COUNT * SLICE + 7;

/// Does `work` for a running plugin, then for a cancelled one. Returns how many yield points it passed in the first
/// case; in the second, it has to fail at the first one.
fn looks<T>(mut work: impl FnMut(Watch) -> Result<T, Fault>) -> usize {
    let stopper = Stopper::new(Arc::new(CodeRanges::new(Vec::new())));
    let _run = stopper.begin(None).expect("no deadline");
    LOOKS.set(0);
    assert!(work(stopper.watch()).is_ok());
    let looks = LOOKS.replace(0);
    assert!(stopper.handle().cancel());
    assert!(matches!(work(stopper.watch()), Err(Fault::Stopped)));
    assert_eq!(LOOKS.get(), 1);
    looks
}

type Work<'a> = &'a mut dyn FnMut(Range<u64>) -> Result<(), Fault>;

/// The number of yield points that `way` passes, and the only slice of `range` that it works on for a plugin that shall
/// stop.
fn ranges(range: &Range<u64>, way: fn(Range<u64>, Watch, Work<'_>) -> Result<(), Fault>) -> (usize, Range<u64>) {
    let mut ranges = Vec::new();
    let looks = looks(|watch| {
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
    (looks, ranges.remove(0))
}

#[test]
fn no_more_than_a_slice_is_between_two_looks() {
    let slice = SLICE as u64;
    let all = 3..3 + LENGTH as u64;
    let forwards = ranges(&all, |range, watch, work| of(range, watch, work));
    assert_eq!(forwards, (COUNT, all.start..all.start + slice));
    let backwards = ranges(&all, |range, watch, work| backwards(range, watch, work));
    assert_eq!(backwards, (COUNT, all.end - slice..all.end));

    let source: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
    assert_eq!(looks(|watch| copy(&source, watch).inspect(|copy| assert_eq!(copy, &source))), COUNT + 1);
    let mut target = vec![0; LENGTH];
    assert_eq!(looks(|watch| copy_to(&mut target, &source, watch)), COUNT + 1);
    assert_eq!(target, source);

    let same = String::from_utf8(vec![b'x'; LENGTH]).expect("ASCII");
    let found = |watch| find([(&same, 7)].into_iter(), same.as_bytes(), watch);
    assert_eq!(looks(|watch| found(watch).inspect(|value| assert_eq!(*value, Some(7)))), COUNT + 1);
    let others: Vec<_> = (0..COUNT * ENTRIES + 7).map(|index| index.to_string()).collect();
    let found = |watch| find(others.iter().zip(0..), same.as_bytes(), watch);
    assert_eq!(looks(|watch| found(watch).inspect(|value| assert_eq!(*value, None::<i32>))), COUNT);
}

/// Most calls move no more than one slice.
#[test]
fn a_slice_or_less_is_done_without_a_look() {
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
