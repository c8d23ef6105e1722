//! The size of the cache: the code that goes first if it is full, and many processes that fill it or make room at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{DIR, directory, files, in_child, number, run};
use crate::child;
use crate::host::{Context, sha256};
use crate::log::warnings;

#[test]
fn what_was_not_used_for_longest_goes_first() {
    const TEST: &str = "size::what_was_not_used_for_longest_goes_first";
    const MAX: &str = "EXTISM_CACHE_MAX_BYTES";
    let case = child::case();
    match case.as_deref() {
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            in_child(TEST, "fill", folder.path());
            let all = files(folder.path());
            let size: usize = all.values().map(Vec::len).sum();
            // All were used long ago, each a day after the one before, in the order of their numbers.
            for number in 0..10_u32 {
                let used = SystemTime::now() - Duration::from_secs(86_400 * u64::from(20 - number));
                for file in all.keys().filter(|file| file.starts_with(place(folder.path(), number))) {
                    fs::File::open(file).and_then(|file| file.set_modified(used)).expect("ours");
                }
            }
            let max = (size - size / 20).to_string();
            let variables = |max: &str| [(DIR, folder.path().as_os_str().to_owned()), (MAX, max.into())];
            let run = |case: &str, max: &str| {
                let variables = variables(max);
                let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
                child::run(&format!("cache::{TEST}"), case, &variables);
            };
            run("use the first, make one more", &max);
            let left: Vec<_> = (0..11).filter(|number| place(folder.path(), *number).is_dir()).collect();
            assert!(left.contains(&0) && left.contains(&10), "those just used stay: {left:?}");
            assert!(!left.contains(&1) && !left.contains(&2) && left.len() >= 6, "the oldest go: {left:?}");
            let aliases = fs::read_dir(folder.path().join("by-blake3")).expect("there").count();
            assert_eq!(aliases, left.len());
            run("more than fits", "100");
            assert!(!place(folder.path(), 11).exists());
            run("nonsense", "1 GB");
        }
        Some("fill") => (0..10).for_each(|it| assert_eq!(run(number(it)), it as i32)),
        Some("more than fits") => assert!(warnings(|| assert_eq!(run(number(11)), 11))[0].contains(MAX)),
        Some("nonsense") => {
            let error = Context::new().refusal(number(12));
            assert_eq!(error, format!("{MAX}: `1 GB` is not a number of bytes"));
        }
        Some(_) => assert_eq!([run(number(0)), run(number(10))], [0, 10]),
    }
}

/// The directory of the code of [`number`].
fn place(cache: &Path, of: u32) -> PathBuf {
    cache.join("modules").join(sha256(number(of).as_bytes()))
}

/// Many processes that find the cache full at the same moment trim it once, not once each.
#[test]
fn processes_that_make_room_at_once() {
    const TEST: &str = "size::processes_that_make_room_at_once";
    const FILLED: u32 = 600;
    match child::case().as_deref() {
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            in_child(TEST, "fill", folder.path());
            let size: usize = files(folder.path()).values().map(Vec::len).sum();
            // All find it full at the same moment.
            let moment = (now() + Duration::from_millis(1500)).as_millis();
            let started: Vec<_> = (0..24)
                .map(|process| {
                    let case = format!("{} {moment}", FILLED + process);
                    let mut command = child::command(&format!("cache::{TEST}"), &case);
                    command.env(DIR, folder.path()).env("EXTISM_CACHE_MAX_BYTES", (size - 100).to_string());
                    command.spawn().expect("the tests can be run again")
                })
                .collect();
            for mut process in started {
                assert!(process.wait().expect("ours").success());
            }
            let left = files(folder.path()).len();
            assert!(left > FILLED as usize * 8 / 10, "{left} of {FILLED} are left");
        }
        Some("fill") => (0..FILLED).for_each(|it| assert_eq!(run(number(it)), it as i32)),
        Some(case) => {
            let (it, moment) = case.split_once(' ').expect("two numbers");
            let moment = Duration::from_millis(moment.parse().expect("a number"));
            std::thread::sleep(moment.saturating_sub(now()));
            assert_eq!(run(number(it.parse().expect("a number"))).to_string(), it);
        }
    }
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later")
}

/// Many processes fill an empty cache at once, and are killed at any moment.
#[test]
fn processes_that_are_killed_leave_a_cache_that_works() {
    const TEST: &str = "size::processes_that_are_killed_leave_a_cache_that_works";
    const ROUNDS: u64 = 4;
    const PROCESSES: u64 = 200;
    const MODULES: u32 = 100;
    match child::case().as_deref() {
        None => {
            let mut interrupted = 0;
            for round in 0..ROUNDS {
                let folder = tempfile::tempdir().expect("a folder");
                // All at once; in later rounds some at a time, so that most are killed in the middle of their work.
                let at_once = if round == 0 { PROCESSES } else { 20 };
                for batch in 0..PROCESSES / at_once {
                    let started: Vec<_> = (0..at_once)
                        .map(|_| {
                            let mut process = child::command(&format!("cache::{TEST}"), "fill");
                            process.env(DIR, folder.path()).spawn().expect("the tests can be run again")
                        })
                        .collect();
                    let there = || fs::read_dir(folder.path().join("modules")).map_or(0, Iterator::count);
                    // The first ones are killed as soon as there is some code; the others at once, in the middle, or
                    // after their end.
                    while batch == 0 && there() < 2 {
                        std::thread::yield_now();
                    }
                    for (index, mut process) in started.into_iter().enumerate() {
                        if batch > 0 {
                            std::thread::sleep(Duration::from_millis((index as u64 * 7 + batch * 3 + round * 13) % 20));
                        }
                        process.kill().expect("ours");
                        process.wait().expect("ours");
                    }
                    interrupted += usize::from(batch == 0 && there() < MODULES as usize);
                }
                let temporary = |path: &&PathBuf| path.to_string_lossy().contains("/.new-");
                interrupted += files(folder.path()).keys().filter(temporary).count();
                in_child(TEST, "look", folder.path());
                in_child(TEST, "fill", folder.path());
                assert_eq!(fs::read_dir(folder.path().join("modules")).expect("there").count(), MODULES as usize);
            }
            assert!(interrupted > 0, "nobody was killed in the middle of {ROUNDS} rounds");
        }
        Some("look") => {
            // All code in the cache is whole: nothing is damaged, and each module gives its answer.
            let there = |it: &u32| place(&directory(), *it).is_dir();
            let warned = warnings(|| (0..MODULES).filter(there).for_each(|it| assert_eq!(run(number(it)), it as i32)));
            assert_eq!(warned, [""; 0]);
        }
        Some(_) => (0..MODULES).for_each(|it| {
            assert_eq!(run(number(it)), it as i32);
            // Gives every run a middle to be killed in, however fast the compiler is.
            std::thread::sleep(Duration::from_millis(1));
        }),
    }
}
