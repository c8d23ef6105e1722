//! Hostile files and plugins: their contents neither drive the terminal nor hold the tool up.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Ran, fixture, folder, run};

/// True if `text` has no characters that drive a terminal.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|character| character.is_control() && character != '\n' && character != '\t')
}

fn assert_plain(ran: &Ran, what: &str) {
    assert!(is_plain(&ran.stdout) && is_plain(&ran.stderr), "{what}: {:?} {:?}", ran.stdout, ran.stderr);
}

/// A file that cannot be a plugin gives one line of error, soon.
#[test]
fn files_that_are_none() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    assert!(Command::new("mkfifo").arg(at("fifo")).status().expect("coreutils").success());
    fs::create_dir(at("directory")).expect("writable");
    fs::write(at("nul"), vec![0; 10 << 20]).expect("writable");
    fs::write(at("long.toml"), "x".repeat(10 << 20)).expect("writable");
    fs::write(at("long.json"), format!("{{\"wasm\": {}", "x".repeat(10 << 20))).expect("writable");
    fs::write(at("bytes"), [0xff; 1000]).expect("writable");
    fs::write(at("escape"), "\u{1b}[2J\u{1b}]0;title\u{7}").expect("writable");
    let sparse = fs::File::create(at("sparse")).expect("writable");
    sparse.set_len(1 << 40).expect("a sparse file");
    let files =
        ["fifo", "directory", "nul", "long.toml", "long.json", "bytes", "escape", "sparse", "/dev/zero", "/dev/tty"];
    for file in files {
        for command in [&["call", file, "f"][..], &["compile", file], &["inspect", file]] {
            let start = Instant::now();
            let ran = run(folder.path(), command, "");
            // It takes a second on an idle machine.
            assert!(start.elapsed() < Duration::from_secs(10), "{command:?}: {:?}", start.elapsed());
            assert_eq!((ran.status, ran.stdout.as_str()), (3, ""), "{command:?}: {}", ran.stderr);
            assert_plain(&ran, file);
            let is_long = ran.stderr.len() > 2000 || (ran.stderr.lines().count() > 3 && command[0] != "compile");
            assert!(ran.stderr.starts_with("extism-wasmer: ") && !is_long, "{command:?}: {}", ran.stderr);
        }
    }
}

/// Control characters in names and errors are escaped; output is printed unchanged.
#[test]
fn names_and_errors() {
    let folder = folder();
    let name = "\\1b[2Jname\\0afaked";
    let wat = format!(
        r#"(module (import "\1b[31m" "\07" (func)) (memory (export "{name}") 1) (@custom "\1b]0;" "x")
        (func (export "f") (result i32) (i32.const 1)))"#
    );
    fs::write(folder.path().join("names.wat"), &wat).expect("writable");
    let ran = run(folder.path(), &["inspect", "names.wat"], "");
    assert_plain(&ran, "inspect");
    for line in [
        "  import      \\u{1b}[31m::\\u{7} () -> ()\n",
        "  export      \\u{1b}[2Jname\\nfaked memory\n",
        "  custom      \\u{1b}]0;, 1 B\n",
    ] {
        assert!(ran.stdout.contains(line), "{line}\n{}{}", ran.stdout, ran.stderr);
    }
    let ran = run(folder.path(), &["call", "names.wat", "f"], "");
    assert!(ran.status == 3 && ran.stderr.contains("\\u{1b}[31m"), "{}", ran.stderr);
    assert_plain(&ran, "call");

    let text = "\u{1b}[2Jcleared\nextism-wasmer: all is well";
    for guest in ["kitchen.v0", "kitchen.v1"] {
        let ran = run(folder.path(), &["call", &fixture(guest), "error", "--input", text], "");
        assert_plain(&ran, guest);
        let expected = "extism-wasmer: \\u{1b}[2Jcleared\n  extism-wasmer: all is well";
        assert!(ran.status == 1 && ran.stderr.starts_with(expected), "{guest}: {}", ran.stderr);
    }
    let ran = run(folder.path(), &["call", &fixture("echo.v0"), "echo", "--input", text], "");
    assert_eq!((ran.status, ran.stdout.as_str()), (0, text), "output is as it is");

    let odd = Path::new(OsStr::from_bytes(b"\x1b[2J\n.wat"));
    fs::write(folder.path().join(odd), "(module)").expect("writable");
    for command in ["inspect", "compile"] {
        let ran = run(folder.path(), &[command, odd.to_str().expect("UTF-8")], "");
        assert!(ran.status == 0 && ran.stdout.contains("\\u{1b}[2J\\n.wat"), "{}{}", ran.stdout, ran.stderr);
        assert_plain(&ran, command);
    }
}

/// A foreign file in the cache is reported as damaged.
#[test]
fn a_cache_with_something_endless_in_it() {
    let folder = folder();
    let downloads = folder.path().join("cache/downloads/modules");
    fs::create_dir_all(&downloads).expect("writable");
    let name = "0".repeat(64);
    fs::File::create(downloads.join(&name)).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    assert!(Command::new("mkfifo").arg(downloads.join("\u{1b}fifo")).status().expect("coreutils").success());
    let ran = run(folder.path(), &["cache", "verify"], "");
    assert_plain(&ran, "cache verify");
    assert!(ran.status == 1 && ran.stdout.starts_with("2 files, "), "{}{}", ran.stdout, ran.stderr);
    let expected = format!("downloads/modules/{name}: larger than 1073741824 bytes\n");
    assert!(ran.stderr.contains(&expected) && ran.stderr.contains("\\u{1b}fifo: "), "{}", ran.stderr);
    assert_plain(&run(folder.path(), &["cache", "list"], ""), "cache list");
}
