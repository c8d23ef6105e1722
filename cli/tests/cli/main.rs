//! The tool as users run it.

mod hostile;
mod inputs;
mod options;
#[cfg(unix)]
mod readers;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs the tool in `folder`, with its cache there.
fn run(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_extism-wasmer"))
        .args(arguments)
        .current_dir(folder)
        .env("EXTISM_CACHE_DIR", folder.join("cache"))
        .env_remove("EXTISM_COMPILER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool can be run");
    // A tool that does not read its input may have ended.
    let _ = tool.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = tool.wait_with_output().expect("the tool ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { status: output.status.code().expect("no signal"), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fixtures/wasm/{name}.wasm"));
    path.canonicalize().expect("it is committed").to_str().expect("UTF-8").to_owned()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Whatever is printed: if it cannot be written, that is an error.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_noticed() {
    let folder = folder();
    for arguments in [&["--help"][..], &["help", "call"], &["cache", "list", "--help"], &["--version"]] {
        let full = fs::File::create("/dev/full").expect("Linux has it");
        let mut tool = Command::new(env!("CARGO_BIN_EXE_extism-wasmer"));
        let output = tool.args(arguments).current_dir(folder.path()).stdout(full).output().expect("it can be run");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {error}");
        assert!(error.starts_with("extism-wasmer: standard output: "), "{arguments:?}: {error}");
    }
}

#[test]
fn help_and_usage() {
    let folder = folder();
    for arguments in [&["--help"][..], &["help", "call"], &["compile", "--help"], &["cache", "list", "--help"]] {
        let ran = run(folder.path(), arguments, "");
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(ran.stdout.contains("Usage: extism-wasmer"), "{}", ran.stdout);
    }
    for arguments in [&[][..], &["clal"], &["call"], &["call", "x.wasm"], &["compile"], &["cache"], &["compile", "-x"]]
    {
        assert_eq!(run(folder.path(), arguments, "").status, 2, "{arguments:?}");
    }
    assert!(run(folder.path(), &["clal"], "").stderr.contains("'call'"), "a typo is guessed");
    assert!(run(folder.path(), &["--version"], "").stdout.contains("compilers: cranelift"));
}

#[test]
fn calls() {
    let folder = folder();
    let vowels = fixture("count_vowels.v1");
    let ran = run(folder.path(), &["call", &vowels, "count_vowels", "--input", "this is a test"], "");
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "{\"count\": 4}", ""));
    let ran = run(folder.path(), &["call", &fixture("echo.v0"), "echo", "--stdin"], "from the pipe");
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "from the pipe"));
    let ran = run(folder.path(), &["call", &vowels, "count_vowels", "--loop", "5"], "");
    assert!(ran.stdout == "{\"count\": 0}" && ran.stderr.starts_with("5 calls: median "), "{}", ran.stderr);
    let ran = run(folder.path(), &["call", &vowels, "count_bowels"], "");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, "extism-wasmer: Function not found: count_bowels\n"));
    let ran = run(folder.path(), &["call", "missing.wasm", "f"], "");
    assert_eq!(ran.status, 3);
    assert!(ran.stderr.starts_with("extism-wasmer: `missing.wasm`: No such file"), "{}", ran.stderr);
}

#[test]
fn options_add_to_the_manifest() {
    let folder = folder();
    let reactor = fixture("reactor.v1");
    let config = ["call", &reactor, "environ", "--wasi", "--config", "A=1", "--config", "B=x=y"];
    assert_eq!(run(folder.path(), &config, "").stdout, "A=1\nB=x=y\n");
    fs::write(folder.path().join("file"), "contents").expect("writable");
    let path = format!("ro:{}:/data", folder.path().display());
    let read = ["call", &reactor, "read_file", "--wasi", "--allow-path", &path, "--input", "/data/file"];
    assert_eq!(run(folder.path(), &read, "").stdout, "contents");
    let manifest = json!({"wasm": [{"path": reactor}], "config": {"A": "manifest", "C": "3"}}).to_string();
    let toml = format!("config = {{ A = \"manifest\", C = \"3\" }}\n[[wasm]]\npath = {reactor:?}\n");
    for (name, text) in [("manifest.json", manifest), ("manifest.toml", toml)] {
        fs::write(folder.path().join(name), text).expect("writable");
        let config = ["call", name, "environ", "--wasi", "--config", "A=option"];
        assert_eq!(run(folder.path(), &config, "").stdout, "A=option\nC=3\n", "{name}");
    }
    for wrong in [["--config", "A"], ["--config", "=A"], ["--allow-path", "/data"], ["--loop", "0"], ["--timeout", "x"]]
    {
        let ran = run(folder.path(), &["call", &reactor, "environ", wrong[0], wrong[1]], "");
        assert!(ran.status == 2 && ran.stderr.contains(wrong[1]), "{wrong:?}: {}", ran.stderr);
    }
}

