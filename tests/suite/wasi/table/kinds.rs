//! The answers of every function on a descriptor, for each kind of descriptor and for one that is not open.

use super::{Row, Version, check};

/// A call, and its answers if `FD` is standard input, standard output, a directory that was given, one that was opened,
/// and a file.
const TABLE: &str = r#"
    fd_advise(FD, 0, 0, 0)                              | SPIPE SPIPE ISDIR ISDIR ok
    fd_allocate(FD, 0, 1)                               | SPIPE SPIPE ISDIR ISDIR NOTSUP
    fd_close(FD)                                        | ok ok ok ok ok
    fd_datasync(FD)                                     | ok ok ok ok ok
    fd_fdstat_get(FD, a)                                | ok ok ok ok ok
    fd_fdstat_set_flags(FD, 0)                          | ok ok ok ok ok
    fd_fdstat_set_flags(FD, APPEND)                     | ok ok ok ok ok
    fd_fdstat_set_rights(FD, 0, 0)                      | NOTSUP NOTSUP NOTSUP NOTSUP NOTSUP
    fd_filestat_get(FD, a)                              | ok ok ok ok ok
    fd_filestat_set_size(FD, 1)                         | SPIPE SPIPE ISDIR ISDIR ok
    fd_filestat_set_times(FD, 0, 0, 0)                  | INVAL INVAL ok ok ok
    fd_filestat_set_times(FD, 0, 0, 5)                  | INVAL INVAL ok ok ok
    fd_filestat_set_times(FD, 0, 0, 10)                 | INVAL INVAL ok ok ok
    fd_pread(FD, [1@a], 0, b)                           | SPIPE SPIPE ISDIR ISDIR ok
    fd_prestat_get(FD, a)                               | BADF BADF ok BADF BADF
    fd_prestat_dir_name(FD, a, 3)                       | BADF BADF ok BADF BADF
    fd_pwrite(FD, ["x"], 0, b)                          | SPIPE SPIPE ISDIR ISDIR ok
    fd_read(FD, [1@a], b)                               | ok BADF ISDIR ISDIR ok
    fd_readdir(FD, a, 9, 0, b)                          | NOTDIR NOTDIR ok ok NOTDIR
    fd_renumber(FD, FD)                                 | ok ok ok ok ok
    fd_renumber(FD, stderr)                             | ok ok ok ok ok
    fd_renumber(stderr, FD)                             | ok ok ok ok ok
    fd_seek(FD, 0, CUR, a)                              | SPIPE SPIPE ISDIR ISDIR ok
    fd_sync(FD)                                         | ok ok ok ok ok
    fd_tell(FD, a)                                      | SPIPE SPIPE ISDIR ISDIR ok
    fd_write(FD, ["x"], a)                              | BADF ok ISDIR ISDIR ok
    path_create_directory(FD, "new")                    | NOTDIR NOTDIR ok ok NOTDIR
    path_filestat_get(FD, FOLLOW, "a.txt", a)           | NOTDIR NOTDIR ok ok NOTDIR
    path_filestat_set_times(FD, FOLLOW, "a.txt", 0, 0, 5) | NOTDIR NOTDIR ok ok NOTDIR
    path_link(FD, 0, "a.txt", rw, "new")                | NOTDIR NOTDIR ok ok NOTDIR
    path_link(rw, 0, "a.txt", FD, "new")                | NOTDIR NOTDIR ok ok NOTDIR
    path_open(FD, 0, "a.txt", 0, READ, 0, 0, a)         | NOTDIR NOTDIR ok ok NOTDIR
    path_open(FD, 0, "empty", DIRECTORY, READ, 0, 0, a) | NOTDIR NOTDIR ok ok NOTDIR
    path_readlink(FD, "link", a, 9, b)                  | NOTDIR NOTDIR ok ok NOTDIR
    path_remove_directory(FD, "empty")                  | NOTDIR NOTDIR ok ok NOTDIR
    path_rename(FD, "a.txt", rw, "new")                 | NOTDIR NOTDIR ok ok NOTDIR
    path_rename(rw, "a.txt", FD, "new")                 | NOTDIR NOTDIR ok ok NOTDIR
    path_symlink("a.txt", FD, "new")                    | NOTDIR NOTDIR ok ok NOTDIR
    path_unlink_file(FD, "a.txt")                       | NOTDIR NOTDIR ok ok NOTDIR
    sock_accept(FD, 0, a)                               | NOTSOCK NOTSOCK NOTSOCK NOTSOCK NOTSOCK
    sock_recv(FD, [1@a], 0, b, c)                       | NOTSOCK NOTSOCK NOTSOCK NOTSOCK NOTSOCK
    sock_send(FD, ["x"], 0, a)                          | NOTSOCK NOTSOCK NOTSOCK NOTSOCK NOTSOCK
    sock_shutdown(FD, 1)                                | NOTSOCK NOTSOCK NOTSOCK NOTSOCK NOTSOCK
"#;

/// The kinds of the columns: calls that open one, and its number.
const KINDS: [(&str, &str); 5] = [
    ("", "stdin"),
    ("", "stdout"),
    ("", "rw"),
    (r#"open(rw, ".", DIRECTORY, READ, 0); "#, "first"),
    (r#"open(rw, "a.txt", 0, READ+WRITE, 0); "#, "first"),
];

/// Numbers of no descriptor: closed, or never opened.
const CLOSED: [(&str, &str); 5] = [
    (r#"open(rw, "a.txt", 0, READ, 0); fd_close(first); "#, "first"),
    ("", "first"),
    ("", "128"),
    ("", "0x7fffffff"),
    ("", "-1"),
];

pub(super) fn table(version: Version) -> Vec<Row> {
    let lines = TABLE.lines().filter_map(|line| line.split_once('|'));
    let rows = lines.flat_map(|(call, answers)| {
        let answers: Vec<&str> = answers.split_whitespace().collect();
        assert_eq!(answers.len(), KINDS.len(), "{call}");
        let cases = KINDS.into_iter().zip(answers).chain(CLOSED.map(|closed| (closed, "BADF")));
        cases.map(move |((set_up, fd), answer)| {
            let call = call.trim().replace("FD", fd);
            // The other tables check the memory that is written; a failure writes nothing.
            let memory = if answer == "ok" { "?" } else { "" };
            Row::new(version, &format!("{set_up}{call} | {answer} | {memory}"))
        })
    });
    rows.collect()
}

#[test]
fn kinds() {
    check(table);
}
