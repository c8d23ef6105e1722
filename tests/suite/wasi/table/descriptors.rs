//! Descriptors themselves: their kinds, their numbers, and the most that may be open.

use super::{Row, Version, check, rows};

const TABLE: &str = r#"
    # What was given
    fd_prestat_get(rw, a) | ok | a: u8 0 zero 3 u32 3
    fd_prestat_get(ro, a) | ok | a: u8 0 zero 3 u32 3
    fd_prestat_get(first, a) | BADF
    fd_prestat_dir_name(rw, a, 3) | ok | a: "/rw"
    fd_prestat_dir_name(ro, a, 100) | ok | a: "/ro"
    fd_prestat_dir_name(rw, a, 2) | NAMETOOLONG
    fd_prestat_dir_name(rw, a, 0) | NAMETOOLONG

    # What they are. Streams are no terminals
    fd_fdstat_get(stdin, a) | ok | a: u8 0 zero 1 u16 0 zero 4 u64 0x820000a u64 0x820000a
    fd_fdstat_get(stdout, a) | ok | a: u8 0 zero 1 u16 0 zero 4 u64 0x8200048 u64 0x8200048
    fd_fdstat_get(stderr, a) | ok | a: u8 0 zero 1 u16 0 zero 4 u64 0x8200048 u64 0x8200048

    # Rights: of a directory those of wasmtime's, less what changes something if it is read-only; by way of it, those of a file
    # besides. What is read-only inherits all but 0x40, by which `access` goes, and 0x800000. A file has none to what it was not
    # opened for
    fd_fdstat_get(rw, a) | ok | a: u8 3 zero 1 u16 0 zero 4 u64 0x7b7fe00 u64 0xff7ffff
    open(rw, "empty", DIRECTORY, READ, 0); fd_fdstat_get(first, a)
        | ok | a: u8 3 zero 1 u16 0 zero 4 u64 0x7b7fe00 u64 0xff7ffff
    open(rw, "empty", 0, READ, 4); fd_fdstat_get(first, a) | ok | a: u8 3 zero 1 u16 0 zero 4 u64 0x7b7fe00 u64 0xff7ffff
    fd_fdstat_get(ro, a) | ok | a: u8 3 zero 1 u16 0 zero 4 u64 0x24e000 u64 0x864e1bf
    open(ro, "empty", DIRECTORY, READ, 0); fd_fdstat_get(first, a) | ok | a: u8 3 zero 1 u16 0 zero 4 u64 0x24e000 u64 0x864e1bf
    open(rw, "a.txt", 0, READ+WRITE, 0); fd_fdstat_get(first, a)
        | ok | a: u8 4 zero 1 u16 0 zero 4 u64 0x8e001ff u64 0x8e001ff
    open(rw, "a.txt", 0, READ, 0); fd_fdstat_get(first, a) | ok | a: u8 4 zero 1 u16 0 zero 4 u64 0x8a000be u64 0x8a000be
    open(ro, "a.txt", 0, READ, 0); fd_fdstat_get(first, a) | ok | a: u8 4 zero 1 u16 0 zero 4 u64 0x82000be u64 0x82000be
    open(rw, "a.txt", 0, WRITE, APPEND); fd_fdstat_get(first, a)
        | ok | a: u8 4 zero 1 u16 1 zero 4 u64 0x8e001fd u64 0x8e001fd

    # What is reported can be asked for again
    open(rw, ".", DIRECTORY, 0x7b7fe00, 0) | ok
    open(rw, ".", 0, 0x7b7fe00, 0); fd_filestat_get(first, a) | ok | a: stat "."
    open(ro, ".", DIRECTORY, 0x24e000, 0) | ok
    open(rw, "a.txt", 0, 0x8e001ff, 0) | ok
    open(ro, "a.txt", 0, 0x82000be, 0) | ok

    # Flags
    open(rw, "a.txt", 0, WRITE, 0); fd_fdstat_set_flags(first, APPEND); fd_fdstat_get(first, a)
        | ok | a: u8 4 zero 1 u16 1 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, APPEND); fd_fdstat_set_flags(first, 0); fd_fdstat_get(first, a)
        | ok | a: u8 4 zero 1 u16 0 zero 4 any 16
    open(ro, "a.txt", 0, READ, 0); fd_fdstat_set_flags(first, APPEND); fd_write(first, ["x"], a)
        | BADF | | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_fdstat_set_flags(first, 4); fd_fdstat_get(first, a)
        | ok | a: u8 4 zero 1 u16 4 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, 2+4+8+16+32); fd_fdstat_get(first, a) | ok | a: u8 4 zero 1 u16 30 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, 2); fd_fdstat_get(first, a) | ok | a: u8 4 zero 1 u16 2 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, 4); fd_fdstat_get(first, a) | ok | a: u8 4 zero 1 u16 4 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, 8); fd_fdstat_get(first, a) | ok | a: u8 4 zero 1 u16 8 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, 16); fd_fdstat_get(first, a) | ok | a: u8 4 zero 1 u16 16 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, 16+4); fd_fdstat_set_flags(first, 16+1); fd_fdstat_get(first, a)
        | ok | a: u8 4 zero 1 u16 17 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, 16); fd_fdstat_set_flags(first, 0) | NOTSUP
    open(rw, "a.txt", 0, WRITE, 16); fd_fdstat_set_flags(first, 2+1)=NOTSUP; fd_fdstat_get(first, a)
        | ok | a: u8 4 zero 1 u16 16 zero 4 any 16
    open(rw, "a.txt", 0, WRITE, 0); fd_fdstat_set_flags(first, 2) | NOTSUP
    open(rw, "a.txt", 0, WRITE, 0); fd_fdstat_set_flags(first, 8) | NOTSUP
    open(rw, "a.txt", 0, WRITE, 0); fd_fdstat_set_flags(first, 16) | NOTSUP
    open(rw, "a.txt", 0, WRITE, 2+4+8+16); fd_write(first, ["J"], a) | ok | a: u32 1 | a.txt = "Jello"

    # Closing
    fd_close(stdin); fd_read(stdin, [1@b], a) | BADF
    fd_close(stdout); fd_write(stdout, ["x"], a) | BADF
    fd_close(rw); fd_prestat_get(rw, a) | BADF
    fd_close(rw); path_filestat_get(rw, 0, "a.txt", a) | BADF
    fd_close(rw); path_open(ro, 0, "a.txt", 0, READ, 0, 0, a) | ok | a: u32 3
    fd_close(stdin); path_open(ro, 0, "a.txt", 0, READ, 0, 0, a) | ok | a: u32 0
    open(rw, "a.txt", 0, READ, 0); fd_close(first); fd_close(first) | BADF
    open(rw, "a.txt", 0, READ, 0); fd_close(rw); fd_read(first, [5@b], a) | ok | a: u32 5, b: "hello"
    open(rw, "sub", DIRECTORY, READ, 0); fd_close(rw); path_open(first, 0, "b.txt", 0, READ, 0, 0, a) | ok | a: u32 3

    # Numbers: always the lowest that is free, and none is lost to a failure
    path_open(rw, 0, "a.txt", 0, READ, 0, 0, a); path_open(rw, 0, "empty", DIRECTORY, READ, 0, 0, a+4)
        | ok | a: u32 5 u32 6
    3*open(rw, "a.txt", 0, READ, 0); fd_close(second); path_open(rw, 0, "a.txt", 0, READ, 0, 0, a) | ok | a: u32 6
    open(rw, "missing", 0, READ, 0)=NOENT; path_open(rw, 0, "a.txt", 0, READ, 0, 0, a) | ok | a: u32 5
    path_open(rw, 0, "a.txt", 0, READ, 0, 0, end)=FAULT; path_open(rw, 0, "a.txt", 0, READ, 0, 0, a) | ok | a: u32 5
    path_open(rw, 0, "a.txt", 0, READ, 0, 0, end)=FAULT; fd_tell(first, a) | BADF

    # Renumbering
    open(rw, "a.txt", 0, READ, 0); open(rw, "sub/b.txt", 0, READ, 0); fd_renumber(first, second);
        fd_read(second, [5@b], a) | ok | a: u32 5, b: "hello"
    2*open(rw, "a.txt", 0, READ, 0); fd_renumber(first, second); fd_tell(first, a) | BADF
    2*open(rw, "a.txt", 0, READ, 0); fd_renumber(first, second); path_open(rw, 0, "a.txt", 0, READ, 0, 0, a)
        | ok | a: u32 5
    2*open(rw, "a.txt", 0, READ, 0); fd_seek(first, 2, SET, unseen); fd_renumber(first, second); fd_tell(second, a)
        | ok | a: u64 2
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, 2, SET, unseen); fd_renumber(first, first); fd_tell(first, a)
        | ok | a: u64 2
    fd_renumber(rw, rw); fd_prestat_dir_name(rw, a, 3) | ok | a: "/rw"
    open(rw, "a.txt", 0, READ, 0); fd_renumber(first, rw); fd_read(rw, [5@b], a) | ok | a: u32 5, b: "hello"
    open(rw, "a.txt", 0, READ, 0); fd_renumber(first, rw); fd_prestat_get(rw, a) | BADF
    open(rw, "a.txt", 0, WRITE, 0); fd_renumber(first, stdout); fd_write(stdout, ["J"], a)
        | ok | a: u32 1 | a.txt = "Jello"
    fd_renumber(stdout, stdin); fd_write(stdin, [""], a) | ok | a: u32 0
    fd_renumber(rw, ro); fd_prestat_dir_name(ro, a, 3) | ok | a: "/rw"
    fd_renumber(rw, ro); path_unlink_file(ro, "a.txt") | ok | | a.txt missing
    fd_renumber(ro, rw); path_unlink_file(rw, "a.txt") | ROFS | | a.txt = "hello"
    fd_renumber(rw, first) | BADF
    fd_renumber(rw, first)=BADF; fd_prestat_get(rw, a) | ok | a: u8 0 zero 3 u32 3
    fd_renumber(first, rw) | BADF
    fd_renumber(first, rw)=BADF; fd_prestat_get(rw, a) | ok | a: u8 0 zero 3 u32 3
    fd_renumber(first, first) | BADF
    open(rw, "a.txt", 0, READ, 0); fd_close(first); fd_renumber(first, first) | BADF
    fd_renumber(rw, 128) | BADF
    fd_renumber(rw, -1) | BADF

    # How many: 128, of which five are there from the start. What cannot be had has no effect either
    122*open(rw, "a.txt", 0, READ, 0); path_open(rw, 0, "a.txt", 0, READ, 0, 0, a) | ok | a: u32 127
    123*open(rw, "a.txt", 0, READ, 0); path_open(rw, 0, "a.txt", 0, READ, 0, 0, a) | MFILE
    123*open(rw, "empty", DIRECTORY, READ, 0); path_open(rw, 0, "empty", DIRECTORY, READ, 0, 0, a) | MFILE
    123*open(rw, "a.txt", 0, READ, 0); open(rw, "new", CREATE, WRITE, 0) | MFILE | | new missing
    123*open(rw, "a.txt", 0, READ, 0); open(rw, "a.txt", TRUNCATE, WRITE, 0) | MFILE | | a.txt = "hello"
    123*open(rw, "a.txt", 0, READ, 0); fd_close(100); path_open(rw, 0, "a.txt", 0, READ, 0, 0, a) | ok | a: u32 100
    123*open(rw, "a.txt", 0, READ, 0); fd_close(100); open(rw, "a.txt", 0, READ, 0); open(rw, "a.txt", 0, READ, 0)
        | MFILE
    123*open(rw, "a.txt", 0, READ, 0); fd_renumber(first, second); path_open(rw, 0, "a.txt", 0, READ, 0, 0, a)
        | ok | a: u32 5
    123*open(rw, "a.txt", 0, READ, 0); open(rw, "a.txt", 0, READ, 0)=MFILE; fd_read(127, [5@b], a)
        | ok | a: u32 5, b: "hello"
"#;

pub(super) fn table(version: Version) -> Vec<Row> {
    rows(version, TABLE)
}

#[test]
fn descriptors() {
    check(table);
}
