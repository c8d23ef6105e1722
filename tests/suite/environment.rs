//! The library reads the environment once, when it is first used: later, another thread may be changing it. Each test
//! has a process of its own.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "the environment, and how the C library keeps it, are the process's")]

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use extism::ffi;

use crate::child;
use crate::host::{Compiler, Context, choose_compiler, fixture, manifest};
use crate::log;

/// A module with a function that answers `number`, one that traps, and one that never ends.
fn module(number: u32) -> String {
    format!(
        r#"(module (memory 1) (func (export "number") (result i32) (i32.const {number}))
        (func (export "trap") unreachable) (func (export "forever") (loop (br 0))))"#
    )
}

fn set(name: &str, value: &str) {
    let (name, value) = (CString::new(name).expect("no NUL"), CString::new(value).expect("no NUL"));
    // SAFETY: both are C strings. Another thread's read at the same time is the fault that the tests look for.
    assert_eq!(unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) }, 0);
}

/// Another thread adds variables while plugins are made, so the C library keeps reallocating the environment.
#[test]
fn another_thread_may_set_variables() {
    child::alone("environment::another_thread_may_set_variables", || {
        let (context, ended) = (Context::new(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0.. {
                    set(&format!("EXTISM_TEST_{number}"), "value");
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            let start = Instant::now();
            let mut made = 0;
            while start.elapsed() < Duration::from_millis(800) || made < 100 {
                let plugin = context.plugin(manifest(module(made % 8), r#""timeout_ms": 60000"#));
                assert_eq!(plugin.call_only("number", b""), (made % 8) as i32);
                plugin.free();
                made += 1;
            }
            ended.store(true, Ordering::Relaxed);
        });
    });
}

unsafe extern "C" {
    /// The C library's pointer to the variables.
    static mut environ: *const *const c_char;
}

/// Runs `body` with an environment that nobody can read: an attempt ends the process.
fn without_environment(body: impl FnOnce()) {
    let (protection, flags) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: maps a new page, at an address that the system chooses.
    let page = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    // The standard panic hook reads RUST_BACKTRACE.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    // SAFETY: no other thread reads the environment: this is a process with one test.
    let _restored = Environ(unsafe { environ });
    // SAFETY: as above; a thread that reads it nevertheless is the fault that the test looks for.
    unsafe { environ = page.cast_const().cast() };
    body();
}

/// Restores the pointer to the environment when dropped.
struct Environ(*const *const c_char);

impl Drop for Environ {
    fn drop(&mut self) {
        // SAFETY: the pointer is the one that the C library had set; no other thread reads it, as above.
        unsafe { environ = self.0 };
    }
}

/// After the first use, neither the library nor the crates below it read the environment, whatever is done.
#[test]
fn nothing_is_read_after_the_first_use() {
    const TEST: &str = "environment::nothing_is_read_after_the_first_use";
    if child::case().is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let variables = [("EXTISM_TEST_FOLDER", folder.path().as_os_str()), ("NO_PROXY", "*".as_ref())];
        drop(child::run(TEST, "", &variables));
        assert!(folder.path().join("log").exists());
        return;
    }
    let context = Context::new();
    #[cfg(feature = "http")]
    let server = crate::server::Server::start(|seen| match seen.path() {
        "/module" => crate::server::answer("200 OK", &[], module(100)),
        _ => crate::server::answer("200 OK", &[], "answer"),
    });
    without_environment(|| {
        assert!(log::set(Some("$ENV{EXTISM_TEST_FOLDER}/log"), Some("debug")));
        for compiler in Compiler::ALL.into_iter().filter(Compiler::is_built_in) {
            assert!(choose_compiler(Some(compiler.name())));
            let plugin = context.plugin(module(7));
            assert_eq!(plugin.call_only("number", b""), 7);
        }
        assert!(choose_compiler(None));
        let plugin = context.plugin(manifest(module(8), r#""timeout_ms": 20"#));
        assert_eq!(plugin.call_only("number", b""), 8);
        assert!(plugin.call("trap", "").error().contains("unreachable"));
        assert!(plugin.call("forever", "").error().contains("timeout"));
        assert!(plugin.configure(r#"{"key": "value"}"#) && plugin.update(module(9), false));
        assert!(context.refusal(r#"{"wasm": [{"path": "/not/there.wasm"}]}"#).contains("No such file"));
        assert!(!context.refusal("(module (fun))").is_empty());
        #[cfg(feature = "wasi")]
        {
            let plugin = context.create(fixture("reactor.v1"), true).expect("made");
            plugin.answer("print", "line\n");
        }
        #[cfg(feature = "http")]
        {
            let by_url = format!(r#"{{"wasm": [{{"url": "{}"}}]}}"#, server.url("/module"));
            assert_eq!(context.plugin(by_url).call_only("number", b""), 100);
            let asks = context.plugin(manifest(fixture("kitchen.v1"), r#""allowed_hosts": ["*"]"#));
            assert_eq!(asks.answer("http", format!(r#"{{"url": "{}"}}"#, server.url("/"))), "answer");
        }
        Context::new().plugin(module(7)).free();
    });
}

/// Each function that needs no context may be the first. A variable that is set after it has no effect.
#[test]
fn what_is_set_after_the_first_use_has_no_effect() {
    const TEST: &str = "environment::what_is_set_after_the_first_use_has_no_effect";
    let first: [(&str, fn()); 5] = [
        ("extism_context_new", || drop(Context::new())),
        ("extism_log_file", || assert!(log::set(None, Some("off")))),
        ("extism_compiler_set", || assert!(choose_compiler(None))),
        ("extism_compiler", || assert!(!ffi::extism_compiler().is_null())),
        ("extism_compiler_available", || {
            let _ = Compiler::Cranelift.is_built_in();
        }),
    ];
    let later =
        |name: &str| ["EXTISM_COMPILER", "EXTISM_TIMEOUT_MS", "EXTISM_MAX_MODULE_BYTES"].map(|it| set(it, name));
    let made = || Context::new().create(module(1), false).map(|plugin| plugin.call_only("number", b""));
    match child::case() {
        None => {
            first.iter().map(|(name, _)| *name).chain(["nothing"]).for_each(|name| drop(child::run(TEST, name, &[])))
        }
        Some(case) => match first.iter().find(|(name, _)| *name == case) {
            Some((_, use_it)) => {
                use_it();
                later("x");
                assert_eq!(made(), Ok(1));
            }
            // The version is a constant.
            None => {
                assert!(!ffi::extism_version().is_null());
                later("x");
                assert_eq!(made(), Err("EXTISM_TIMEOUT_MS: `x` is no number of milliseconds".to_owned()));
            }
        },
    }
}

/// A value that cannot be used is an error that names its variable, even where the value would not be needed.
#[test]
fn wrong_values_are_named() {
    const TEST: &str = "environment::wrong_values_are_named";
    if child::case().is_some() {
        let expected = std::env::var("EXPECTED").expect("the parent sets it");
        return assert_eq!(Context::new().refusal(manifest(module(1), r#""timeout_ms": 60000"#)), expected);
    }
    for name in ["EXTISM_CACHE_MAX_BYTES", "EXTISM_CACHE_MEMORY_BYTES", "EXTISM_MAX_MODULE_BYTES", "EXTISM_TIMEOUT_MS"]
    {
        let wrong = if name.ends_with("MS") { "is no number of milliseconds" } else { "is not a number of bytes" };
        let expected = format!("{name}: `1 GB` {wrong}");
        child::run(TEST, name, &[(name, "1 GB".as_ref()), ("EXPECTED", expected.as_ref())]);
    }
}

/// Variables of the standard library and of rayon, with which compiling would run out of stack, or make threads without
/// end. They are set in the child before its first use: the test runner needs a stack, too.
#[cfg(feature = "compiler")]
#[test]
fn threads_that_compile_have_stacks_and_a_number() {
    const TEST: &str = "environment::threads_that_compile_have_stacks_and_a_number";
    const CASES: [(&str, &str, bool); 9] = [
        ("RUST_MIN_STACK", "0", false),
        ("RUST_MIN_STACK", "1", false),
        ("RUST_MIN_STACK", "2097151", false),
        ("RUST_MIN_STACK", "2097152", true),
        ("RUST_MIN_STACK", "8388608", true),
        ("RUST_MIN_STACK", "many", true),
        ("RAYON_NUM_THREADS", "0", true),
        ("RAYON_NUM_THREADS", "1", true),
        ("RAYON_NUM_THREADS", "100000", true),
    ];
    let Some(case) = child::case() else {
        let nowhere = [("EXTISM_CACHE_DIR", "".as_ref())];
        return (0..CASES.len()).for_each(|case| drop(child::run(TEST, &case.to_string(), &nowhere)));
    };
    let (name, value, works) = CASES[case.parse::<usize>().expect("a number")];
    set(name, value);
    let context = Context::new();
    match context.create(module(1), false) {
        Ok(plugin) => assert!(works && plugin.call_only("number", b"") == 1, "{name}={value}"),
        Err(error) => assert!(!works && error.contains(&format!("{name}: `{value}` is less than 2097152")), "{error}"),
    }
    let tasks = std::fs::read_dir("/proc/self/task").expect("on Linux").count();
    let processors = thread::available_parallelism().expect("at least one").get();
    assert!(tasks <= processors + 4, "{tasks} threads on {processors} processors");
}

/// A program in Rust can give the library values without changing its environment: once, before the first use.
#[cfg(feature = "compiler")]
#[test]
fn values_are_set_explicitly_before_the_first_use() {
    child::alone("environment::values_are_set_explicitly_before_the_first_use", || {
        let set = |value| extism_core::first_use::set_environment([("EXTISM_MAX_MODULE_BYTES", value)]);
        assert!(set("10"));
        let error = Context::new().refusal(module(1));
        assert_eq!(error, "module `main` is larger than the limit of 10 bytes (EXTISM_MAX_MODULE_BYTES)");
        assert!(!set("100000"));
        assert_eq!(Context::new().refusal(module(1)), error);
    });
}
