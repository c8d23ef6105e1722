//! Paths: opening, linking, moving and removing files. `pointers.rs` has the texts that no function takes as a path.

use super::{Row, Version, check, rows};

const OPENING: &str = r#"
    # What is there
    path_open(rw, 0, "a.txt", 0, READ, 0, 0, a); fd_read(first, [9@b], c) | ok | a: u32 5, b: "hello", c: u32 5
    path_open(rw, 0, "sub/b.txt", 0, READ, 0, 0, a); fd_read(first, [9@b], c) | ok | a: u32 5, b: "below", c: u32 5
    open(rw, "./sub/../sub//b.txt", 0, READ, 0); fd_read(first, [9@b], c) | ok | b: "below", c: u32 5
    open(rw, "to_sub/b.txt", 0, READ, 0); fd_read(first, [9@b], c) | ok | b: "below", c: u32 5
    open(rw, "sub", DIRECTORY, READ, 0); open(first, "b.txt", 0, READ, 0); fd_read(second, [9@b], c) | ok | b: "below", c: u32 5
    open(rw, "sub", DIRECTORY, READ, 0); open(first, "../a.txt", 0, READ, 0) | PERM
    open(rw, "sub", DIRECTORY, READ, 0); open(first, ".", DIRECTORY, READ, 0) | ok
    open(rw, "missing", 0, READ, 0) | NOENT
    open(rw, "missing", DIRECTORY, READ, 0) | NOENT
    open(rw, "a.txt", DIRECTORY, READ, 0) | NOTDIR
    open(rw, "sub", 0, READ, 0); fd_filestat_get(first, a) | ok | a: stat "sub"
    open(rw, "sub", 0, READ+WRITE, 0) | ISDIR
    open(rw, "./"*1000, DIRECTORY, READ, 0) | ok

    # Rights
    open(rw, "a.txt", 0, 0, 0); fd_read(first, [9@b], a) | BADF
    open(rw, "a.txt", 0, WRITE, 0); fd_read(first, [9@b], a) | BADF
    open(rw, "a.txt", 0, READ, 0); fd_write(first, ["x"], a) | BADF | | a.txt = "hello"
    open(rw, "new", CREATE, READ, 0); fd_write(first, ["x"], a) | BADF | | new = ""
    open(rw, "a.txt", 0, ALLOCATE, 0); fd_write(first, ["J"], a) | ok | a: u32 1 | a.txt = "Jello"
    open(rw, "a.txt", 0, READ+SET_SIZE, 0); fd_filestat_set_size(first, 1) | INVAL | | a.txt = "hello"
    open(rw, "sub", 0, READ+SET_SIZE, 0); fd_filestat_get(first, a) | ok | a: stat "sub"

    # Directories are not written to
    open(rw, "sub", DIRECTORY, READ+WRITE, 0) | ISDIR
    open(rw, "sub", DIRECTORY, WRITE, 0) | ISDIR
    open(rw, "sub", DIRECTORY, ALLOCATE, 0) | ISDIR
    open(rw, ".", DIRECTORY, READ+WRITE, 0) | ISDIR
    open(rw, "to_sub", DIRECTORY, READ+WRITE, 0) | ISDIR
    open(ro, "sub", DIRECTORY, READ+WRITE, 0) | ISDIR
    open(rw, "missing", DIRECTORY, READ+WRITE, 0) | NOENT
    open(rw, "a.txt", DIRECTORY, READ+WRITE, 0) | NOTDIR
    open(rw, "sub", DIRECTORY, READ+WRITE, 0)=ISDIR; path_open(rw, 0, "sub", DIRECTORY, READ, 0, 0, a) | ok | a: u32 5
    open(rw, "sub", DIRECTORY, READ+SET_SIZE, 0) | ok

    # What is new
    path_open(rw, 0, "new", CREATE, WRITE, 0, 0, a); fd_write(first, ["x"], b) | ok | a: u32 5, b: u32 1 | new = "x"
    open(rw, "sub/new", CREATE, WRITE, 0) | ok | | sub/new = ""
    open(rw, "missing/new", CREATE, WRITE, 0) | NOENT | | missing missing
    open(rw, "a.txt", CREATE, READ+WRITE, 0) | ok | | a.txt = "hello"
    open(rw, "a.txt", CREATE+EXCLUSIVE, READ+WRITE, 0) | EXIST | | a.txt = "hello"
    open(rw, "new", CREATE+EXCLUSIVE, READ+WRITE, 0) | ok | | new = ""
    open(rw, "link", CREATE+EXCLUSIVE, READ+WRITE, 0) | EXIST | | a.txt = "hello"
    open(rw, "dangling", CREATE+EXCLUSIVE, READ+WRITE, 0) | EXIST | | nowhere missing
    open(rw, "dangling", CREATE, READ+WRITE, 0) | ok | | nowhere = "", dangling -> nowhere
    open(rw, "a.txt", TRUNCATE, WRITE, 0) | ok | | a.txt = ""
    open(rw, "missing", TRUNCATE, WRITE, 0) | NOENT | | missing missing
    open(rw, "new", CREATE+TRUNCATE, WRITE, 0) | ok | | new = ""
    open(rw, "new", CREATE+DIRECTORY, READ, 0) | INVAL | | new missing
    open(rw, "sub", TRUNCATE+DIRECTORY, READ, 0) | INVAL | | sub/b.txt = "below"

    # Links
    open(rw, "link", 0, READ, 0); fd_read(first, [9@b], c) | ok | b: "hello", c: u32 5
    path_open(rw, 0, "link", 0, READ, 0, 0, a) | LOOP
    path_open(rw, 0, "link", 0, WRITE, 0, 0, a) | LOOP
    path_open(rw, 0, "link", CREATE, WRITE, 0, 0, a) | LOOP | | a.txt = "hello"
    path_open(rw, 0, "dangling", CREATE, WRITE, 0, 0, a) | LOOP | | nowhere missing
    path_open(rw, 0, "to_sub/b.txt", 0, READ, 0, 0, a) | ok | a: u32 5
    open(rw, "to_sub", DIRECTORY, READ, 0) | ok
    open(rw, "dangling", 0, READ, 0) | NOENT
    open(rw, "loop", 0, READ, 0) | LOOP
    open(rw, "out", 0, READ, 0) | PERM
    open(rw, "out", DIRECTORY, READ, 0) | PERM
    open(rw, "out", CREATE, WRITE, 0) | PERM
    open(rw, "absolute", 0, READ, 0) | PERM

    # Read-only: what is there can be opened, by `O_CREAT` as well
    open(ro, "a.txt", 0, READ, 0); fd_read(first, [9@b], a) | ok | a: u32 5, b: "hello"
    open(ro, "a.txt", CREATE, READ, 0); fd_read(first, [9@b], a) | ok | a: u32 5, b: "hello" | a.txt = "hello"
    open(ro, "link", CREATE, READ, 0); fd_read(first, [9@b], a) | ok | a: u32 5, b: "hello" | a.txt = "hello"
    open(ro, "sub", DIRECTORY, READ, 0); open(first, "b.txt", CREATE, READ, 0); fd_read(second, [9@b], a)
        | ok | a: u32 5, b: "below"
    open(ro, "a.txt", CREATE, READ, 0); fd_write(first, ["x"], a) | BADF | | a.txt = "hello"
    open(ro, "a.txt", CREATE, READ, 0); fd_filestat_set_size(first, 0) | INVAL | | a.txt = "hello"
    open(ro, "new", CREATE, READ, 0) | ROFS | | new missing
    open(ro, "dangling", CREATE, READ, 0) | ROFS | | nowhere missing
    open(ro, "missing", 0, READ, 0) | NOENT
    open(ro, "a.txt", 0, READ+WRITE, 0) | ROFS
    open(ro, "a.txt", 0, READ+ALLOCATE+SET_SIZE, 0) | ROFS
    open(ro, "a.txt", 0, READ+SET_SIZE, 0); fd_read(first, [9@b], a) | ok | a: u32 5, b: "hello"
    open(ro, "sub", 0, READ+SET_SIZE, 0); open(first, "b.txt", 0, READ, 0) | ok
    open(ro, "a.txt", CREATE, READ+WRITE, 0) | ROFS
    open(ro, "a.txt", TRUNCATE, READ, 0) | ROFS | | a.txt = "hello"
    open(ro, "a.txt", CREATE+TRUNCATE, READ, 0) | ROFS | | a.txt = "hello"
    open(ro, "new", CREATE+EXCLUSIVE, READ, 0) | ROFS | | new missing
    open(ro, "sub", DIRECTORY, READ, 0); open(first, "new", CREATE, READ, 0) | ROFS | | sub/new missing
    open(ro, "sub", DIRECTORY, READ, 0); open(first, "b.txt", 0, WRITE, 0) | ROFS
    open(ro, "sub", 0, READ, 0); open(first, "new", CREATE, READ, 0) | ROFS | | sub/new missing
