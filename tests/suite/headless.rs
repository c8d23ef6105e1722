//! A library without compilers. Its tests, these and all others, run on a cache that a library with compilers has
//! filled; environment variables name the cache and the compiler.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::child;
use crate::host::{Compiler, Context, choose_compiler, fixture, root, sha256};
use crate::log::LogFile;

const DIR: &str = "EXTISM_CACHE_DIR";

const INPUT: &str = "this is a test";

/// A manifest with the hash of echo, and the path of a file that does not exist.
fn by_hash() -> String {
    let hash = sha256(fixture("echo.v0"));
    json!({"wasm": [{"path": "/not/there/echo.wasm", "hash": hash}]}).to_string()
}

#[test]
fn a_hash_is_enough() {
    let context = Context::new();
    assert_eq!(context.plugin(by_hash()).answer("echo", INPUT), INPUT);
    // Without a hash, the file must exist.
    let error = context.refusal(r#"{"wasm": [{"path": "/not/there/echo.wasm"}]}"#);
    assert!(error.starts_with("`/not/there/echo.wasm`: No such file"), "{error}");
    let path = root().join("fixtures/wasm/echo.v0.wasm");
    let plugin = context.plugin(json!({"wasm": [{"path": path}]}).to_string());
    assert_eq!(plugin.answer("echo", INPUT), INPUT);
    let error = context.refusal(r#"{"wasm": [{"path": "x.wasm", "hash": "../../etc/passwd"}]}"#);
    assert!(error.contains("is not the 64 hex digits of a SHA-256"), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    child::alone("headless::what_is_missing_is_named", || {
        let module = "(module (func (export \"nobody has compiled this\")))";
        let cache = std::env::var(DIR).expect("the tests run on a cache");
        let machine = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let machine_triple = format!("{}-unknown-{}-gnu", std::env::consts::ARCH, std::env::consts::OS);
        for compiler in Compiler::ALL {
            assert!(choose_compiler(Some(compiler.name())));
            let name = compiler.name();
            let error = Context::new().refusal(module);
            let expected = format!(
                "module `main`: no compiler is built in, and its code is not in `{cache}`\n\
                 wanted: code of {name} for {machine}, of the module with SHA-256 {}\n\
                 made by: extism-wasmer compile --compiler {name} --target {machine_triple} --store DIRECTORY MODULE",
                sha256(module.as_bytes())
            );
            assert_eq!(error, expected);
        }
    });
}

#[test]
fn nobody_has_chosen() {
    const TEST: &str = "headless::nobody_has_chosen";
    if child::case().is_some() {
        assert_eq!(Compiler::in_use(), "headless");
        assert!(!Compiler::ALL.iter().any(|compiler| compiler.is_built_in()));
        let error = Context::new().refusal("(module)  ");
        assert!(error.contains("wanted: code of any compiler for "), "{error}");
        assert!(
            error.contains("extism-wasmer compile --target ") && error.ends_with(" --store DIRECTORY MODULE"),
            "{error}"
        );
        // Code of any compiler is used.
        return assert_eq!(Context::new().plugin(by_hash()).answer("echo", INPUT), INPUT);
    }
    child::run(TEST, "", &[("EXTISM_COMPILER", "".as_ref())]);
}

#[test]
fn without_a_cache() {
    const TEST: &str = "headless::without_a_cache";
    match child::case().as_deref() {
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            child::run(TEST, "off", &[(DIR, "".as_ref())]);
            child::run(TEST, "missing", &[(DIR, folder.path().join("missing").as_ref())]);
            assert!(!folder.path().join("missing").exists(), "none is made");
        }
        Some(case) => {
            let log = LogFile::new("warn");
            let error = Context::new().refusal(by_hash());
            let expected = match case {
                "missing" => "/missing` cannot be used: No such file or directory",
                _ => "is not in a cache, for there is none (EXTISM_CACHE_DIR)",
            };
            assert!(error.contains(expected), "{error}");
            assert!(error.contains(&sha256(fixture("echo.v0"))), "{error}");
            assert_eq!(warnings(&log).len(), usize::from(case == "missing"), "{:?}", log.messages());
        }
    }
}

/// The lines of the log, without those that report a plugin that could not be made.
fn warnings(log: &LogFile) -> Vec<String> {
    log.messages().into_iter().filter(|line| !line.starts_with("ERROR ")).collect()
}

/// Processes with little address space need other code.
#[cfg(target_os = "linux")]
#[test]
fn code_for_little_address_space_that_is_missing_is_named() {
    child::alone("headless::code_for_little_address_space_that_is_missing_is_named", || {
        use crate::faults::{limit, taken};
        limit(libc::RLIMIT_AS, taken("VmSize:") + (400 << 20));
        let error = Context::new().refusal(by_hash());
        for part in ["Cannot allocate memory", "RLIMIT_AS", "its code is not in ", " --moving-memories --target "] {
            assert!(error.contains(part), "{error}");
        }
    });
}

/// A cache directory that exists and is not used: the error says why, as workers often run without a log.
#[test]
fn a_refused_cache_is_named() {
    const TEST: &str = "headless::a_refused_cache_is_named";
    if let Some(expected) = child::case() {
        let error = Context::new().refusal(by_hash());
        let first = error.lines().next().expect("a line");
        return assert!(first.ends_with(&expected), "{first}");
    }
    let run = |path: &Path, expected: &str| child::run(TEST, expected, &[(DIR, path.as_os_str())]);
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    let folder = tempfile::tempdir().expect("a folder");
    let (cache, modules) = (folder.path(), folder.path().join("modules"));
    fs::create_dir(&modules).expect("writable");
    let place = cache.display();
    set_mode(&modules, 0o775);
    let expected = format!(
        "its code is not in `{place}`: `{place}/modules/{}`: others can write to the directory (mode 775)",
        sha256(fixture("echo.v0"))
    );
    run(cache, &expected);
    set_mode(&modules, 0o755);
    run(cache, &format!("its code is not in `{place}`"));
    set_mode(cache, 0o775);
    run(cache, &format!("is not in a cache: `{place}` cannot be used: others can write to the directory (mode 775)"));
    set_mode(cache, 0o755);
    // Only root can give the directory away.
    if std::os::unix::fs::chown(cache, Some(12345), None).is_ok() {
        let expected = "belongs to user 12345 (mode 755); only what is this user's or root's is trusted";
        run(cache, &format!("is not in a cache: `{place}` cannot be used: the directory {expected}"));
    }
}

/// Code with a flipped bit, or of another compiler under this one's name, is an error and never runs.
#[test]
fn damaged_code_is_not_run() {
    const TEST: &str = "headless::damaged_code_is_not_run";
    if child::case().is_some() {
        let log = LogFile::new("warn");
        let error = Context::new().refusal(by_hash());
        assert!(error.contains("its code is not in "), "{error}");
        let warnings = warnings(&log);
        assert!(warnings.iter().all(|line| line.ends_with("damaged, not used")) && warnings.len() == 1, "{warnings:?}");
        return;
    }
    let hash = sha256(fixture("echo.v0"));
    let from = PathBuf::from(std::env::var_os(DIR).expect("the tests run on a cache")).join("modules").join(&hash);
    let compiler = Compiler::in_use();
    let found = fs::read_dir(from).expect("there").map(|entry| entry.expect("readable").path());
    let file = found
        .into_iter()
        .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(compiler)));
    let file = file.expect("code of this compiler");
    let sealed = fs::read(&file).expect("readable");
    for place in [0, 7, 8, 20, 100, 600, sealed.len() / 2, sealed.len() - 33, sealed.len() - 1] {
        let folder = tempfile::tempdir().expect("a folder");
        let module = folder.path().join("modules").join(&hash);
        fs::create_dir_all(&module).expect("writable");
        let mut damaged = sealed.clone();
        damaged[place] ^= 4;
        fs::write(module.join(file.file_name().expect("a name")), damaged).expect("writable");
        child::run(TEST, "", &[(DIR, folder.path().as_ref())]);
    }
}
