//! FIFOs, sockets and devices in a plugin's directory: no function waits for them, and none can be opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use serde_json::json;
use tempfile::TempDir;

use super::super::clocks::in_time;
use super::{BOTH, Row, Version, module, restore, text, wasi};
use crate::host::{Context, manifest};

/// Calls with `NAME`, and their answers if that is a FIFO or a socket, and if it is a link to one. `fd_` functions are
/// called on what could be opened, which is nothing.
const TABLE: &str = r#"
    open(rw, "NAME", 0, READ, 0)                            | ACCES ACCES
    open(rw, "NAME", 0, WRITE, 0)                           | ACCES ACCES
    open(rw, "NAME", 0, READ+WRITE, APPEND)                 | ACCES ACCES
    open(rw, "NAME", CREATE, WRITE, 0)                      | ACCES ACCES
    open(rw, "NAME", CREATE+EXCLUSIVE, WRITE, 0)            | ACCES ACCES
    open(rw, "NAME", TRUNCATE, WRITE, 0)                    | ACCES ACCES
    open(rw, "NAME", DIRECTORY, READ, 0)                    | NOTDIR NOTDIR
    open(rw, "NAME/", 0, READ, 0)                           | NOTDIR NOTDIR
    open(rw, "NAME/x", CREATE, WRITE, 0)                    | NOTDIR NOTDIR
    path_open(rw, 0, "NAME", 0, READ, 0, 0, a)              | ACCES LOOP
    path_open(rw, 0, "NAME", 0, WRITE, 0, 0, a)             | ACCES LOOP
    path_open(rw, 0, "NAME", DIRECTORY, READ, 0, 0, a)      | NOTDIR NOTDIR
    path_filestat_set_times(rw, FOLLOW, "NAME", 5, 7, 5)    | ACCES ACCES
    path_filestat_set_times(rw, FOLLOW, "NAME", 0, 0, 10)   | ACCES ACCES
    path_filestat_set_times(rw, FOLLOW, "NAME", 0, 0, 0)    | ACCES ACCES
    path_filestat_set_times(rw, FOLLOW, "NAME/", 5, 7, 5)   | NOTDIR NOTDIR
    path_filestat_set_times(rw, 0, "NAME", 5, 7, 5)         | ok ok
    path_filestat_set_times(rw, 0, "NAME/", 5, 7, 5)        | NOTDIR NOTDIR
    path_filestat_set_times(rw, 0, "NAME/x", 5, 7, 5)       | NOTDIR NOTDIR
    path_filestat_get(rw, FOLLOW, "NAME", a)                | ok ok
    path_filestat_get(rw, 0, "NAME", a)                     | ok ok
    path_filestat_get(rw, FOLLOW, "NAME/x", a)              | NOTDIR NOTDIR
    path_create_directory(rw, "NAME")                       | EXIST EXIST
    path_create_directory(rw, "NAME/x")                     | NOTDIR NOTDIR
    path_link(rw, 0, "NAME", rw, "new")                     | ok ok
    path_link(rw, 0, "a.txt", rw, "NAME")                   | EXIST EXIST
    path_link(rw, 0, "a.txt", rw, "NAME/x")                 | NOTDIR NOTDIR
    path_symlink("a.txt", rw, "NAME")                       | EXIST EXIST
    path_symlink("a.txt", rw, "NAME/x")                     | NOTDIR NOTDIR
    path_symlink("NAME", rw, "new"); open(rw, "new", 0, READ, 0) | ACCES ACCES
    path_symlink("NAME", rw, "new"); path_filestat_set_times(rw, FOLLOW, "new", 5, 7, 5) | ACCES ACCES
    path_readlink(rw, "NAME", a, 9, b)                      | INVAL ok
    path_readlink(rw, "NAME/x", a, 9, b)                    | NOTDIR NOTDIR
    path_rename(rw, "NAME", rw, "new"); open(rw, "new", 0, READ, 0) | ACCES ACCES
    path_rename(rw, "a.txt", rw, "NAME")                    | ok ok
    path_rename(rw, "NAME", rw, "sub/new")                  | ok ok
    path_rename(rw, "NAME/x", rw, "new")                    | NOTDIR NOTDIR
    path_remove_directory(rw, "NAME")                       | NOTDIR NOTDIR
    path_unlink_file(rw, "NAME")                            | ok ok
    path_unlink_file(rw, "NAME/x")                          | NOTDIR NOTDIR
    fd_readdir(rw, a, 0x200, 0, b)                          | ok ok