"#;

const CHANGING: &str = r#"
    # Asking
    path_filestat_get(rw, FOLLOW, "a.txt", a) | ok | a: stat "a.txt"
    path_filestat_get(ro, 0, "sub/b.txt", a) | ok | a: stat "sub/b.txt"
    path_filestat_get(rw, FOLLOW, "sub", a) | ok | a: stat "sub"
    path_filestat_get(rw, FOLLOW, ".", a) | ok | a: stat "."
    path_filestat_get(rw, FOLLOW, "link", a) | ok | a: stat "a.txt"
    path_filestat_get(rw, 0, "link", a) | ok | a: lstat "link"
    path_filestat_get(rw, 0, "dangling", a) | ok | a: lstat "dangling"
    path_filestat_get(rw, 0, "out", a) | ok | a: lstat "out"
    path_filestat_get(rw, FOLLOW, "dangling", a) | NOENT
    path_filestat_get(rw, FOLLOW, "out", a) | PERM
    path_filestat_get(rw, FOLLOW, "loop", a) | LOOP
    path_filestat_get(rw, FOLLOW, "missing", a) | NOENT
    path_link(rw, 0, "a.txt", rw, "new"); path_filestat_get(rw, 0, "a.txt", a) | ok | a: stat "new"

    # Hard links; into a read-only directory and out of it there are none
    path_link(rw, 0, "a.txt", rw, "new") | ok | | new = "hello", a.txt = "hello"
    path_link(rw, 0, "a.txt", rw, "sub/new") | ok | | sub/new = "hello"
    path_link(rw, 0, "a.txt", rw, "new"); open(rw, "new", 0, WRITE, 0); fd_write(first, ["J"], a)
        | ok | a: u32 1 | new = "Jello", a.txt = "Jello"
    path_link(rw, 0, "link", rw, "new") | ok | | new -> a.txt
    path_link(rw, 0, "out", rw, "new") | ok | | new -> ../outside
    path_link(rw, FOLLOW, "a.txt", rw, "new") | INVAL | | new missing
    path_link(rw, FOLLOW, "link", rw, "new") | INVAL | | new missing
    path_link(rw, 0, "a.txt", rw, "sub/b.txt") | EXIST | | sub/b.txt = "below"
    path_link(rw, 0, "a.txt", rw, "dangling") | EXIST | | nowhere missing
    path_link(rw, 0, "a.txt", rw, "a.txt") | EXIST | | a.txt = "hello"
    path_link(rw, 0, "sub", rw, "new") | PERM | | new missing
    path_link(rw, 0, "missing", rw, "new") | NOENT | | new missing
    path_link(rw, 0, "a.txt", rw, "missing/new") | NOENT
    path_link(ro, 0, "a.txt", rw, "new") | ROFS | | new missing
    path_link(rw, 0, "a.txt", ro, "new") | ROFS | | new missing
    path_link(ro, 0, "a.txt", ro, "new") | ROFS | | new missing
    open(ro, "sub", DIRECTORY, READ, 0); path_link(first, 0, "b.txt", rw, "new") | ROFS | | new missing
    open(rw, "sub", DIRECTORY, READ, 0); path_link(first, 0, "b.txt", rw, "new") | ok | | new = "below"

    # Symbolic links, which may say anything but an absolute path
    path_symlink("a.txt", rw, "new") | ok | | new -> a.txt
    path_symlink("a.txt", rw, "new"); open(rw, "new", 0, READ, 0); fd_read(first, [9@b], a) | ok | a: u32 5, b: "hello"
    path_symlink("missing", rw, "sub/new") | ok | | sub/new -> missing
    path_symlink("../outside", rw, "new") | ok | | new -> ../outside
    path_symlink("../outside", rw, "new"); open(rw, "new", 0, READ, 0) | PERM
    path_symlink("x"*1000, rw, "new") | ok
    path_symlink("/outside", rw, "new") | PERM | | new missing
    path_symlink("", rw, "new") | NOENT | | new missing
    path_symlink("a.txt", rw, "sub/b.txt") | EXIST | | sub/b.txt = "below"
    path_symlink("a.txt", rw, "dangling") | EXIST | | nowhere missing
    path_symlink("a.txt", rw, "missing/new") | NOENT
    path_symlink("a.txt", ro, "new") | ROFS | | new missing
    path_readlink(rw, "link", b, 5, a) | ok | a: u32 5, b: "a.txt"
    path_readlink(rw, "link", b, 100, a) | ok | a: u32 5, b: "a.txt"
    path_readlink(ro, "link", b, 100, a) | ok | a: u32 5, b: "a.txt"
    path_readlink(rw, "link", b, 2, a) | ok | a: u32 2, b: "a."
    path_readlink(rw, "link", b, 0, a) | ok | a: u32 0
    path_readlink(rw, "out", b, 100, a) | ok | a: u32 10, b: "../outside"
    path_symlink("x"*1000, rw, "new"); path_readlink(rw, "new", b, 0x200, a) | ok | a: u32 512, b: any 512
    path_readlink(rw, "absolute", b, 100, a) | PERM
    path_readlink(rw, "out/x", b, 100, a) | PERM
    path_readlink(rw, "a.txt", b, 100, a) | INVAL
    path_readlink(rw, "sub", b, 100, a) | INVAL
    path_readlink(rw, "missing", b, 100, a) | NOENT

    # Renaming
    path_rename(rw, "a.txt", rw, "new") | ok | | a.txt missing, new = "hello"
    path_rename(rw, "a.txt", rw, "sub/b.txt") | ok | | a.txt missing, sub/b.txt = "hello"
    path_rename(rw, "a.txt", rw, "a.txt") | ok | | a.txt = "hello"
    path_rename(rw, "link", rw, "new") | ok | | link missing, new -> a.txt
    path_rename(rw, "a.txt", rw, "link") | ok | | a.txt missing, link = "hello"
    path_rename(rw, "sub", rw, "empty") | ok | | sub missing, empty/b.txt = "below"
    path_rename(rw, "empty", rw, "sub") | NOTEMPTY | | sub/b.txt = "below", empty directory
    path_rename(rw, "a.txt", rw, "empty") | ISDIR | | a.txt = "hello"
    path_rename(rw, "empty", rw, "a.txt") | NOTDIR | | a.txt = "hello"
    path_rename(rw, "sub", rw, "sub/new") | INVAL | | sub/b.txt = "below"
    path_rename(rw, "missing", rw, "new") | NOENT
    path_rename(rw, "a.txt", rw, "missing/new") | NOENT | | a.txt = "hello"
    path_rename(rw, "a.txt", ro, "new") | ROFS | | a.txt = "hello", new missing
    path_rename(ro, "a.txt", rw, "new") | ROFS | | a.txt = "hello", new missing
    path_rename(ro, "a.txt", ro, "new") | ROFS | | a.txt = "hello", new missing
    open(rw, "sub", DIRECTORY, READ, 0); path_rename(first, "b.txt", rw, "new") | ok | | sub/b.txt missing, new = "below"
    open(ro, "sub", DIRECTORY, READ, 0); path_rename(first, "b.txt", rw, "new") | ROFS | | sub/b.txt = "below"

    # Removing
    path_unlink_file(rw, "a.txt") | ok | | a.txt missing
    path_unlink_file(rw, "link") | ok | | link missing, a.txt = "hello"
    path_unlink_file(rw, "out") | ok | | out missing
    path_unlink_file(rw, "empty") | ISDIR | | empty directory
    path_unlink_file(rw, "missing") | NOENT
    path_unlink_file(ro, "a.txt") | ROFS | | a.txt = "hello"
    open(rw, "a.txt", 0, READ, 0); path_unlink_file(rw, "a.txt"); fd_read(first, [9@b], a)
        | ok | a: u32 5, b: "hello" | a.txt missing
