//! Polls that take no time; `../clocks.rs` has the others. Subscriptions have another layout in preview 0.

use super::{Row, Version, check, rows};

const TABLE: &str = r#"
    # Clocks: 0 is the type, and flag 1 means a moment
    poll_oneoff({clock(7, MONOTONIC, 0, 0)}, b, 1, a) | ok | a: u32 1, b: event 7 0 0 0 0
    poll_oneoff({clock(7, REALTIME, 1, 0)}, b, 1, a) | ok | a: u32 1, b: event 7 0 0 0 0
    poll_oneoff({clock(7, REALTIME, 1, 1)}, b, 1, a) | ok | a: u32 1, b: event 7 0 0 0 0
    poll_oneoff({clock(-1, MONOTONIC, 0, 0)}, b, 1, a) | ok | a: u32 1, b: event -1 0 0 0 0
    poll_oneoff({clock(7, 9, 0, 0)}, b, 1, a) | ok | a: u32 1, b: event 7 28 0 0 0
    poll_oneoff({clock(7, MONOTONIC, 60000000000, 0) clock(8, REALTIME, 1, 0)}, b, 2, a) | ok | a: u32 1, b: event 8 0 0 0 0
    poll_oneoff({clock(7, MONOTONIC, 0, 0) clock(8, REALTIME, 0, 0)}, b, 2, a)
        | ok | a: u32 2, b: event 7 0 0 0 0 event 8 0 0 0 0

    # Streams: 1 is reading, 2 writing. Input is at its end, which is flag 1, and cannot be written to
    poll_oneoff({read(7, stdin)}, b, 1, a) | ok | a: u32 1, b: event 7 0 1 0 1
    poll_oneoff({write(7, stdin)}, b, 1, a) | ok | a: u32 1, b: event 7 8 2 0 0
    poll_oneoff({write(7, stdout)}, b, 1, a) | ok | a: u32 1, b: event 7 0 2 0 0
    poll_oneoff({write(7, stderr)}, b, 1, a) | ok | a: u32 1, b: event 7 0 2 0 0
    poll_oneoff({read(7, stdout)}, b, 1, a) | ok | a: u32 1, b: event 7 8 1 0 0
    poll_oneoff({read(7, stdin) write(8, stdout)}, b, 2, a) | ok | a: u32 2, b: event 7 0 1 0 1 event 8 0 2 0 0
    poll_oneoff({clock(7, MONOTONIC, 60000000000, 0) write(8, stdin)}, b, 2, a) | ok | a: u32 1, b: event 8 8 2 0 0
    fd_close(stdin); poll_oneoff({read(7, stdin)}, b, 1, a) | ok | a: u32 1, b: event 7 8 1 0 0

    # Files are always ready
    open(rw, "a.txt", 0, READ+WRITE, 0); poll_oneoff({read(7, first) write(8, first)}, b, 2, a)
        | ok | a: u32 2, b: u64 7 u16 0 u8 1 zero 5 any 8 u16 0 zero 6 u64 8 u16 0 u8 2 zero 5 any 8 u16 0 zero 6
    poll_oneoff({read(7, first) write(8, -1)}, b, 2, a) | ok | a: u32 2, b: event 7 8 1 0 0 event 8 8 2 0 0

    # What cannot be waited for
    poll_oneoff({read(7, stdin)}, b, 0, a) | INVAL
    poll_oneoff({read(7, stdin)}, b, -1, a) | INVAL
    poll_oneoff({read(7, stdin)}, b, 1025, a) | INVAL
    poll_oneoff({unknown(7, stdin)}, b, 1, a) | INVAL
"#;

pub(super) fn table(version: Version) -> Vec<Row> {
    rows(version, TABLE)
}

#[test]
fn polls() {
    check(table);
}
