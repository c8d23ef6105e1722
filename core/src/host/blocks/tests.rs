use super::{ALIGN, Block, Blocks, MAX_BLOCKS, START, State};

const END: u64 = 1 << 16;

#[test]
fn blocks_are_aligned_distinct_and_never_at_zero() {
    let mut blocks = Blocks::default();
    let offsets: Vec<u64> = [0, 1, 7, 8, 9, 0].iter().map(|length| blocks.alloc(*length, END).expect("room")).collect();
    assert_eq!(offsets, [64, 72, 80, 88, 96, 112]);
    assert_eq!(blocks.top(), 120);
    assert_eq!(offsets.iter().map(|offset| blocks.length(*offset)).collect::<Vec<_>>(), [0, 1, 7, 8, 9, 0].map(Some));
}

#[test]
fn only_the_exact_start_of_a_live_block_has_a_length() {
    let mut blocks = Blocks::default();
    let block = blocks.alloc(100, END).expect("room");
    for offset in [0, START - 1, block + 1, block + 8, block + 104, u64::MAX] {
        assert_eq!(blocks.length(offset), None, "{offset}");
    }
    blocks.free(block);
    assert_eq!(blocks.length(block), None);
}

#[test]
fn what_does_not_fit_is_refused_without_overflow() {
    let mut blocks = Blocks::default();
    for length in [END, END - START + 1, u64::MAX, u64::MAX - 7, i64::MAX as u64] {
        assert_eq!(blocks.alloc(length, END), None, "{length}");
    }
    assert!(blocks.alloc(END - START, END).is_some());
    assert_eq!(blocks.end_needed(u64::MAX), None);
}

/// After this sequence, the allocator of Extism 0.1.0 handed out overlapping blocks.
#[test]
fn neighbours_that_were_freed_become_one_gap() {
    let mut blocks = Blocks::default();
    let [a, b, c] = [600, 600, 8].map(|length| blocks.alloc(length, END).expect("room"));
    blocks.free(a);
    blocks.free(b);
    let end = blocks.top();
    let small = blocks.alloc(600, end).expect("the gap has room");
    let large = blocks.alloc(600, end).expect("and for the other one");
    assert_eq!((small, large), (a, b));
    assert_eq!(blocks.length(c), Some(8));
}

#[test]
fn a_gap_is_used_only_when_the_top_has_no_room() {
    let mut blocks = Blocks::default();
    let [a, _] = [16, 16].map(|length| blocks.alloc(length, END).expect("room"));
    blocks.free(a);
    assert_eq!(blocks.alloc(16, END), Some(START + 32));
    assert_eq!(blocks.alloc(16, blocks.top()), Some(a));
}

#[test]
fn the_top_comes_down_when_the_last_block_goes() {
    let mut blocks = Blocks::default();
    let [a, b] = [16, 16].map(|length| blocks.alloc(length, END).expect("room"));
    blocks.free(a);
    blocks.free(b);
    assert_eq!(blocks.top(), START);
}

#[test]
fn a_released_block_is_gone_but_its_place_is_kept() {
    let mut blocks = Blocks::default();
    let [a, b, _last] = [16, 16, 16].map(|length| blocks.alloc(length, END).expect("room"));
    blocks.release(a);
    assert_eq!(blocks.length(a), None);
    // The plugin's own free of a block that the host has taken over makes its place available at once.
    blocks.release(b);
    blocks.free(b);
    assert_eq!(blocks.alloc(16, blocks.top()), Some(b));
    // Without such a free, a search takes the place only when nothing else is left.
    assert_eq!(blocks.alloc(16, blocks.top()), Some(a));
    blocks.free(a);
    blocks.free(a);
    assert_eq!(blocks.alloc(16, blocks.top()), Some(a));
}

#[test]
fn the_table_is_bounded() {
    let mut blocks = Blocks::default();
    for _ in 0..MAX_BLOCKS {
        assert!(blocks.alloc(1, u64::MAX).is_some());
    }
    assert!(blocks.is_full());
    assert_eq!(blocks.alloc(1, u64::MAX), None);
    blocks.free(START);
    assert_eq!(blocks.alloc(1, u64::MAX), Some(START));
}

/// Random sequences of calls, compared with a list of live blocks: no two of them overlap, each keeps its length, and
/// the table has neither holes nor, once merged, two free neighbours.
#[test]
fn random_histories_keep_the_table_sound() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for _ in 0..20 {
        let mut blocks = Blocks::default();
        let mut live: Vec<(u64, u64)> = Vec::new();
        for _ in 0..2_000 {
            match next(4) {
                0 | 1 => {
                    let length = next(300);
                    if let Some(offset) = blocks.alloc(length, 20_000) {
                        live.push((offset, length));
                    }
                }
                kind if !live.is_empty() => {
                    let (offset, _) = live.swap_remove(usize::try_from(next(live.len() as u64)).expect("small"));
                    if kind == 2 { blocks.free(offset) } else { blocks.release(offset) }
                }
                _ => {}
            }
            check(&blocks, &live);
        }
    }
}

fn check(blocks: &Blocks, live: &[(u64, u64)]) {
    let mut expected = START;
    for block in &blocks.table {
        assert_eq!(block.offset, expected);
        assert!(block.size >= block.length && block.size % ALIGN == 0 && block.size > 0);
        assert!(!blocks.merged || block.state != State::Free || block.size <= blocks.largest_free);
        expected += block.size;
    }
    assert!(blocks.table.last().is_none_or(|block| block.state != State::Free), "the top is not free");
    let free = |block: &Block| block.state == State::Free;
    assert!(!blocks.merged || !blocks.table.windows(2).any(|pair| pair.iter().all(free)), "two free neighbours");
    assert_eq!(live.len(), blocks.table.iter().filter(|block| block.state == State::Live).count());
    for (offset, length) in live {
        assert_eq!(blocks.length(*offset), Some(*length));
    }
    assert_eq!(blocks.released, blocks.table.iter().filter(|block| block.state == State::Released).count());
}