#[test]
fn a_cache_is_filled_checked_and_emptied() {
    let folder = folder();
    let (one, two) = (fixture("echo.v0"), fixture("echo.v1"));
    let ran = run(folder.path(), &["compile", &one, &two], "");
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(lines.len() == 3 && lines[0].contains("  cranelift  "), "{}", ran.stdout);
    assert!(!ran.stdout.contains("was there"));
    assert!(run(folder.path(), &["compile", &one], "").stdout.contains("was there"));
    assert!(!run(folder.path(), &["compile", "--cpu", "native", &one], "").stdout.contains("was there"));
    let list = run(folder.path(), &["cache", "list"], "").stdout;
    assert!(list.lines().count() == 4 && list.contains("3 files, "), "{list}");
    assert_eq!(run(folder.path(), &["cache", "verify"], "").status, 0);
    assert!(!folder.path().join("cache/downloads").exists(), "looking at it leaves it as it is");
    // A call, with a manifest too, uses the portable code.
    let cache = folder.path().join("cache");
    let file = list.lines().find(|line| !line.contains("avx")).and_then(|line| line.rsplit(' ').next());
    let file = cache.join(file.expect("a file"));
    let mut damaged = fs::read(&file).expect("readable");
    damaged[500] ^= 1;
    fs::write(&file, damaged).expect("writable");
    let ran = run(folder.path(), &["cache", "verify"], "");
    assert!(ran.status == 1 && ran.stderr.contains(": damaged"), "{}", ran.stderr);
    assert!(run(folder.path(), &["cache", "clear"], "").stdout.starts_with("removed 3 files"));
    assert!(run(folder.path(), &["cache", "list"], "").stdout.starts_with("0 files"));
    assert_eq!(fs::read_dir(cache.join("by-blake3")).expect("there").count(), 0);
    // Downloads are listed like other files; each is named by its hash.
    let downloads = cache.join("downloads/modules");
    fs::create_dir_all(&downloads).expect("writable");
    fs::write(downloads.join("0".repeat(64)), "not that").expect("writable");
    assert!(run(folder.path(), &["cache", "list"], "").stdout.contains("  downloads/modules/000"));
    let ran = run(folder.path(), &["cache", "verify"], "");
    assert!(ran.status == 1 && ran.stderr.contains("downloads/modules/000"), "{}", ran.stderr);
    assert!(run(folder.path(), &["cache", "clear"], "").stdout.starts_with("removed 1 files"));
}

#[test]
fn compiling_for_other_machines() {
    let folder = folder();
    let echo = fixture("echo.v0");
    let arm = run(folder.path(), &["compile", "--target", "aarch64-unknown-linux-gnu", &echo], "");
    assert!(arm.status == 0 && arm.stdout.contains("for aarch64-linux (neon)"), "{}{}", arm.stdout, arm.stderr);
    for (option, value) in [
        ("--target", "pdp11"),
        ("--target", "riscv32-unknown-linux-gnu"),
        ("--target", "wasm32-unknown-unknown"),
        ("--cpu", "x86-64-v9"),
        ("--compiler", "gcc"),
    ] {
        let ran = run(folder.path(), &["compile", option, value, &echo], "");
        assert!(ran.status == 2 && ran.stderr.contains(&format!("`{value}`")), "{option} {value}: {}", ran.stderr);
    }
    // An error in one module does not stop the others.
    let ran = run(folder.path(), &["compile", "missing.wasm", &echo], "");
    assert!(ran.status == 3 && ran.stdout.contains("echo.v0.wasm"), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("extism-wasmer: `missing.wasm`: No such file"), "{}", ran.stderr);
}

