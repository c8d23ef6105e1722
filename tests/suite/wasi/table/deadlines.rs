//! Every function, in a loop with the most that a plugin can ask of it, ends soon after the plugin's deadline. The unit
//! test `wasi::preview1::tests` counts how often long functions check whether they must stop.

use std::fmt::Write as _;
use std::fs::File;
use std::time::{Duration, Instant};

use serde_json::json;

use super::functions::FUNCTIONS;
use super::{BOTH, Version, text, wasi};
use crate::child;
use crate::faults::processor_time;
use crate::host::{Context, manifest};
use crate::log::LogFile;

/// The timeout of a call in milliseconds, and the most processor time beyond it, in the best of some calls.
const TIMEOUT: u64 = 20;
const LATE: Duration = Duration::from_millis(50);
const CALLS: usize = 5;

/// The most time beyond it with all waiting, whatever else the machine does.
const MUCH_TOO_LATE: Duration = Duration::from_secs(2);

/// The number of files in the directory, and of variables in the environment.
const FILES: usize = 20_000;
const VARIABLES: usize = 50_000;

/// Addresses in the module's memory that the calls point to, besides results at 0.
const BUFFERS: u32 = 0x1_0000;
const SUBSCRIPTIONS: u32 = 0x2_0000;
const PATH: u32 = 0x3_0000;
const TARGET: u32 = 0x3_8000;
const LINES: u32 = 0x4_0000;
const HUGE: u32 = 0x10_0000;
const HUGE_LENGTH: u32 = PAGES * 0x1_0000 - HUGE;
const PAGES: u32 = 0x4000;

/// Calls that are repeated: names, and arguments with the constants above. 3 is the directory, 4 a file of a gigabyte
/// in it; a path has 4,096 bytes and leads to the file `x`, which does not exist unless a call makes it.
const ROWS: [&str; 48] = [
    "args_get 0 HUGE",
    "args_sizes_get 0 4",
    "clock_res_get 1 0",
    "clock_time_get 1 0 0",
    "environ_get HUGE HUGE+0x1000000",
    "environ_sizes_get 0 4",
    "fd_advise 4 0 -1 3",
    "fd_allocate 4 0 0x40000000",
    "fd_close 4",
    "fd_datasync 4",
    "fd_fdstat_get 4 0",
    "fd_fdstat_set_flags 4 1",
    "fd_fdstat_set_rights 4 0 0",
    "fd_filestat_get 4 0",
    "fd_filestat_set_size 4 0x40000000; fd_filestat_set_size 4 0",
    "fd_filestat_set_times 4 0 0 5",
    "fd_pread 4 BUFFERS 1024 0 0",
    "fd_prestat_dir_name 3 HUGE HUGE_LENGTH",
    "fd_prestat_get 3 0",
    "fd_pwrite 4 BUFFERS 1024 0 0",
    "fd_read 4 BUFFERS 1024 0",
    "fd_read 0 BUFFERS 1024 0",
    "fd_readdir 3 HUGE HUGE_LENGTH 0 0",
    "fd_readdir 3 HUGE 65536 0 0; fd_readdir 3 HUGE HUGE_LENGTH 1 0",
    "fd_renumber 4 3",
    "fd_seek 4 0 1 0",
    "fd_sync 4",
    "fd_tell 4 0",
    "fd_write 4 BUFFERS 1024 0; fd_seek 4 0 SET 0",
    "fd_write 1 LINES 1024 0",
    "path_create_directory 3 PATH 4096; path_remove_directory 3 PATH 4096",
    "path_filestat_get 3 1 PATH 4096 0",
    "path_filestat_set_times 3 1 PATH 4096 0 0 5",
    "path_link 3 0 PATH 4096 3 PATH 4096",
    "path_open 3 1 PATH 4096 1 0x40 0 0 0; fd_close 5",
    "path_symlink TARGET 4095 3 PATH 4096; path_readlink 3 PATH 4096 HUGE HUGE_LENGTH 0; path_unlink_file 3 PATH 4096",
    "path_readlink 3 PATH 4096 HUGE HUGE_LENGTH 0",
    "path_remove_directory 3 PATH 4096",
    "path_rename 3 PATH 4096 3 PATH 4096",
    "path_unlink_file 3 PATH 4096",
    "poll_oneoff SUBSCRIPTIONS HUGE 1024 0",
    "proc_raise 9",
    "random_get HUGE HUGE_LENGTH",
    "sched_yield",
    "sock_accept 4 0 0",
    "sock_recv 4 BUFFERS 1024 0 0 4",
    "sock_send 4 BUFFERS 1024 0 0",
    "sock_shutdown 4 3",
];

