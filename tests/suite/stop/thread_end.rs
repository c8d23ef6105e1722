//! Calls from threads at their end: in `atexit`, and in destructors of thread-local objects.
#![expect(unsafe_code, reason = "the end of threads and processes is the system's")]

use std::ffi::{c_int, c_void};
use std::io::Read as _;
use std::process::Stdio;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ENDLESS, TIMEOUT, timed};
use crate::child;
use crate::host::{Context, Plugin, manifest};

unsafe extern "C" {
    /// Identifies this program, or the library that this code is in.
    static __dso_handle: u8;

    /// Registers `destructor` for the end of this thread, last registered first, as C++ does for `thread_local`.
    fn __cxa_thread_atexit_impl(
        destructor: extern "C" fn(*mut c_void),
        object: *mut c_void,
        library: *const u8,
    ) -> c_int;
}

const TRAPS: &str = r#"(module (memory 1) (func (export "outside") (drop (i32.load (i32.const -1)))))"#;

static CONTEXT: OnceLock<Context> = OnceLock::new();
static PLUGIN: OnceLock<Plugin<'static>> = OnceLock::new();
static DONE: AtomicUsize = AtomicUsize::new(0);

fn plugin() -> &'static Plugin<'static> {
    PLUGIN.get_or_init(|| CONTEXT.get_or_init(Context::new).plugin(timed(ENDLESS, 20)))
}

/// Uses the library in several ways, and returns what is wrong.
fn problem() -> Option<String> {
    let context = CONTEXT.get()?;
    let plugin = plugin();
    let results =
        [plugin.call("ends", ""), plugin.call("memory", ""), plugin.call("missing", ""), plugin.call("ends", "")];
    let results = results.map(|answer| (answer.code, answer.error.unwrap_or_default()));
    let missing = "Function not found: missing";
    let good = [(5, ""), (-1, TIMEOUT), (-1, missing), (5, "")].map(|(code, error)| (code, error.to_owned()));
    if results != good {
        return Some(format!("{results:?}"));
    }
    // Its code exists already.
    let sibling = context.plugin(timed(ENDLESS, 20));
    let sibling_ends = sibling.call_only("ends", b"");
    sibling.free();
    let refusal = context.create("(module (import", false).err().unwrap_or_default();
    let new = match context.create(manifest(TRAPS, ""), false) {
        Ok(new) => new.call("outside", "").error().to_owned(),
        Err(error) => error,
    };
    let is_good = new.contains("out of bounds") || new.contains("the process is ending");
    (sibling_ends != 5 || refusal.is_empty() || !is_good).then(|| format!("{sibling_ends} {refusal} {new}"))
}

fn last() {
    let said = problem().map_or_else(|| "well\n".to_owned(), |problem| format!("{problem}\n"));
    DONE.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the pointer and the length are those of a string.
    unsafe { libc::write(1, said.as_ptr().cast(), said.len()) };
}

extern "C" fn at_exit() {
    last();
}

extern "C" fn destructor(_: *mut c_void) {
    last();
}

fn destroyed_before_what_is_used_now() {
    let object = ptr::null_mut();
    // SAFETY: the function lives as long as the process.
    let result = unsafe { __cxa_thread_atexit_impl(destructor, object, &raw const __dso_handle) };
    assert_eq!(result, 0);
}

extern "C" fn thread(_: *mut c_void) -> *mut c_void {
    let mut key = 0;
    // SAFETY: writes to `key`.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(destructor_of_key)) }, 0);
    // SAFETY: only keeps the value.
    assert_eq!(unsafe { libc::pthread_setspecific(key, ptr::dangling()) }, 0);
    destroyed_before_what_is_used_now();
    assert_eq!(plugin().output(), b"");
    destroyed_before_what_is_used_now();
    let made_here = CONTEXT.get().expect("there is one").plugin(manifest(ENDLESS, ""));
    destroyed_before_what_is_used_now();
    assert_eq!(made_here.call_only("ends", b""), 5);
    destroyed_before_what_is_used_now();
    ptr::null_mut()
}

unsafe extern "C" fn destructor_of_key(_: *mut c_void) {
    last();
}

/// In a thread whose thread-local values are destroyed one by one, with a call after each.
fn in_a_thread() {
    let mut thread_id = 0;
    // SAFETY: writes to `thread_id`; the function is of the right type.
    assert_eq!(unsafe { libc::pthread_create(&raw mut thread_id, ptr::null(), thread, ptr::null_mut()) }, 0);
    // SAFETY: the thread was made, and nobody else joins it.
    assert_eq!(unsafe { libc::pthread_join(thread_id, ptr::null_mut()) }, 0);
    assert_eq!(DONE.load(Ordering::SeqCst), 5);
}

#[test]
fn calls_go_on_working() {
    const TEST: &str = "stop::thread_end::calls_go_on_working";
    let Some(case) = child::case() else {
        for (case, times) in [("a thread", 5), ("registered before", 1), ("registered after", 1)] {
            let mut command = child::command(TEST, case);
            // Plugins share their code here.
            command.env_remove("EXTISM_CACHE_MEMORY_BYTES");
            let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be run");
            let (mut said, mut complained) = (String::new(), String::new());
            running.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
            running.stderr.take().expect("a pipe").read_to_string(&mut complained).expect("text");
            let status = running.wait().expect("it ends");
            assert!(status.success(), "{case}: {status:?}: {said}{complained}");
            assert_eq!((said.matches("well\n").count(), complained.as_str()), (times, ""), "{case}: {said}");
        }
        return;
    };
    // SAFETY: the function lives as long as the process.
    let register = || assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    if case == "registered before" {
        register();
    }
    assert_eq!(plugin().call("memory", "").error(), TIMEOUT);
    assert_eq!(plugin().call_only("ends", b""), 5);
    match case.as_str() {
        "a thread" => in_a_thread(),
        "registered after" => register(),
        _ => {}
    }
    // SAFETY: destroys this thread's values and then calls what is registered, as a main thread does at its end.
    unsafe { libc::exit(0) };
}
