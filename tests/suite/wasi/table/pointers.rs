//! Pointers that lead out of memory in each argument, texts that are no paths, and empty ranges.

use super::calls::{Argument, Buffer, Call};
use super::names::{MEMORY, error};
use super::{Row, Version, check, rows};

/// Calls that succeed, with every pointer that there is: `<8>` is an address where 8 bytes are written.
const TABLE: &str = r#"
    args_get(<4>, <5>) | ok
    args_sizes_get(<4>, <4>) | ok
    environ_get(<8>, <14>) | ok
    environ_sizes_get(<4>, <4>) | ok
    clock_res_get(REALTIME, <8>) | ok
    clock_time_get(REALTIME, 0, <8>) | ok
    random_get(<16>, 16) | ok
    random_get(<8192>, 8192) | ok
    poll_oneoff({clock(7, MONOTONIC, 0, 0)}, <32>, 1, <4>) | ok
    poll_oneoff({read(7, stdin) write(8, stdout)}, <64>, 2, <4>) | ok
    fd_fdstat_get(stdin, <24>) | ok
    fd_fdstat_get(rw, <24>) | ok
    @0 fd_filestat_get(stdin, <56>) | ok
    @0 fd_filestat_get(rw, <56>) | ok
    @1 fd_filestat_get(stdin, <64>) | ok
    @1 fd_filestat_get(rw, <64>) | ok
    fd_prestat_get(rw, <8>) | ok
    fd_prestat_dir_name(rw, <3>, 3) | ok
    fd_read(stdin, [1@b], <4>) | ok
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [2@b 3@c], <4>) | ok
    open(rw, "new", CREATE, READ, 0); fd_read(first, [5@b], <4>) | ok
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [2@b 3@c], 0, <4>) | ok
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [5@b], 5, <4>) | ok
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, [2@b 3@c], <4>) | ok
    fd_write(stdout, [0@b 3@c], <4>) | ok
    open(rw, "a.txt", 0, WRITE, 0); fd_pwrite(first, [2@b 3@c], 0, <4>) | ok
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, <80>, 80, 0, <4>) | ok
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, <60>, 60, 0, <4>) | ok
    open(rw, "a.txt", 0, READ, 0); fd_seek(first, 0, CUR, <8>) | ok
    open(rw, "a.txt", 0, READ, 0); fd_tell(first, <8>) | ok
    path_create_directory(rw, "new") | ok
    @0 path_filestat_get(rw, FOLLOW, "a.txt", <56>) | ok
    @1 path_filestat_get(rw, FOLLOW, "a.txt", <64>) | ok
    path_filestat_set_times(rw, FOLLOW, "a.txt", 0, 0, 5) | ok
    path_link(rw, 0, "a.txt", rw, "new") | ok
    path_open(rw, FOLLOW, "a.txt", 0, READ, 0, 0, <4>) | ok
    path_open(rw, FOLLOW, "empty", DIRECTORY, READ, 0, 0, <4>) | ok
    path_readlink(rw, "link", <5>, 5, <4>) | ok
    path_remove_directory(rw, "empty") | ok
    path_rename(rw, "a.txt", rw, "new") | ok
    path_symlink("a.txt", rw, "new") | ok
    path_unlink_file(rw, "a.txt") | ok
"#;

/// A range of no bytes may be anywhere in memory, and right behind it.
const NOTHING: &str = r#"
    random_get(end, 0) | ok
    fd_read(stdin, [0@end], a) | ok | a: u32 0
    fd_read(stdin, end, 0, a) | ok | a: u32 0
    open(rw, "a.txt", 0, READ, 0); fd_read(first, [0@end 5@b], a) | ok | a: u32 5, b: "hello"
    open(rw, "a.txt", 0, READ, 0); fd_pread(first, [0@end], 0, a) | ok | a: u32 0
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, [0@end "J"], a) | ok | a: u32 1 | a.txt = "Jello"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, end, 0, a) | ok | a: u32 0 | a.txt = "hello"
    open(rw, "a.txt", 0, WRITE, 0); fd_pwrite(first, [0@end], 9, a) | ok | a: u32 0 | a.txt = "hello"
    fd_prestat_dir_name(rw, end, 0) | NAMETOOLONG
    open(rw, "sub", DIRECTORY, READ, 0); fd_readdir(first, end, 0, 0, a) | ok | a: u32 0
    path_open(rw, FOLLOW, end, 0, 0, READ, 0, 0, a) | NOENT
    path_create_directory(rw, end, 0) | NOENT
    path_readlink(rw, "link", end, 0, a) | ok | a: u32 0
    poll_oneoff(end, b, 0, a) | INVAL

    # The last bytes of the memory are `a.txt`
    path_open(rw, FOLLOW, end-5, 5, 0, READ, 0, 0, a) | ok | a: u32 5
    path_open(rw, FOLLOW, end-5, 6, 0, READ, 0, 0, a) | FAULT
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, [5@end-5], a) | ok | a: u32 5 | a.txt = "a.txt"
    open(rw, "a.txt", 0, WRITE, 0); fd_write(first, [6@end-5], a) | FAULT | | a.txt = "hello"
"#;