/// The functions that a row calls.
fn calls(row: &'static str) -> impl Iterator<Item = &'static str> {
    row.split("; ").filter_map(|call| call.split_whitespace().next())
}

#[test]
fn the_table_has_every_function() {
    for function in &FUNCTIONS {
        assert!(ROWS.iter().any(|row| calls(row).any(|name| name == function.name)), "{}", function.name);
    }
}

fn number(version: Version, text: &str) -> String {
    let names = [
        ("HUGE_LENGTH", HUGE_LENGTH),
        ("HUGE", HUGE),
        ("BUFFERS", BUFFERS),
        ("SUBSCRIPTIONS", SUBSCRIPTIONS),
        ("PATH", PATH),
        ("TARGET", TARGET),
        ("LINES", LINES),
        ("SET", if version == Version::Preview0 { 2 } else { 0 }),
    ];
    let value = |word: &str| names.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    let Some((name, rest)) = text.split_once('+') else {
        return value(text).map_or_else(|| text.to_owned(), |value| value.to_string());
    };
    let rest = u32::from_str_radix(rest.trim_start_matches("0x"), 16).expect("digits");
    (value(name).expect("a name") + rest).to_string()
}

/// A call in WAT, whose result is dropped.
fn call(version: Version, call: &str) -> String {
    let mut words = call.split_whitespace();
    let name = words.next().expect("a name");
    let function = FUNCTIONS.iter().find(|function| function.name == name).expect("a function");
    let arguments: Vec<_> = words.collect();
    assert_eq!(arguments.len(), function.parameters.len(), "{call}");
    let arguments = function.parameters.chars().zip(arguments);
    let arguments = arguments.map(|(ty, word)| {
        let ty = if ty == 'I' { "i64" } else { "i32" };
        format!(" ({ty}.const {})", number(version, word))
    });
    format!("(drop (call ${name}{}))", arguments.collect::<String>())
}

fn escaped(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A module with a function for each row, `row0` and so on, which opens the file and then repeats the row's calls.
fn module(version: Version) -> String {
    let mut wat = String::from("(module");
    for function in &FUNCTIONS {
        let types = function.parameters.chars().map(|ty| if ty == 'I' { " i64" } else { " i32" });
        let (types, name, from) = (types.collect::<String>(), function.name, version.module());
        let _ = writeln!(wat, r#"(import "{from}" "{name}" (func ${name} (param{types}) (result i32)))"#);
    }
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    // A clock's event in an hour, in both layouts.
    let clock = if version == Version::Preview0 {
        words(&[0, 0, 0, 0, 0, 0, 1, 0, 0xa00_0000, 0x346, 0, 0, 0, 0])
    } else {
        words(&[0, 0, 0, 0, 1, 0, 0xa00_0000, 0x346, 0, 0, 0, 0])
    };
    let data = [
        (8, b"file".to_vec()),
        (BUFFERS, words(&[HUGE, HUGE_LENGTH]).repeat(1024)),
        (SUBSCRIPTIONS, clock.repeat(1024)),
        (PATH, [b"./".repeat(2047).as_slice(), b"/x"].concat()),
        (TARGET, vec![b'x'; 4095]),
        // 1,024 buffers, which all have the same lines.
        (LINES, words(&[LINES + 0x4000, 0x1000]).repeat(1024)),
        (LINES + 0x4000, vec![b'\n'; 0x1000]),
    ];
    for (at, bytes) in data {
        let _ = writeln!(wat, "(data (i32.const {at}) \"{}\")", escaped(bytes));
    }
    let open = call(version, "path_open 3 0 8 4 0 0x42 0 0 0");
    for (index, row) in ROWS.iter().enumerate() {
        let calls: String = row.split("; ").map(|text| call(version, text)).collect();
        let _ = writeln!(wat, "(func (export \"row{index}\") {open} (loop {calls} (br 0)))");
    }
    let _ = write!(wat, "(memory (export \"memory\") {PAGES}))");
    wat
}

#[test]
fn no_function_outlasts_the_deadline() {
    child::alone("wasi::table::deadlines::no_function_outlasts_the_deadline", || {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..FILES {
            File::create(folder.path().join(number.to_string())).expect("writable");
        }
        let file = File::create(folder.path().join("file")).expect("writable");
        let mut config: serde_json::Map<_, _> =
            (0..VARIABLES).map(|number| (format!("variable {number}"), json!("value"))).collect();
        config.insert("large".to_owned(), json!("x".repeat(8 << 20)));
        let paths = json!({text(folder.path()): "x".repeat(8 << 20)});
        let rest = format!(
            "\"config\": {}, \"allowed_paths\": {paths}, \"timeout_ms\": {TIMEOUT}, \"memory\": {{\"max_log_bytes\": {}}}",
            json!(config),
            64 << 20
        );
        let _log = LogFile::new("info");
        let allowed = Duration::from_millis(TIMEOUT) + LATE;
        let mut wrong = Vec::new();
        for version in BOTH {
            let context = Context::new();
            let plugin = wasi(&context, manifest(module(version), &rest));
            for (index, row) in ROWS.iter().enumerate() {
                let (mut best, mut took) = (Duration::MAX, Duration::MAX);
                for _ in 0..CALLS {
                    file.set_len(1 << 30).expect("writable");
                    let (start, before) = (Instant::now(), processor_time());
                    let answer = plugin.call(&format!("row{index}"), "");
                    best = best.min(processor_time() - before);
                    assert!(answer.error().contains("timeout"), "{row}: {}", answer.error());
                    took = took.min(start.elapsed());
                    if best <= allowed && took < MUCH_TOO_LATE {
                        break;
                    }
                }
                if best > allowed || took >= MUCH_TOO_LATE {
                    wrong.push(format!("{version:?}: {row}: {took:?}, {best:?} of them on a processor"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
