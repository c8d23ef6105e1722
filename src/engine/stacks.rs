//! The stacks that plugins run on. Wasmer keeps one for each thread, and puts what is left over, at the end of a thread or of a
//! plugin that ran in the middle of another, into a queue of all threads. Who takes from the queue waits for a thread that is just
//! putting something in, and in a process that was forked off at that moment that thread never comes to it. So nothing is left over.
#![expect(unsafe_code, reason = "Wasmer runs anything on its stacks")]

use std::panic;

use wasmer::sys::vm::{VMConfig, catch_traps, drain_stack_pool};

use crate::fork;

/// Gives up this thread's stack when the thread ends.
struct LastStack;

thread_local! {
    static LAST: LastStack = LastStack::new();
}

/// Before this thread runs a plugin for the first time.
pub(super) fn prepare_thread() {
    // At the very end of a thread, it does without.
    let _ = LAST.try_with(|_| ());
}

impl LastStack {
    fn new() -> Self {
        let config = VMConfig { wasm_stack_size: None };
        // Thread-local values are dropped in the order opposite to that they came in: Wasmer's own, which comes now, after this one.
        // SAFETY: what runs has nothing to drop.
        let _ = unsafe { catch_traps(None, &config, || ()) };
        Self
    }
}

impl Drop for LastStack {
    fn drop(&mut self) {
        // A panic here would end the process.
        let _ = panic::catch_unwind(give_up_spare);
    }
}

/// Gives up the stack that this thread does not use at the moment. To be called where a plugin has come to its end in the middle of
/// another: the outer one's stack takes the place.
pub(crate) fn give_up_spare() {
    let _inside = fork::enter();
    drain_stack_pool();
}
