//! Tests in a process of their own: for what is set for a whole process, measured in it, or might end it.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Tells the child that it is one, and which case to run.
const CASE: &str = "EXTISM_TEST_CASE";

/// How long a child may take before it counts as dead-locked.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a child wrote.
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The case to run, if this process is a child.
pub(crate) fn case() -> Option<String> {
    env::var(CASE).ok()
}

/// Runs `body` as the test of this name, such as `log::formats`, in a process where nothing else runs.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    match case() {
        Some(_) => body(),
        None => drop(run(test, "", &[])),
    }
}

/// The command that runs the test of this name again, quietly, where [`case`] says `case`. Plugins there do not share code
/// unless the variable is set otherwise: what is tested is mostly what happens where there is none.
pub(crate) fn command(test: &str, case: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the tests are a file"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env("EXTISM_CACHE_MEMORY_BYTES", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs the test of this name again in a new process, where [`case`] says `case`. It must pass.
pub(crate) fn run(test: &str, case: &str, variables: &[(&str, &OsStr)]) -> Ended {
    let mut child = command(test, case);
    child.envs(variables.iter().copied());
    end(child, test, case)
}

/// As [`run`], in a process as hosts in C have it, as far as Rust's standard library goes: in a program of Rust's, that has a handler
/// for faults, and a lock for it that each thread takes when it begins and when it ends, which no fork waits for.
#[cfg(target_os = "linux")]
pub(crate) fn run_like_c(test: &str, case: &str, variables: &[(&str, &OsStr)]) -> Ended {
    let child = command(test, case);
    let mut like_c = Command::new("sh");
    // The handler is only installed where there is none.
    like_c.args(["-c", "trap '' SEGV BUS && exec \"$@\"", "sh"]).arg(child.get_program()).args(child.get_args());
    like_c.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?)))).envs(variables.iter().copied());
    end(like_c, test, case)
}

fn end(mut command: Command, test: &str, case: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder for the output");
    let output = |name| File::create(folder.path().join(name)).expect("a file for the output");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output("stdout"))
        .stderr(output("stderr"))
        .spawn()
        .expect("the tests can be run again");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().expect("the child can be waited for") {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    if status.is_none() {
        child.kill().expect("the child can be killed");
        child.wait().expect("the child can be waited for");
    }
    let text = |name| {
        let bytes = fs::read(folder.path().join(name)).expect("the output can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let ended = Ended { stdout: text("stdout"), stderr: text("stderr") };
    let passed = status.is_some_and(|status| status.success()) && ended.stdout.contains("1 passed");
    assert!(passed, "{test}, case `{case}`: {status:?}\n{}\n{}", ended.stdout, ended.stderr);
    ended
}

/// Runs the test of this name again, where [`case`] says `case`, with a file system in memory at a place, for it alone and with
/// mount's options. It must pass. Where nothing may be mounted, it is said that the test was skipped, and false returned, unless
/// `NO_SKIP` is set.
#[cfg(any(feature = "http", target_os = "linux"))]
pub(crate) fn mounted(test: &str, case: &str, (place, options): (&Path, &str), variables: &[(&str, &OsStr)]) -> bool {
    let mount = |then: &[&OsStr]| {
        let script = format!("mount -t tmpfs -o {options} none \"$1\" && shift && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh"]).arg(place).args(then);
        command
    };
    if !mount(&["true".as_ref()]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        assert!(env::var_os("NO_SKIP").is_none(), "{test}: nothing can be mounted here");
        // Past the test runner, which would keep it for itself.
        let _ = writeln!(io::stderr(), "{test}: skipped, nothing can be mounted here");
        return false;
    }
    let child = command(test, case);
    let all: Vec<_> = [child.get_program()].into_iter().chain(child.get_args()).collect();
    let mut command = mount(&all);
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?)))).envs(variables.iter().copied());
    let output = command.output().expect("it was there");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{test}, case `{case}`, {options}: {text}");
    true
}
