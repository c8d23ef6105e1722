//! Calls from a thread that is ending, whose thread-local values are being destroyed.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread;

use extism_v1::ffi;

use crate::host::{Function, Plugin, caller_of_f};

/// A thread-local value that uses the library when its thread ends.
struct Last(Arc<Plugin>);

impl Drop for Last {
    fn drop(&mut self) {
        assert_eq!(self.0.output_of("run", b"at the end"), b"at the end", "not that of the call before");
        assert!(self.0.has(c"run") && self.0.configure("{}") && self.0.error().is_none());
        assert_eq!(self.0.call("missing", b""), -1);
        assert_eq!(self.0.refusal(), "Function not found: missing");
        let echo = Function::of_i64("f", |_, handle| handle);
        drop(Plugin::new(&caller_of_f(""), &[&echo]));
        assert!(self.0.reset());
        ffi::extism_plugin_free(self.0.0);
        assert_eq!(self.0.call("run", b""), -1);
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_that_ends_can_still_use_a_plugin() {
    let echo = Function::of_i64("f", |_, handle| handle);
    let plugin = Arc::new(Plugin::new(&caller_of_f(""), &[&echo]));
    let last = Last(Arc::clone(&plugin));
    let ended = thread::spawn(move || {
        // Before the thread's first use of the library, and so destroyed after the library's own values.
        LAST.set(Some(last));
        let plugin = LAST.with_borrow(|last| Arc::clone(&last.as_ref().expect("set").0));
        assert_eq!(plugin.output_of("run", b"x"), b"x");
    });
    ended.join().expect("no panic");
    assert_eq!(plugin.call("run", b""), -1, "it was freed");
}