"#;

/// A slash at the end asks for a directory, and follows links to one. The answers are those of Linux.
const SLASHES: &str = r#"
    path_filestat_get(rw, 0, "a.txt/", a) | NOTDIR
    path_filestat_get(rw, FOLLOW, "a.txt/", a) | NOTDIR
    path_filestat_get(rw, 0, "sub/", a) | ok | a: stat "sub"
    path_filestat_get(rw, FOLLOW, "to_sub/", a) | ok | a: stat "sub"
    path_filestat_get(rw, 0, "to_sub/", a) | ok | a: stat "sub"
    path_filestat_get(rw, 0, "to_sub/b.txt", a) | ok | a: stat "sub/b.txt"
    path_filestat_set_times(rw, FOLLOW, "a.txt/", 5, 7, 5) | NOTDIR | | a.txt modified now
    path_filestat_set_times(rw, 0, "a.txt/", 5, 7, 5) | NOTDIR | | a.txt modified now
    path_filestat_set_times(rw, FOLLOW, "sub/", 5, 7, 5) | ok | | sub modified 7
    path_filestat_set_times(rw, 0, "sub/", 5, 7, 5) | ok | | sub modified 7
    path_open(rw, 0, "a.txt/", 0, READ, 0, 0, a) | NOTDIR
    path_open(rw, FOLLOW, "a.txt/", 0, READ, 0, 0, a) | NOTDIR
    path_open(rw, FOLLOW, "a.txt/", TRUNCATE, WRITE, 0, 0, a) | NOTDIR | | a.txt = "hello"
    path_open(rw, FOLLOW, "link/", 0, READ, 0, 0, a) | NOTDIR
    path_open(rw, 0, "sub/", DIRECTORY, READ, 0, 0, a) | ok | a: u32 5
    path_open(rw, FOLLOW, "to_sub/", DIRECTORY, READ, 0, 0, a) | ok | a: u32 5
    path_open(rw, 0, "to_sub/", DIRECTORY, READ, 0, 0, a) | ok | a: u32 5
    path_open(rw, FOLLOW, "new/", CREATE, WRITE, 0, 0, a) | ISDIR | | new missing
    path_link(rw, 0, "a.txt/", rw, "new") | NOTDIR | | new missing
    path_link(rw, 0, "a.txt", rw, "new/") | NOENT | | new missing
    path_symlink("a.txt", rw, "new/") | NOENT | | new missing
    path_readlink(rw, "link/", b, 100, a) | NOTDIR
    path_readlink(rw, "to_sub/", b, 100, a) | INVAL
    path_rename(rw, "a.txt/", rw, "new") | NOTDIR | | a.txt = "hello"
    path_rename(rw, "a.txt", rw, "new/") | NOTDIR | | a.txt = "hello"
    path_rename(rw, "empty/", rw, "new") | ok | | empty missing, new directory
    path_rename(rw, "empty", rw, "new/") | ok | | empty missing, new directory
    path_rename(rw, "empty/", rw, "new/") | ok | | empty missing, new directory
    path_unlink_file(rw, "a.txt/") | NOTDIR | | a.txt = "hello"
    path_unlink_file(rw, "link/") | NOTDIR | | link -> a.txt
    path_unlink_file(rw, "to_sub/") | NOTDIR | | to_sub -> sub
    path_unlink_file(rw, "sub/") | ISDIR | | sub/b.txt = "below"
    path_remove_directory(rw, "to_sub/") | NOTDIR | | to_sub -> sub
    path_remove_directory(rw, "link/") | NOTDIR | | link -> a.txt
"#;

pub(super) fn table(version: Version) -> Vec<Row> {
    let mut table = rows(version, OPENING);
    table.extend(rows(version, CHANGING));
    table.extend(rows(version, SLASHES));
    table
}

#[test]
fn opening() {
    check(|version| rows(version, OPENING));
}

#[test]
fn changing() {
    check(|version| rows(version, CHANGING));
}

#[test]
fn slashes() {
    check(|version| rows(version, SLASHES));
}