/// Code for processes with a limit on address space is made in addition to the usual code.
#[test]
fn compiling_for_little_address_space() {
    let folder = folder();
    let echo = fixture("echo.v0");
    let compile = |option: &str| {
        let ran = run(folder.path(), &["compile", &echo, option], "");
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{option}");
        ran.stdout.lines().filter(|line| line.contains("echo.v0")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(compile("--fuel").len(), 1);
    let lines = compile("--moving-memories");
    let moves = [0, 1].map(|line: usize| lines[line].contains(", moving memories  "));
    assert_eq!((lines.len(), moves), (2, [false, true]), "{lines:?}");
    assert!(compile("--moving-memories").iter().all(|line| line.ends_with("was there")), "both are kept");
}

#[test]
fn a_compiler_that_is_not_built_in() {
    let folder = folder();
    let version = run(folder.path(), &["--version"], "").stdout;
    let (_, built_in) = version.trim_end().trim_end_matches(')').split_once("compilers: ").expect("they are listed");
    for compiler in ["cranelift", "llvm", "singlepass"] {
        let manifest = json!({"wasm": [{"path": fixture("echo.v1")}], "compiler": compiler});
        fs::write(folder.path().join("plugin.json"), manifest.to_string()).expect("writable");
        let ran = run(folder.path(), &["call", "plugin.json", "echo", "--input", "x"], "");
        let expected = if built_in.split(", ").any(|name| name == compiler) {
            (0, "x", String::new())
        } else {
            (
                3,
                "",
                format!(
                    "extism-wasmer: `plugin.json`: the manifest's compiler: `{compiler}` cannot be used; built in: {built_in}\n"
                ),
            )
        };
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr), expected);
    }
}

#[test]
fn a_manifest_is_compiled_as_it_is_linked() {
    let folder = folder();
    let module = |wat: &str| json!(wat);
    fs::write(folder.path().join("lib.wat"), "(module (func (export \"f\") (result i32) (i32.const 7)))")
        .expect("ours");
    fs::write(
        folder.path().join("main.wat"),
        "(module (import \"lib\" \"f\" (func $f (result i32))) (export \"f\" (func $f)))",
    )
    .expect("ours");
    let manifest = json!({"wasm": [{"path": module("lib.wat")}, {"path": "main.wat"}]}).to_string();
    fs::write(folder.path().join("manifest.json"), manifest).expect("writable");
    let ran = run(folder.path(), &["compile", "manifest.json"], "");
    assert!(ran.stdout.contains("manifest.json (lib)") && ran.stdout.lines().count() == 3, "{}", ran.stdout);
    let ran = run(folder.path(), &["call", "manifest.json", "f"], "");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, "extism-wasmer: `f` returned 7\n"));
}

#[test]
fn inspecting() {
    let folder = folder();
    let ran = run(folder.path(), &["inspect", &fixture("kitchen.v1"), &fixture("command.v0")], "");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    for line in [
        "  guest ABI   Extism 1.x\n",
        "  guest ABI   Extism 0.x, WASI\n",
        "  import      extism:host/env::alloc (i64) -> (i64)\n",
        "  export      _start () -> ()\n",
        "  cranelift   yes, ",
    ] {
        assert!(ran.stdout.contains(line), "{line}\n{}", ran.stdout);
    }
    fs::write(folder.path().join("tail.wat"), "(module (func $f (return_call $f)))").expect("writable");
    let ran = run(folder.path(), &["inspect", "tail.wat"], "");
    assert_eq!(ran.status, 1, "no compiler can compile it: {}", ran.stdout);
    assert!(ran.stdout.contains("  cranelift   no: "), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("tail.wat").count(), 1, "the file is named once: {}", ran.stdout);
    fs::write(folder.path().join("bad.wat"), "(module (fun))").expect("writable");
    let ran = run(folder.path(), &["inspect", "bad.wat"], "");
    assert!(ran.status == 3 && ran.stderr.contains("`bad.wat`: "), "{}", ran.stderr);
}
