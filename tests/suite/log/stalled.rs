//! Sinks that accept no more: a reader that stalls or is gone, and a file that must not grow. The line is lost, nobody
//! waits for it, and no signal ends the host.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "streams and signals of the process are the system's")]

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use super::{Line, parse, set};
use crate::child;
use crate::faults::limit;
use crate::host::{Context, fixture, manifest};

/// The longest wait on a busy machine. A line may take 20 ms.
const SOON: Duration = Duration::from_secs(2);

/// Logs one line after the other until it is stopped.
const CHATTER: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_log_info" (func $log (param i64)))
    (func (export "chatter") (local $text i64)
        (local.set $text (call $alloc (i64.const 0)))
        (loop (call $log (local.get $text)) (br 0))))"#;

/// A reader and a writer for the log. The log opens a FIFO itself, and has no writer here.
struct Channel {
    reader: File,
    writer: Option<OwnedFd>,
    /// The name that the log is given.
    name: String,
    /// The part that was read of an unfinished line.
    rest: String,
}

impl Channel {
    fn new(kind: &str, folder: &std::path::Path) -> Self {
        let stream = |reader: OwnedFd, writer| Self {
            reader: reader.into(),
            writer: Some(writer),
            name: "-".into(),
            rest: String::new(),
        };
        match kind {
            "pipe" => {
                let (reader, writer) = io::pipe().expect("descriptors are left");
                stream(reader.into(), writer.into())
            }
            "socket" => {
                let (reader, writer) = UnixStream::pair().expect("descriptors are left");
                stream(reader.into(), writer.into())
            }
            "terminal" => {
                let (reader, writer) = terminal();
                stream(reader, writer)
            }
            _ => {
                let path = folder.join("fifo");
                let name = path.to_str().expect("UTF-8").to_owned();
                make_fifo(&name);
                let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
                Self { reader: reader.expect("no writer is needed"), writer: None, name, rest: String::new() }
            }
        }
    }

    /// All lines that can be read. A line that was cut may be there in part.
    fn lines(&mut self) -> Vec<Line> {
        let mut text = std::mem::take(&mut self.rest);
        while is_readable(&self.reader) {
            let mut piece = [0; 4096];
            let count = self.reader.read(&mut piece).expect("there is something");
            text.push_str(std::str::from_utf8(&piece[..count]).expect("ASCII"));
        }
        let end = text.rfind('\n').map_or(0, |last| last + 1);
        self.rest = text.split_off(end);
        text.lines().map(parse).collect()
    }

    /// Whether all writers are gone.
    fn is_ended(&mut self) -> bool {
        is_readable(&self.reader)
            && match self.reader.read(&mut [0]) {
                Ok(count) => count == 0,
                // A terminal reports the end as an error.
                Err(error) => error.raw_os_error() == Some(libc::EIO),
            }
    }
}

fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: writes the two numbers; the other pointers may be NULL.
    let result = unsafe { libc::openpty(&raw mut master, &raw mut slave, ptr::null_mut(), ptr::null(), ptr::null()) };
    assert_eq!(result, 0);
    // SAFETY: the descriptor is open and has no other owner.
    let master = unsafe { OwnedFd::from_raw_fd(master) };
    // SAFETY: the descriptor is open and has no other owner.
    (master, unsafe { OwnedFd::from_raw_fd(slave) })
}

