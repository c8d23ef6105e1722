//! Threads and processes as hosts have them: small stacks, blocked signals, early ends, forks.

use std::thread;
use std::time::{Duration, Instant};

use super::{CANCELLED, ENDLESS, TIMEOUT, timed};
use crate::host::{Context, Plugin, manifest};

/// A thread of the host with all signals blocked and a small stack.
#[test]
fn threads_of_the_host_may_be_as_they_are() {
    let context = Context::new();
    let plugin = context.plugin(timed(ENDLESS, 20));
    thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(128 << 10);
        let running = small.spawn_scoped(scope, || {
            block_signals();
            assert!(
                context.plugin("(module (func (export \"f\") unreachable))").call("f", "").error().contains("unreach")
            );
            (plugin.call("memory", "").error().to_owned(), plugin.call_only("ends", b""))
        });
        assert_eq!(running.expect("a thread").join().expect("no panic"), (TIMEOUT.to_owned(), 5));
    });
}

#[expect(unsafe_code, reason = "the system's")]
pub(super) fn block_signals() {
    let mut all = std::mem::MaybeUninit::zeroed();
    // SAFETY: initialises the set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the set is initialised above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
}

/// A signal may come late, when its thread is ending and Wasmer has unmapped what it gave the thread.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "threads that Rust has nothing to do with")]
#[test]
fn threads_may_end_right_afterwards() {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;
    use std::ptr;

    const TIME: Duration = Duration::from_secs(2);
    extern "C" fn call(plugin: *mut c_void) -> *mut c_void {
        // SAFETY: the thread's maker keeps the plugin, and waits for the thread's end.
        let plugin = unsafe { &*plugin.cast::<Plugin<'_>>() };
        let error = plugin.call("arithmetic", "").error().to_owned();
        ptr::without_provenance_mut(usize::from(error == CANCELLED || error.contains("timeout")))
    }
    /// Calls the plugin in a thread of its own.
    fn is_stopped(plugin: &Plugin<'_>) -> bool {
        let (mut thread, mut result) = (MaybeUninit::uninit(), ptr::null_mut());
        let plugin = ptr::from_ref(plugin).cast_mut().cast();
        // SAFETY: writes to `thread`; the function is of the right type.
        assert_eq!(unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), call, plugin) }, 0);
        // SAFETY: `pthread_create` has succeeded and written it.
        let thread = unsafe { thread.assume_init() };
        // SAFETY: nobody else joins the thread.
        assert_eq!(unsafe { libc::pthread_join(thread, &raw mut result) }, 0);
        !result.is_null()
    }
    crate::child::alone("stop::threads::threads_may_end_right_afterwards", || {
        let context = Context::new();
        let plugins: Vec<_> = (0..16)
            .map(|number| context.plugin(if number % 2 == 0 { timed(ENDLESS, 2) } else { manifest(ENDLESS, "") }))
            .collect();
        let start = Instant::now();
        thread::scope(|scope| {
            for plugin in &plugins {
                scope.spawn(move || {
                    while start.elapsed() < TIME {
                        assert!(is_stopped(plugin));
                    }
                });
            }
            let handles: Vec<_> = plugins.iter().map(Plugin::cancel_handle).collect();
            while start.elapsed() < TIME + Duration::from_millis(200) {
                for handle in handles.iter().skip(1).step_by(2) {
                    handle.cancel();
                }
            }
        });
    });
}

/// A module that no other process has compiled, with functions of many types: compilers share types between threads.
fn unseen() -> String {
    let id = std::process::id();
    let functions: String = (0..20).map(|count| format!("(func (param {}))", "i32 ".repeat(count))).collect();
    format!(
        r#"(module (func (export "f") (result i32) (i32.const 7)) (func (result i32) (i32.const {id})) {functions})"#
    )
}

fn compiles(context: &Context) -> bool {
    cfg!(not(feature = "compiler")) || context.plugin(unseen()).call_only("f", b"") == 7
}

/// A forked process has one thread, its own timer, and none of the threads that compile.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the system's")]
#[test]
fn a_forked_process_has_timeouts_too() {
    const TEST: &str = "stop::threads::a_forked_process_has_timeouts_too";
    crate::child::alone(TEST, || {
        let context = Context::new();
        let plugin = context.plugin(timed(ENDLESS, 20));
        assert_eq!(plugin.call("memory", "").error(), TIMEOUT);
        // The threads that compile belong to this process.
        assert!(compiles(&context));
        for _ in 0..20 {
            // SAFETY: the child only calls the library and ends with a status.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let is_well = plugin.call("memory", "").error() == TIMEOUT
                    && plugin.call_only("ends", b"") == 5
                    && compiles(&context);
                // SAFETY: ends the process.
                unsafe { libc::_exit(i32::from(!is_well)) };
            }
            let mut status = -1;
            // SAFETY: it is a child of this process; writes to `status`.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0);
            assert_eq!(plugin.call("memory", "").error(), TIMEOUT);
        }
    });
}