"#;

/// The same for devices, in a directory that is read-only.
const DEVICES: &str = r#"
    open(ro, "null", 0, READ, 0)                            | ACCES
    open(ro, "null", 0, WRITE, 0)                           | ACCES
    open(ro, "null", TRUNCATE, WRITE, 0)                    | ACCES
    open(ro, "tty", 0, READ, 0)                             | ACCES
    open(ro, "null", DIRECTORY, READ, 0)                    | NOTDIR
    path_filestat_set_times(ro, FOLLOW, "null", 5, 7, 5)    | ROFS
    path_filestat_get(ro, FOLLOW, "null", a)                | ok
    fd_readdir(ro, a, 0x200, 0, b)                          | ok
"#;

/// The file that `NAME` stands for, and the answer that counts.
const NAMES: [(&str, usize); 4] = [("fifo", 0), ("socket", 0), ("to_fifo", 1), ("to_socket", 1)];

fn rows(version: Version) -> Vec<Row> {
    let row = |call: &str, answer| Row::new(version, &format!("{call} | {answer} | ?"));
    let lines = |table: &'static str| table.lines().filter_map(|line| line.split_once('|'));
    let in_folder = NAMES.into_iter().flat_map(|(name, column)| {
        lines(TABLE).map(move |(call, answers)| {
            let answer = answers.split_whitespace().nth(column).expect("an answer for each column");
            row(&call.trim().replace("NAME", name), answer)
        })
    });
    in_folder.chain(lines(DEVICES).map(|(call, answer)| row(call.trim(), answer))).collect()
}

/// A FIFO and a socket, of which each row gets links.
struct Special {
    folder: TempDir,
    _listener: UnixListener,
}

impl Special {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new("mkfifo").arg(folder.path().join("fifo")).status();
        assert!(made.expect("mkfifo is there").success());
        let listener = UnixListener::bind(folder.path().join("socket")).expect("writable");
        Self { folder, _listener: listener }
    }

    /// Makes `folder` as a row expects it.
    fn restore(&self, folder: &Path) {
        restore(folder);
        for name in ["fifo", "socket"] {
            fs::hard_link(self.folder.path().join(name), folder.join(name)).expect("writable");
            symlink(name, folder.join(format!("to_{name}"))).expect("writable");
        }
    }
}

/// The plugin has no deadline: a call that waits is still running when the test gives up.
#[test]
fn nothing_waits_for_a_special_file() {
    for version in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_owned();
        let (sender, begun) = mpsc::channel();
        let wrong = in_time(move || {
            let (context, rows, special) = (Context::new(), rows(version), Special::new());
            let paths = json!({text(&path): "/rw", "ro:/dev": "/dev"});
            let module = module::module(version, rows.iter().map(|row| row.calls.as_slice()));
            let plugin = wasi(&context, manifest(module, &format!("\"allowed_paths\": {paths}")));
            let mut wrong = Vec::new();
            for (index, row) in rows.iter().enumerate() {
                special.restore(&path);
                assert_eq!(plugin.call_only("_start", b""), 0);
                let _ = sender.send(row.text.clone());
                let answer = plugin.call(&format!("row{index}"), "");
                let problem = match answer.code {
                    0 => row.problem(version, &path, &answer.output),
                    _ => Some(answer.error().to_owned()),
                };
                wrong.extend(problem.map(|problem| format!("{}: {problem}", row.text)));
            }
            wrong
        });
        let wrong =
            wrong.unwrap_or_else(|| panic!("{version:?} waits: {}", begun.try_iter().last().unwrap_or_default()));
        assert!(wrong.is_empty(), "{version:?}: {} rows:\n{}", wrong.len(), wrong.join("\n"));
    }
}