/// Texts that no function takes as a path, how often each is repeated, and the error.
const NO_PATHS: [(&[u8], usize, &str); 13] = [
    (b"", 1, "NOENT"),
    (b"x", 256, "NAMETOOLONG"),
    (b"x", 4097, "NAMETOOLONG"),
    (b"./", 2049, "NAMETOOLONG"),
    (b"\0", 1, "INVAL"),
    (b"a.txt\0", 1, "INVAL"),
    (b"sub\0/b.txt", 1, "INVAL"),
    (b"\xff", 1, "ILSEQ"),
    (b"sub/\xc0\xaf", 1, "ILSEQ"),
    (b"\xed\xa0\x80", 1, "ILSEQ"),
    (b"a.txt/x", 1, "NOTDIR"),
    (b"../a.txt", 1, "PERM"),
    (b"/a.txt", 1, "PERM"),
];

/// A pointer among the arguments of a call: to an argument's bytes, or to those of one of its buffers.
#[derive(Clone, Copy)]
struct Pointer {
    argument: usize,
    buffer: Option<usize>,
    size: i64,
}

fn pointers(version: Version, call: &Call) -> Vec<Pointer> {
    let mut pointers = Vec::new();
    for (argument, value) in call.arguments.iter().enumerate() {
        let size = match value {
            Argument::Number(_) => continue,
            Argument::Text(text) => text.len() as i64,
            Argument::Room(size) => i64::from(*size),
            Argument::Buffers(buffers) => 8 * buffers.len() as i64,
            Argument::Subscriptions(all) => (if version == Version::Preview0 { 56 } else { 48 }) * all.len() as i64,
        };
        pointers.push(Pointer { argument, buffer: None, size });
        if let Argument::Buffers(buffers) = value {
            for (index, buffer) in buffers.iter().enumerate() {
                let Buffer::At { length: size, .. } = buffer else { panic!("buffers are places here: {call:?}") };
                pointers.push(Pointer { argument, buffer: Some(index), size: *size });
            }
        }
    }
    pointers.retain(|pointer| pointer.size > 0);
    pointers
}

impl Pointer {
    /// Makes the pointer lead to `address`.
    fn lead(self, call: &mut Call, address: i64) {
        let place = self.argument..=self.argument;
        match (&mut call.arguments[self.argument], self.buffer) {
            (Argument::Buffers(buffers), Some(index)) => buffers[index] = Buffer::At { address, length: self.size },
            (Argument::Buffers(buffers), None) => {
                let count = buffers.len() as i64;
                call.arguments.splice(place, [address, count].map(Argument::Number));
            }
            (Argument::Text(text), _) => {
                let length = text.len() as i64;
                call.arguments.splice(place, [address, length].map(Argument::Number));
            }
            (other, _) => *other = Argument::Number(address),
        }
    }

    /// Addresses from which some of its bytes are not in memory.
    fn outside(self) -> Vec<i64> {
        let end = i64::from(MEMORY);
        let mut addresses = vec![end, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000 - self.size];
        if self.size > 1 {
            addresses.extend([end - 1, end - self.size + 1]);
        }
        addresses
    }
}

/// A row whose last call is changed, with a place for each output of that call.
fn changed(row: &Row, change: impl FnOnce(&mut Call), expected: &str, what: &str) -> Row {
    let mut row = Row { text: format!("{} with {what}", row.text), memory: "?".to_owned(), ..row.clone() };
    let call = row.calls.last_mut().expect("a row has calls");
    call.expected = error(expected);
    change(call);
    for (argument, place) in call.arguments.iter_mut().zip((0x8000..).step_by(0x2000)) {
        if let Argument::Room(_) = argument {
            *argument = Argument::Number(place);
        }
    }
    row
}

pub(super) fn table(version: Version) -> Vec<Row> {
    rows(version, TABLE).iter().map(|row| changed(row, |_| {}, "ok", "nothing wrong")).collect()
}

/// The table's rows with each pointer to addresses outside, and to the last address inside.
fn faults(version: Version) -> Vec<Row> {
    let mut faults = Vec::new();
    for row in rows(version, TABLE) {
        let call = row.calls.last().expect("a row has calls");
        for pointer in pointers(version, call) {
            let name = format!("pointer {} {:?}", pointer.argument, pointer.buffer);
            let mut add = |address: i64, expected: &str| {
                let what = format!("{name} at {address:#x}");
                faults.push(changed(&row, |call| pointer.lead(call, address), expected, &what));
            };
            for address in pointer.outside() {
                add(address, "FAULT");
            }
            if matches!(call.arguments[pointer.argument], Argument::Room(_)) {
                add(i64::from(MEMORY) - pointer.size, "ok");
            }
        }
    }
    faults
}

/// The table's rows with each path replaced by texts that are no paths.
fn no_paths(version: Version) -> Vec<Row> {
    let mut rows_without = Vec::new();
    for row in rows(version, TABLE) {
        let call = row.calls.last().expect("a row has calls");
        let is_path = |argument: &usize| matches!(call.arguments[*argument], Argument::Text(_));
        for argument in (0..call.arguments.len()).filter(is_path) {
            for (text, times, expected) in NO_PATHS {
                // A link's target may be any text of a valid length.
                let text = text.repeat(times);
                let target = call.name == "path_symlink" && argument == 0;
                if target && !(text.len() > 4096 || ["INVAL", "ILSEQ"].contains(&expected)) {
                    continue;
                }
                let what = format!("path {argument} of {} bytes, {:.20?}", text.len(), String::from_utf8_lossy(&text));
                let change = |call: &mut Call| call.arguments[argument] = Argument::Text(text);
                rows_without.push(changed(&row, change, expected, &what));
            }
        }
    }
    rows_without
}

#[test]
fn pointers_inside() {
    check(table);
    check(|version| rows(version, NOTHING));
}

#[test]
fn pointers_outside() {
    check(faults);
}

#[test]
fn texts_that_are_no_paths() {
    check(no_paths);
}
