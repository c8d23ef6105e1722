//! Options and variables: what they take, and what is said of what they do not.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::{fixture, folder, run};

/// Values may begin with a dash.
#[test]
fn values_that_begin_with_a_dash() {
    let folder = folder();
    let (echo, reactor) = (fixture("echo.v1"), fixture("reactor.v1"));
    for text in ["-5", "--", "--wasi", "-", "-x y"] {
        let ran = run(folder.path(), &["call", &echo, "echo", "--input", text], "");
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, text, ""), "{text}");
    }
    let ran = run(folder.path(), &["call", &reactor, "environ", "--wasi", "--config", "-k=-v"], "");
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "-k=-v\n"), "{}", ran.stderr);
    for (option, value, said) in [
        ("--timeout", "-1", "not a number of milliseconds, 0 or more"),
        ("--timeout", "soon", "not a number of milliseconds, 0 or more"),
        ("--loop", "-1", "not in 1.."),
        ("--config", "--wasi", "not KEY=VALUE"),
        ("--allow-path", "-x", "not HOST:GUEST"),
        ("--log", "loud", "possible values: off, error, warn, info, debug, trace"),
    ] {
        let ran = run(folder.path(), &["call", &echo, "echo", option, value], "");
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{option} {value}: {}", ran.stderr);
        let names = format!("error: invalid value '{value}' for '{option} <");
        assert!(ran.stderr.starts_with(&names) && ran.stderr.contains(said), "{option} {value}: {}", ran.stderr);
        assert!(!ran.stderr.contains("tip:"), "{option} {value}: {}", ran.stderr);
    }
}

/// Log lines of plugins and of the library are shown from the level on that `--log` names.
#[test]
fn the_log() {
    let folder = folder();
    // `write` writes a line to standard output and one to standard error.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\04\00\00\00\18\00\00\00\04\00\00\00") (data (i32.const 16) "out\n") (data (i32.const 24) "err\n")
        (func (export "write")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
            (drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 32))))
        (func (export "trap") unreachable))"#;
    fs::write(folder.path().join("writes.wat"), wat).expect("writable");
    for (level, lines) in [
        (None, &["WARN"][..]),
        (Some("off"), &[]),
        (Some("error"), &[]),
        (Some("warn"), &["WARN"]),
        (Some("INFO"), &["INFO", "WARN"]),
        (Some("debug"), &["DEBUG", "INFO", "WARN", "DEBUG"]),
    ] {
        let option: Vec<_> = level.into_iter().flat_map(|level| ["--log", level]).collect();
        let ran = run(folder.path(), &[&["call", "writes.wat", "write", "--wasi"][..], &option].concat(), "");
        assert_eq!((ran.status, ran.stdout.as_str()), (0, ""), "{level:?}: {}", ran.stderr);
        let levels: Vec<_> = ran.stderr.lines().filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(levels, lines, "{level:?}: {}", ran.stderr);
        for (sign, text) in [("INFO", "out"), ("WARN", "err")] {
            let is_there = ran.stderr.lines().any(|line| line.contains(sign) && line.ends_with(text));
            assert_eq!(is_there, lines.contains(&sign), "{level:?}: {}", ran.stderr);
        }
    }
    // The tool itself says what has failed; at level debug the log is whole.
    for (level, count) in [("warn", 0), ("error", 0), ("debug", 1)] {
        let ran = run(folder.path(), &["--log", level, "call", "writes.wat", "trap", "--wasi"], "");
        let failed = ran.stderr.lines().filter(|line| line.starts_with("extism ERROR ")).count();
        assert_eq!((ran.status, failed), (1, count), "{level}: {}", ran.stderr);
    }
    let help = run(folder.path(), &["--help"], "").stdout;
    assert!(help.contains("--log <LEVEL>") && help.contains("EXTISM_ENABLE_WASI_OUTPUT"), "{help}");
}

/// A cache that is named has to be there; the default one is made when something is kept.
#[test]
fn caches_that_are_not_there() {
    let folder = folder();
    for command in ["list", "verify", "clear"] {
        let ran = run(folder.path(), &["cache", command, "--store", "typo"], "");
        let expected = "extism-wasmer: cache `typo`: there is no such directory\n";
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (3, "", expected), "{command}");
        let ran = run(folder.path(), &["cache", command], "");
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{command}");
        assert!(ran.stdout.ends_with("cache is not there: nothing is kept\n"), "{command}: {}", ran.stdout);
    }
    fs::write(folder.path().join("file"), "").expect("writable");
    let ran = run(folder.path(), &["cache", "list", "--store", "file"], "");
    assert!(ran.status == 3 && ran.stderr.contains("cache `file`: "), "{}", ran.stderr);
}

/// A variable that is wrong, or leaves no cache, ends the tool as whatever cannot be done does; an option that is wrong
/// is wrong usage.
#[test]
fn variables_that_are_wrong() {
    let folder = folder();
    let echo = fixture("echo.v1");
    let manifest = json!({"wasm": [{"path": echo}]}).to_string();
    fs::write(folder.path().join("plugin.json"), manifest).expect("writable");
    for (variable, value, commands) in [
        ("EXTISM_CACHE_DIR", "", &[&["compile", echo.as_str()][..], &["cache", "list"]][..]),
        (
            "EXTISM_TIMEOUT_MS",
            "soon",
            &[&["call", &echo, "echo"], &["compile", &echo], &["inspect", &echo], &["cache", "list"]],
        ),
        ("EXTISM_MAX_MODULE_BYTES", "-1", &[&["call", &echo, "echo"], &["inspect", &echo]]),
        ("EXTISM_COMPILER", "gcc", &[&["call", &echo, "echo"], &["compile", "plugin.json"]]),
    ] {
        for command in commands {
            let tool = Command::new(env!("CARGO_BIN_EXE_extism-wasmer"))
                .args(*command)
                .current_dir(folder.path())
                .env("EXTISM_CACHE_DIR", folder.path().join("cache"))
                .env_remove("EXTISM_COMPILER")
                .env(variable, value)
                .output()
                .expect("the tool can be run");
            let stderr = String::from_utf8_lossy(&tool.stderr);
            assert_eq!(tool.status.code(), Some(3), "{variable}: {command:?}: {stderr}");
            assert!(tool.stdout.is_empty() && stderr.contains(variable), "{variable}: {command:?}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{variable}: {command:?}: {stderr}");
        }
    }
}
