//! Open files: their bytes, positions, sizes, times, and appending.

use super::{Row, Version, check, rows};

const TABLE: &str = r#"
    # Reading, into one buffer or several
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [5@b], a) | ok | a: u32 5, b: "hello"
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [0x100@b], a) | ok | a: u32 5, b: "hello"
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [2@b 0@c 2@c 9@d], a) | ok | a: u32 5, b: "he", c: "ll", d: "o"
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [2@b], unseen); fd_read(first, [2@c], a) | ok | a: u32 2, b: "he", c: "ll"
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [5@b], unseen); fd_read(first, [5@c], a) | ok | a: u32 0, b: "hello"
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [], a) | ok | a: u32 0
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [0@b], a) | ok | a: u32 0
    open(rw, "a.txt", 0, READ, 0); fd_read(first, b, 1025, a) | INVAL
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [5@end], unseen)=FAULT; fd_tell(first, a) | ok | a: u64 0
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [2@b 3@end], unseen)=FAULT; fd_tell(first, a) | ok | a: u64 0
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [0xffffffff@b], a) | FAULT
    open(rw, "a.txt", 0, WRITE, 0); fd_read(first, [5@b], a) | BADF
    fd_read(stdin, [5@b], a) | ok | a: u32 0
    fd_read(stdin, [], a) | ok | a: u32 0
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [5@b], 0, a) | ok | a: u32 5, b: "hello"
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [2@b 2@c], 2, a) | ok | a: u32 3, b: "ll", c: "o"
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [5@b], 5, a) | ok | a: u32 0
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [5@b], 0x7fffffffffff, a) | ok | a: u32 0
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [5@b], -1, a) | INVAL
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [5@b], 1, unseen); fd_tell(first, a) | ok | a: u64 0, b: "ello"
    open(rw, "a.txt", 0, WRITE, 0); fd_pread(first, [5@b], 0, a) | BADF

    # Writing, from one buffer or several
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, ["J"], a) | ok | a: u32 1 | a.txt = "Jello"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, ["JE" "" "LL"], a) | ok | a: u32 4 | a.txt = "JELLo"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, ["J"], unseen); fd_write(first, ["E"], a) | ok | a: u32 1 | a.txt = "JEllo"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, [], a) | ok | a: u32 0 | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, [""], a) | ok | a: u32 0 | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, b, 1025, a) | INVAL | | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, ["J" 3@end], a) | FAULT | | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, [0xffffffff@b], a) | FAULT | | a.txt = "hello"
    open(rw, "a.txt", 0, READ, 0); fd_write(first, ["J"], a) | BADF | | a.txt = "hello"
    open(ro, "a.txt", 0, READ, 0); fd_write(first, ["J"], a) | BADF | | a.txt = "hello"
    fd_write(stdout, ["one " "line\0a"], a) | ok | a: u32 9
    fd_write(stderr, [], a) | ok | a: u32 0
    fd_write(stdout, ["x" 3@end], a) | FAULT
    open(rw, "a.txt", 0, WRITE, 0); fd_pwrite(first, ["L" "L"], 2, a) | ok | a: u32 2 | a.txt = "heLLo"
    open(rw, "a.txt", 0, READ+WRITE, 0); fd_pwrite(first, ["x"], 7, a); fd_read(first, [9@b], c)
        | ok | a: u32 1, b: "hello\00\00x", c: u32 8
    open(rw, "a.txt", 0, WRITE, 0); fd_pwrite(first, ["J"], 0, unseen); fd_tell(first, a) | ok | a: u64 0 | a.txt = "Jello"
    open(rw, "a.txt", 0, WRITE, 0); fd_pwrite(first, ["J"], -1, a) | INVAL | | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_pwrite(first, ["J" 3@end], 0, a) | FAULT | | a.txt = "hello"
    open(rw, "a.txt", 0, READ, 0); fd_pwrite(first, ["J"], 0, a) | BADF | | a.txt = "hello"

    # Positions; the numbers of the three starting points are others in preview 0
    @1 open(rw, "a.txt", 0, READ, 0); fd_seek(first, 3, 0, a); fd_seek(first, -1, 1, b); fd_seek(first, -1, 2, c)
        | ok | a: u64 3, b: u64 2, c: u64 4
    @0 open(rw, "a.txt", 0, READ, 0); fd_seek(first, 3, 2, a); fd_seek(first, -1, 0, b); fd_seek(first, -1, 1, c)
        | ok | a: u64 3, b: u64 2, c: u64 4
    open(rw, "a.txt", 0, READ, 0); fd_tell(first, a) | ok | a: u64 0
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, 4, SET, a); fd_read(first, [5@b], c) | ok | a: u64 4, b: "o", c: u32 1
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, 0, END, a); fd_tell(first, b) | ok | a: u64 5, b: u64 5
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, 100, END, a); fd_read(first, [5@b], c) | ok | a: u64 105, c: u32 0
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, -5, END, a) | ok | a: u64 0
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, -6, END, a) | INVAL
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, -1, SET, a) | INVAL
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, -1, CUR, a) | INVAL
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, 2, SET, unseen); fd_seek(first, -3, CUR, unseen)=INVAL; fd_tell(first, a)
        | ok | a: u64 2
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, 0, 3, a) | INVAL
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, 0, 0xffffffff, a) | INVAL
    2*open(rw, "a.txt", 0, READ, 0); fd_seek(first, 3, SET, unseen); fd_tell(second, a) | ok | a: u64 0

    # Sizes
    open(rw, "a.txt", 0, WRITE, 0); fd_filestat_set_size(first, 2) | ok | | a.txt = "he"
    open(rw, "a.txt", 0, READ+WRITE, 0); fd_filestat_set_size(first, 7); fd_read(first, [9@b], a)
        | ok | a: u32 7, b: "hello\00\00"
    open(rw, "a.txt", 0, WRITE, 0); fd_seek(first, 4, SET, unseen); fd_filestat_set_size(first, 2); fd_tell(first, a)
        | ok | a: u64 4
    open(rw, "a.txt", 0, WRITE, 0); fd_filestat_set_size(first, -1) | INVAL | | a.txt = "hello"
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_size(first, 2) | INVAL | | a.txt = "hello"
    open(ro, "a.txt", 0, READ, 0); fd_filestat_set_size(first, 2) | INVAL | | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_allocate(first, 0, 100) | NOTSUP | | a.txt = "hello"
    open(ro, "a.txt", 0, READ, 0); fd_allocate(first, 0, 100) | NOTSUP | | a.txt = "hello"
    open(rw, "a.txt", 0, READ, 0); fd_advise(first, 0, -1, 4) | ok | | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, ["J"], unseen); fd_sync(first); fd_datasync(first)
        | ok | | a.txt = "Jello"

    # Appending: at the end, wherever that is by then
    open(rw, "a.txt", 0, WRITE, APPEND); fd_write(first, ["!"], unseen); fd_tell(first, a) | ok | a: u64 6 | a.txt = "hello!"
    open(rw, "a.txt", 0, READ+WRITE, APPEND); fd_seek(first, 1, SET, unseen); fd_write(first, ["!"], a)
        | ok | a: u32 1 | a.txt = "hello!"
    open(rw, "a.txt", 0, READ, APPEND); fd_read(first, [5@b], a) | ok | a: u32 5, b: "hello"
    2*open(rw, "a.txt", 0, WRITE, APPEND); fd_write(first, ["1"], unseen); fd_write(second, ["2"], unseen);
        fd_write(first, ["3" "4"], unseen); fd_write(second, ["5"], a) | ok | a: u32 1 | a.txt = "hello12345"
    2*open(rw, "a.txt", 0, WRITE, 0); fd_fdstat_set_flags(first, APPEND); fd_fdstat_set_flags(second, APPEND);
        fd_write(first, ["1"], unseen); fd_write(second, ["2"], unseen); fd_write(first, ["3"], a)
        | ok | a: u32 1 | a.txt = "hello123"
    open(rw, "a.txt", 0, WRITE, APPEND); open(rw, "a.txt", 0, WRITE, 0); fd_write(first, ["1"], unseen);
        fd_write(second, ["J"], unseen); fd_write(first, ["2"], a) | ok | a: u32 1 | a.txt = "Jello12"
    open(rw, "a.txt", 0, WRITE, APPEND); fd_fdstat_set_flags(first, 0); fd_write(first, ["J"], a)
        | ok | a: u32 1 | a.txt = "Jello"
    open(rw, "a.txt", 0, WRITE, 0); fd_fdstat_set_flags(first, APPEND); fd_write(first, ["!"], unseen);
        fd_fdstat_set_flags(first, 0); fd_seek(first, 0, SET, unseen); fd_write(first, ["J"], a)
        | ok | a: u32 1 | a.txt = "Jello!"
    open(rw, "a.txt", TRUNCATE, WRITE, APPEND); fd_write(first, ["1"], unseen); fd_write(first, ["2"], a)
        | ok | a: u32 1 | a.txt = "12"
    open(rw, "new", CREATE, WRITE, APPEND); fd_write(first, ["1"], unseen); fd_write(first, ["2"], a)
        | ok | a: u32 1 | new = "12"

    # What the host knows
    open(rw, "a.txt", 0, READ, 0); fd_filestat_get(first, a) | ok | a: stat "a.txt"
    open(ro, "sub/b.txt", 0, READ, 0); fd_filestat_get(first, a) | ok | a: stat "sub/b.txt"
    path_link(rw, 0, "a.txt", rw, "new"); open(rw, "new", 0, READ, 0); fd_filestat_get(first, a) | ok | a: stat "a.txt"
    open(rw, "sub", DIRECTORY, READ, 0); fd_filestat_get(first, a) | ok | a: stat "sub"
    fd_filestat_get(rw, a) | ok | a: stat "."
    fd_filestat_get(stdin, a) | ok | a: stream
    fd_filestat_get(stdout, a) | ok | a: stream
