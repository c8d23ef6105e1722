//! Processes that are forked off this one, their reports, and the time that forks and steps take.
#![expect(unsafe_code, reason = "the system's")]

use std::fmt::{self, Display, Formatter};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

/// Neither a fork nor a step of a child may take longer: a second, and what a busy machine adds.
const LATE: Duration = Duration::from_secs(1 + 5);

/// A child that runs longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Forks. Returns 0 in the child.
pub(super) fn raw_fork() -> i32 {
    // SAFETY: the child only calls the library, writes to a pipe, and ends.
    unsafe { libc::fork() }
}

/// Ends a child, with status 0 if it is well.
pub(super) fn exit(is_well: bool) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(i32::from(!is_well)) }
}

/// The status of a child that has ended, or `None` if it does not end.
pub(super) fn wait_for(process: i32) -> Option<i32> {
    let begin = Instant::now();
    loop {
        match poll(process) {
            None if begin.elapsed() < PATIENCE => thread::sleep(Duration::from_micros(200)),
            status => return status,
        }
    }
}

fn poll(process: i32) -> Option<i32> {
    let mut status = -1;
    // SAFETY: writes to `status`, which has the right size.
    let ended = unsafe { libc::waitpid(process, &raw mut status, libc::WNOHANG) };
    (ended == process).then_some(status)
}

/// A child, and the pipe that it reports through.
pub(super) struct Child {
    process: i32,
    begin: Instant,
    /// The time that the fork took.
    fork: Duration,
    reader: PipeReader,
}

/// Marks in a report, before a step's number (a byte), its time (four bytes, in microseconds), and an error's text.
const STEP: u8 = b's';
const TOOK: u8 = b't';
const ERROR: u8 = b'e';

/// The pipe into which a child reports what it does.
pub(super) struct Report(PipeWriter);

impl Report {
    /// Does a step, and reports its number before it and its time after it.
    pub(super) fn step(&mut self, number: usize, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let begin = Instant::now();
        self.write(&[STEP, number as u8]);
        work()?;
        let took = u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.write(&[TOOK]);
        self.write(&took.to_le_bytes());
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("somebody reads it");
    }
}

/// Forks a child that does `work`.
pub(super) fn fork(work: impl FnOnce(&mut Report) -> Result<(), String>) -> Child {
    let (reader, writer) = io::pipe().expect("a pipe");
    let begin = Instant::now();
    match raw_fork() {
        0 => {
            drop(reader);
            let mut report = Report(writer);
            // A panic must not reach the test runner, whose threads do not exist in the child.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&mut report)));
            let result = result.unwrap_or_else(|_| Err("a panic".to_owned()));
            if let Err(text) = &result {
                report.write(&[ERROR]);
                report.write(text.as_bytes());
            }
            exit(result.is_ok())
        }
        process => {
            assert!(process > 0, "{}", io::Error::last_os_error());
            Child { process, begin, fork: begin.elapsed(), reader }
        }
    }
}

/// The children that run, and the results of those that have ended.
#[derive(Default)]
pub(super) struct Children {
    running: Vec<Child>,
    /// Times of forks and of single steps.
    forks: Vec<Duration>,
    steps: Vec<Duration>,
    /// The steps of each child that failed, and its error.
    failures: Vec<(Vec<u8>, String)>,
}

impl Children {
    pub(super) fn add(&mut self, child: Child) {
        self.forks.push(child.fork);
        self.running.push(child);
    }

    pub(super) fn wait_until_fewer_than(&mut self, count: usize) {
        while self.running.len() >= count {
            let mut ended = Vec::new();
            self.running.retain_mut(|child| match poll(child.process) {
                None if child.begin.elapsed() < PATIENCE => true,
                status => {
                    ended.push((status, child.process, child.reader.try_clone().expect("a descriptor")));
                    false
                }
            });
            for (status, process, reader) in ended {
                self.note(status, process, reader);
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    fn note(&mut self, status: Option<i32>, process: i32, mut reader: PipeReader) {
        if status.is_none() {
            // SAFETY: it is a child of this process that nobody has waited for, so the id is still its own.
            unsafe { libc::kill(process, libc::SIGKILL) };
            wait_for(process);
        }
        let mut report = Vec::new();
        reader.read_to_end(&mut report).expect("a pipe");
        let (mut rest, mut begun, mut words) = (report.as_slice(), Vec::new(), "no words");
        loop {
            match rest {
                [STEP, number, after @ ..] => {
                    begun.push(*number);
                    rest = after;
                }
                [TOOK, a, b, c, d, after @ ..] => {
                    self.steps.push(Duration::from_micros(u32::from_le_bytes([*a, *b, *c, *d]).into()));
                    rest = after;
                }
                [ERROR, text @ ..] => {
                    words = std::str::from_utf8(text).unwrap_or("no text");
                    break;
                }
                _ => break,
            }
        }
        if status != Some(0) {
            self.failures.push((begun, format!("{status:?}: {words}")));
        }
    }

    /// Fails if a child failed or was late.
    pub(super) fn assert_well(&self, name: impl Fn(usize) -> &'static str) {
        let named = |steps: &[u8]| steps.iter().map(|step| name(usize::from(*step))).collect::<Vec<_>>();
        let failures: Vec<_> = self.failures.iter().map(|(steps, text)| (named(steps), text)).collect();
        assert!(failures.is_empty(), "{} children: {:#?}", failures.len(), &failures[..failures.len().min(5)]);
        for took in [&self.forks, &self.steps] {
            let longest = took.iter().max().copied().unwrap_or_default();
            assert!(longest < LATE, "{longest:?}");
        }
    }
}

impl Display for Children {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (what, all) in [("forks", &self.forks), ("steps", &self.steps)] {
            let mut all = all.clone();
            all.sort_unstable();
            let place = |part: usize| all.get((all.len() * part / 1000).min(all.len().saturating_sub(1))).copied();
            let [half, most, nearly_all, longest] = [500, 990, 999, 1000].map(|part| place(part).unwrap_or_default());
            write!(
                f,
                "{} {what}: half of them took {half:?}, 99 % {most:?}, 99.9 % {nearly_all:?}, the longest {longest:?}; ",
                all.len()
            )?;
        }
        write!(f, "{} failed", self.failures.len())
    }
}
