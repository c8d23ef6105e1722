//! Runs tests in a process of their own: those that set or measure something of the whole process, or might end it.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The environment variable that marks a child process and names the case that it runs.
const CASE: &str = "EXTISM_TEST_CASE";

/// The time that a child may take before it counts as dead-locked.
const PATIENCE: Duration = Duration::from_secs(120);

/// The output of a child process.
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The case to run, if this process is a child.
pub(crate) fn case() -> Option<String> {
    env::var(CASE).ok()
}

/// Runs `body` as the test of this name, such as `log::formats`, in a process that runs nothing else.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    match case() {
        Some(_) => body(),
        None => drop(run(test, "", &[])),
    }
}

/// The command that runs the test of this name again, without output, where [`case`] answers `case`. Plugins in that
/// process share no code unless the variable is set otherwise: most of these tests are about plugins that cannot share.
pub(crate) fn command(test: &str, case: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the tests are a file"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env("EXTISM_CACHE_MEMORY_BYTES", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs the test of this name again in a new process, where [`case`] answers `case`. It must pass.
pub(crate) fn run(test: &str, case: &str, variables: &[(&str, &OsStr)]) -> Ended {
    let mut child = command(test, case);
    child.envs(variables.iter().copied());
    end(child, test, case)
}

/// Like [`run`], as a host in C would be: in a Rust program, the standard library installs a handler for faults, with a
/// lock that each thread takes as it begins and ends, and no fork waits for that lock.
#[cfg(target_os = "linux")]
pub(crate) fn run_like_c(test: &str, case: &str, variables: &[(&str, &OsStr)]) -> Ended {
    let child = command(test, case);
    let mut like_c = Command::new("sh");
    // The standard library installs its handler only where the signal has its default action.
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

/// Runs the test of this name again, where [`case`] answers `case`. At a place that only that process sees, a file
/// system in memory is mounted with the given options. The test must pass. If nothing may be mounted, the function
/// prints that the test is skipped and returns false, unless `NO_SKIP` is set.
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
        // Written directly: the test runner would capture `eprintln!`.
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