"#;

/// Flags set times: 1 that of access and 4 that of modification to the given one, 2 and 8 to the current one.
const TIMES: &str = r#"
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5000000006, 7000000008, 5)
        | ok | | a.txt accessed 5000000006, a.txt modified 7000000008
    open(rw, "a.txt", 0, WRITE, 0); fd_filestat_set_times(first, 0, 0, 5) | ok | | a.txt accessed 0, a.txt modified 0
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 1)
        | ok | | a.txt accessed 9, a.txt modified 7
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 4)
        | ok | | a.txt accessed 5, a.txt modified 9
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 0)
        | ok | | a.txt accessed 5, a.txt modified 7
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 10)
        | ok | | a.txt accessed now, a.txt modified now
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 9)
        | ok | | a.txt accessed 9, a.txt modified now
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 3)
        | INVAL | | a.txt accessed 5, a.txt modified 7
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 12)
        | INVAL | | a.txt accessed 5, a.txt modified 7
    open(rw, "sub", DIRECTORY, READ, 0); fd_filestat_set_times(first, 5, 7, 5)
        | ok | | sub accessed 5, sub modified 7
    open(rw, "sub", DIRECTORY, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 10)
        | ok | | sub accessed now, sub modified now
    open(rw, "sub", DIRECTORY, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_set_times(first, 9, 9, 4)
        | ok | | sub accessed 5, sub modified 9
    fd_filestat_set_times(rw, 5, 7, 5) | ok | | . accessed 5, . modified 7
    open(rw, "a.txt", 0, READ, 0); fd_filestat_set_times(first, 5, 7, 5); fd_filestat_get(first, a) | ok | a: stat "a.txt"
    path_filestat_set_times(rw, FOLLOW, "a.txt", 5, 7, 5); open(ro, "a.txt", 0, READ, 0);
        fd_filestat_set_times(first, 9, 9, 5) | ROFS | | a.txt accessed 5, a.txt modified 7
    path_filestat_set_times(rw, FOLLOW, "sub", 5, 7, 5); open(ro, "sub", DIRECTORY, READ, 0);
        fd_filestat_set_times(first, 9, 9, 5) | ROFS | | sub accessed 5, sub modified 7
    fd_filestat_set_times(ro, 5, 7, 5) | ROFS

    path_filestat_set_times(rw, FOLLOW, "a.txt", 5000000006, 7000000008, 5)
        | ok | | a.txt accessed 5000000006, a.txt modified 7000000008
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 5) | ok | | a.txt accessed 5, a.txt modified 7
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 5); path_filestat_set_times(rw, 0, "a.txt", 9, 9, 1)
        | ok | | a.txt accessed 9, a.txt modified 7
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 5); path_filestat_set_times(rw, 0, "a.txt", 9, 9, 0)
        | ok | | a.txt accessed 5, a.txt modified 7
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 5); path_filestat_set_times(rw, 0, "a.txt", 9, 9, 6)
        | ok | | a.txt accessed now, a.txt modified 9
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 5); path_filestat_set_times(rw, FOLLOW, "a.txt", 9, 9, 10)
        | ok | | a.txt accessed now, a.txt modified now
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 3) | INVAL
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 12) | INVAL
    path_filestat_set_times(rw, FOLLOW, "sub", 5, 7, 5) | ok | | sub accessed 5, sub modified 7
    path_filestat_set_times(rw, 0, "sub", 5, 7, 5); path_filestat_set_times(rw, 0, "sub", 9, 9, 10)
        | ok | | sub accessed now, sub modified now
    path_filestat_set_times(rw, FOLLOW, ".", 5, 7, 5) | ok | | . accessed 5, . modified 7
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 5); path_filestat_set_times(rw, 0, "link", 8, 9, 5)
        | ok | | a.txt accessed 5, a.txt modified 7, link modified 9
    path_filestat_set_times(rw, FOLLOW, "link", 5, 7, 5) | ok | | a.txt accessed 5, a.txt modified 7, link modified now
    path_filestat_set_times(rw, FOLLOW, "missing", 5, 7, 5) | NOENT
    path_filestat_set_times(rw, FOLLOW, "dangling", 5, 7, 5) | NOENT
    path_filestat_set_times(rw, FOLLOW, "out", 5, 7, 5) | PERM
    path_filestat_set_times(rw, 0, "a.txt", 5, 7, 5); path_filestat_set_times(ro, 0, "a.txt", 9, 9, 5)
        | ROFS | | a.txt accessed 5, a.txt modified 7
    path_filestat_set_times(rw, 0, "sub", 5, 7, 5); path_filestat_set_times(ro, FOLLOW, "sub", 9, 9, 5)
        | ROFS | | sub accessed 5, sub modified 7
"#;

pub(super) fn table(version: Version) -> Vec<Row> {
    let mut table = rows(version, TABLE);
    table.extend(rows(version, TIMES));
    table
}

#[test]
fn files() {
    check(|version| rows(version, TABLE));
}

#[test]
fn times() {
    check(|version| rows(version, TIMES));
}
