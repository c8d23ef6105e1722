//! Directories: their entries, making and removing them.

use std::fs;

use super::super::REACTORS;
use super::super::files::with_paths;
use super::{Context, Row, Version, check, rows, text};

const TABLE: &str = r#"
    # Listing: the directory itself, its parent, whatever that is said to be, and what is in it
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 0x100, 0, a)
        | ok | a: u32 80, b: entry 1 "sub" "." 3 u64 2 any 8 u32 2 u8 3 zero 3 ".." entry 3 "sub/b.txt" "b.txt" 4
    open(ro, "empty", DIRECTORY, READ, 0); fd_readdir(first, b, 0x100, 0, a)
        | ok | a: u32 51, b: entry 1 "empty" "." 3 u64 2 any 8 u32 2 u8 3 zero 3 ".."
    path_symlink("../a.txt", rw, "empty/l"); open(rw, "empty", DIRECTORY, READ, 0); fd_readdir(first, b, 0x100, 0, a)
        | ok | a: u32 76, b: any 51 entry 3 "empty/l" "l" 7
    path_create_directory(rw, "empty/d"); open(rw, "empty", DIRECTORY, READ, 0); fd_readdir(first, b, 0x100, 0, a)
        | ok | a: u32 76, b: any 51 entry 3 "empty/d" "d" 3
    open(rw, "empty", 0, READ, 0); fd_readdir(first, b, 0x100, 0, a) | ok | a: u32 51, b: any 51

    # Buffers that are too small are filled. Only at the end is less used than there is
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 81, 0, a) | ok | a: u32 80, b: any 51 entry 3 "sub/b.txt" "b.txt" 4
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 80, 0, a) | ok | a: u32 80, b: any 51 entry 3 "sub/b.txt" "b.txt" 4
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 79, 0, a)
        | ok | a: u32 79, b: any 51 u64 3 any 8 u32 5 u8 4 zero 3 "b.tx"
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 75, 0, a) | ok | a: u32 75, b: any 51 u64 3 any 8 u32 5 u8 4 zero 3
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 60, 0, a) | ok | a: u32 60, b: any 51 u64 3 any 1
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 51, 0, a) | ok | a: u32 51, b: any 51
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 25, 0, a) | ok | a: u32 25, b: entry 1 "sub" "." 3
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 24, 0, a) | ok | a: u32 24, b: u64 1 any 8 u32 1 u8 3 zero 3
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 1, 0, a) | ok | a: u32 1, b: u8 1
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 0, 0, a) | ok | a: u32 0

    # Cookies: the entry after the one that has it, nothing after the last
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4); fd_readdir(first, b, 0x100, 1, a)
        | ok | a: u32 55, b: u64 2 any 8 u32 2 u8 3 zero 3 ".." entry 3 "sub/b.txt" "b.txt" 4
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 60, 0, unseen-4); fd_readdir(first, b, 0x100, 2, a)
        | ok | a: u32 29, b: entry 3 "sub/b.txt" "b.txt" 4
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4); fd_readdir(first, b, 28, 2, a)
        | ok | a: u32 28, b: u64 3 any 8 u32 5 u8 4 zero 3 "b.tx"
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4); fd_readdir(first, b, 0x100, 3, a)
        | ok | a: u32 0
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4); fd_readdir(first, b, 0x100, 4, a)
        | ok | a: u32 0
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4); fd_readdir(first, b, 0x100, -1, a)
        | ok | a: u32 0
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4);
        fd_readdir(first, b, 0x100, 0x100000000, a) | ok | a: u32 0
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, b, 0x100, 99, a) | ok | a: u32 0
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4); open(rw, "sub/c", CREATE, WRITE, 0);
        fd_readdir(first, b, 0x100, 0, a) | ok | a: u32 105, b: any 105
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4); path_unlink_file(rw, "sub/b.txt");
        fd_readdir(first, b, 0x100, 0, a) | ok | a: u32 51, b: any 51
    2*open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 0x100, 0, unseen-4); fd_renumber(first, second);
        fd_readdir(second, b, 0x100, 2, a) | ok | a: u32 29, b: entry 3 "sub/b.txt" "b.txt" 4
    2*open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 60, 0, unseen-4);
        fd_readdir(second, unseen, 60, 0, unseen-4); fd_readdir(first, b, 0x100, 2, a)
        | ok | a: u32 29, b: entry 3 "sub/b.txt" "b.txt" 4
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, unseen, 60, 0, unseen-4); fd_close(first);
        open(rw, "empty", DIRECTORY, READ, 0); fd_readdir(first, b, 0x100, 2, a) | ok | a: u32 0
    open(rw, "sub", DIRECTORY, READ, 0); open(rw, "empty", DIRECTORY, READ, 0);
        fd_readdir(first, unseen, 60, 0, unseen-4); fd_renumber(second, first); fd_readdir(first, b, 0x100, 2, a)
        | ok | a: u32 0

    # Making
    path_create_directory(rw, "new") | ok | | new directory
    path_create_directory(rw, "new/") | ok | | new directory
    path_create_directory(rw, "sub/new") | ok | | sub/new directory
    path_create_directory(rw, "to_sub/new") | ok | | sub/new directory
    path_create_directory(rw, "a.txt") | EXIST | | a.txt = "hello"
    path_create_directory(rw, "empty") | EXIST
    path_create_directory(rw, "link") | EXIST
    path_create_directory(rw, "dangling") | EXIST | | nowhere missing
    path_create_directory(rw, "missing/new") | NOENT | | missing missing
    path_create_directory(ro, "new") | ROFS | | new missing
    open(rw, "sub", DIRECTORY, READ, 0); path_create_directory(first, "new") | ok | | sub/new directory
    open(ro, "sub", DIRECTORY, READ, 0); path_create_directory(first, "new") | ROFS | | sub/new missing

    # Removing
    path_remove_directory(rw, "empty") | ok | | empty missing
    path_remove_directory(rw, "empty/") | ok | | empty missing
    path_remove_directory(rw, "empty//") | ok | | empty missing
    path_create_directory(rw, "new/"); path_remove_directory(rw, "new/") | ok | | new missing
    path_create_directory(rw, "to_sub/new"); path_remove_directory(rw, "to_sub/new/") | ok | | sub/new missing
    path_remove_directory(rw, "sub") | NOTEMPTY | | sub/b.txt = "below"
    path_remove_directory(rw, "sub/") | NOTEMPTY | | sub/b.txt = "below"
    path_remove_directory(rw, "empty/.") | INVAL | | empty directory
    path_remove_directory(rw, ".") | INVAL | | empty directory
    path_remove_directory(rw, "a.txt") | NOTDIR | | a.txt = "hello"
    path_remove_directory(rw, "a.txt/") | NOTDIR | | a.txt = "hello"
    path_remove_directory(rw, "to_sub") | NOTDIR | | to_sub -> sub
    path_remove_directory(rw, "missing") | NOENT
    path_remove_directory(rw, "missing/") | NOENT
    path_remove_directory(ro, "empty") | ROFS | | empty directory
    path_remove_directory(ro, "empty/") | ROFS | | empty directory
    open(rw, "empty", DIRECTORY, READ, 0); path_remove_directory(rw, "empty"); path_create_directory(first, "new")
        | NOENT | | empty missing
"#;

pub(super) fn table(version: Version) -> Vec<Row> {
    rows(version, TABLE)
}

#[test]
fn directories() {
    check(table);
}

/// A directory larger than any buffer, read by libc, which lists it piece by piece.
#[test]
fn large_directories() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut expected: Vec<String> = (0..3000).map(|n| format!("{n}{}\n", "x".repeat(n % 200))).collect();
    for name in &expected {
        fs::write(folder.path().join(name.trim_end()), "").expect("writable");
    }
    expected.sort_unstable();
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = with_paths(&context, reactor, [(text(folder.path()), "/mnt")]);
        let answer = plugin.answer("list_dir", "/mnt");
        let mut found: Vec<_> = answer.split_inclusive('\n').collect();
        found.sort_unstable();
        assert!(found == expected, "{reactor}: {} of {} names", found.len(), expected.len());
    }
}