fn make_fifo(path: &str) {
    let path = std::ffi::CString::new(path).expect("no NUL");
    // SAFETY: the path is a C string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

fn flags(file: RawFd) -> i32 {
    // SAFETY: `F_GETFL` takes no further arguments.
    unsafe { libc::fcntl(file, libc::F_GETFL) }
}

/// Whether there is something to read. A terminal passes bytes on a moment after they are written.
fn is_readable(file: &File) -> bool {
    let mut asked = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: reads and writes the one entry.
    unsafe { libc::poll(&raw mut asked, 1, 30) > 0 }
}

/// Replaces the process's standard output until it is dropped.
struct Redirected(OwnedFd);

impl Redirected {
    fn new(to: OwnedFd) -> Self {
        // SAFETY: takes a number.
        let before = unsafe { libc::dup(1) };
        replace(1, &to);
        // SAFETY: the descriptor is open and has no other owner.
        Self(unsafe { OwnedFd::from_raw_fd(before) })
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        replace(1, &self.0);
    }
}

fn replace(number: RawFd, by: &OwnedFd) {
    // SAFETY: both descriptors are open.
    assert_eq!(unsafe { libc::dup2(by.as_raw_fd(), number) }, number);
}

fn default_action(signal: i32) {
    // SAFETY: the action is the system's own.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// The number of lines that the log reports as lost.
fn lost(lines: &[Line]) -> usize {
    let counts =
        lines.iter().filter_map(|line| line.message.strip_prefix("lines lost before this one")?.split(": ").nth(1));
    counts.map(|count| count.parse::<usize>().expect("a count")).sum()
}

const KINDS: [&str; 4] = ["pipe", "socket", "terminal", "fifo"];

#[test]
fn a_reader_that_stalls() {
    const TEST: &str = "log::stalled::a_reader_that_stalls";
    let Some(kind) = child::case() else { return KINDS.iter().for_each(|kind| drop(child::run(TEST, kind, &[]))) };
    let folder = tempfile::tempdir().expect("a folder");
    let mut channel = Channel::new(&kind, folder.path());
    let redirected = channel.writer.take().map(Redirected::new);
    let flags_before = flags(1);
    assert!(set(Some(&channel.name), Some("info")));

    let context = Context::new();
    let plugin = context.plugin(fixture("kitchen.v1"));
    let line = |number: usize| format!("info:{number} {}", "x".repeat(300));
    let start = Instant::now();
    for number in 0..2000 {
        plugin.answer("log", line(number));
    }
    assert!(start.elapsed() < SOON, "lines wait: {:?}", start.elapsed());

    // A plugin that logs all the time sees its deadline, and others are not delayed.
    let chatter = context.plugin(manifest(CHATTER, "\"timeout_ms\": 100"));
    let chattered = thread::scope(|scope| {
        let call = scope.spawn(|| chatter.call("chatter", ""));
        let start = Instant::now();
        for _ in 0..20 {
            context.plugin("(module)").free();
            plugin.answer("log", "info:2000");
        }
        assert!(start.elapsed() < SOON, "others wait: {:?}", start.elapsed());
        call.join().expect("no panic")
    });
    assert!(chattered.error().contains("timeout: "), "{chattered:?}");
    assert!(start.elapsed() < 3 * SOON, "the deadline passes: {:?}", start.elapsed());

    // When the reader reads again, the log writes again.
    let before = channel.lines();
    plugin.answer("log", "info:last");
    let after = channel.lines();
    let told = lost(&before) + lost(&after);
    assert!(lost(&after) > 0 && told + before.len() >= 2020, "{told} of {} are lost", before.len());
    let messages: Vec<_> = after.iter().map(|line| line.message.as_str()).collect();
    assert!(messages.len() >= 2 && messages.ends_with(&["last"]), "{messages:?}");
    plugin.answer("log", "info:one more");
    assert_eq!((channel.lines().len(), channel.rest.as_str()), (1, ""));

    // The open stream belongs to the host too.
    assert_eq!(flags(1), flags_before, "its flags are changed");
    drop(redirected);
    assert!(set(Some("stderr"), None));
    assert!(channel.is_ended(), "it is still open for writing");
}

/// Nobody reads the log's stream, and the signals for writing to it would end this process.
#[test]
fn a_reader_that_is_gone() {
    const TEST: &str = "log::stalled::a_reader_that_is_gone";
    let Some(kind) = child::case() else { return KINDS.iter().for_each(|kind| drop(child::run(TEST, kind, &[]))) };
    default_action(libc::SIGPIPE);
    let folder = tempfile::tempdir().expect("a folder");
    let mut channel = Channel::new(&kind, folder.path());
    let redirected = channel.writer.take().map(Redirected::new);
    assert!(set(Some(&channel.name), Some("info")));
    let Channel { reader, name, .. } = channel;
    drop(reader);
    let context = Context::new();
    let plugin = context.plugin(fixture("kitchen.v1"));
    for _ in 0..3 {
        plugin.answer("log", "info:lost");
    }
    if kind == "fifo" {
        let start = Instant::now();
        assert!(!set(Some(&name), Some("info")), "opening would wait for a reader");
        assert!(start.elapsed() < SOON);
    }
    drop(redirected);
}

/// A file has reached `RLIMIT_FSIZE`, and the signal for writing more would end the process.
#[test]
fn a_file_that_must_not_grow() {
    child::alone("log::stalled::a_file_that_must_not_grow", || {
        default_action(libc::SIGXFSZ);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        assert!(set(path.to_str(), Some("info")));
        let context = Context::new();
        let plugin = context.plugin(fixture("kitchen.v1"));
        let before = limit(libc::RLIMIT_FSIZE, 1000);
        for _ in 0..30 {
            plugin.answer("log", "info:0123456789");
        }
        assert_eq!(fs::metadata(&path).expect("it is there").len(), 1000);
        limit(libc::RLIMIT_FSIZE, before);
        plugin.answer("log", "info:last");
        let log = fs::read_to_string(&path).expect("text");
        let whole = log.lines().filter(|line| line.ends_with("- 0123456789")).count();
        let lines: Vec<_> = log.lines().skip(whole + 1).map(parse).collect();
        assert_eq!((lines.len(), lost(&lines)), (2, 30 - whole), "{log}");
        assert_eq!(lines[1].message, "last");
    });
}
