//! Forked processes, in which only the thread that forked goes on.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "fork is not safe, which this is about")]

use std::sync::mpsc::channel;
use std::thread;

use crate::host::{Function, Plugin, caller_of_f};

/// Runs `check` in a forked process; it must return true.
fn forked(check: impl FnOnce() -> bool) {
    // SAFETY: the child only uses the library, and ends without running anything of the parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(i32::from(!is_good)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child that was made above.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:#x}");
}

#[test]
fn a_child_uses_the_plugins_that_were_idle() {
    let (begun, wait) = channel();
    let (go_on, held) = channel::<()>();
    let held = std::sync::Mutex::new(held);
    let function = Function::of_i64("f", move |current, handle| {
        if current.bytes(handle) == b"wait" {
            begun.send(()).expect("the test waits");
            held.lock().expect("no panic").recv().expect("the test sends");
        }
        handle
    });
    let (idle, busy) = (Plugin::new(&caller_of_f(""), &[&function]), &Plugin::new(&caller_of_f(""), &[&function]));
    assert_eq!(idle.output_of("run", b"before"), b"before");
    thread::scope(|scope| {
        let call = scope.spawn(|| busy.output_of("run", b"wait"));
        wait.recv().expect("it runs");
        forked(|| {
            let lost = (busy.call("run", b"x"), busy.error());
            assert!(lost.0 == -1 && lost.1.expect("an error").contains("when this process was forked"));
            assert!(!busy.reset() && busy.has(c"run"));
            assert_eq!(idle.output(), b"before");
            assert_eq!(idle.output_of("run", b"child"), b"child");
            extism_v1::ffi::extism_plugin_free(busy.0);
            busy.call("run", b"x") == -1
        });
        go_on.send(()).expect("it waits");
        assert_eq!(call.join().expect("no panic"), b"wait");
    });
    assert_eq!(idle.output(), b"before");
}
