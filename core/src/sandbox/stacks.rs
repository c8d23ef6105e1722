//! Keeps Wasmer's pool of plugin stacks empty. Wasmer caches one stack per thread; a surplus one, when a thread ends or
//! a nested plugin returns, goes to a queue of all threads. Taking from it waits for a thread in the middle of a push.
//! In a process forked at that moment, the thread does not exist, and the wait never ends. Hence surplus is freed.
#![expect(unsafe_code, reason = "Wasmer runs anything on its stacks")]

use std::panic;

use wasmer::sys::vm::{VMConfig, catch_traps, drain_stack_pool};

use crate::fork;

/// Frees this thread's cached stack when the thread ends.
struct LastStack;

thread_local! {
    static LAST: LastStack = LastStack::new();
}

/// Called before this thread runs a plugin for the first time.
pub(crate) fn prepare_thread() {
    // Fails while the thread's thread-local values are being dropped. The thread goes without then.
    let _ = LAST.try_with(|_| ());
}

impl LastStack {
    fn new() -> Self {
        let config = VMConfig { wasm_stack_size: None };
        // Thread-local values are dropped in reverse order: Wasmer's, initialised by this call, goes after `LAST`.
        // SAFETY: the closure owns nothing that would have to be dropped after a trap.
        let _ = unsafe { catch_traps(None, &config, || ()) };
        Self
    }
}

impl Drop for LastStack {
    fn drop(&mut self) {
        // A panic in a destructor of a thread-local value ends the process.
        let _ = panic::catch_unwind(give_up_spare);
    }
}

/// Frees the stack that this thread caches. Must be called after a plugin that was called by another one returns: the
/// cache is then free for the outer plugin's stack.
pub(crate) fn give_up_spare() {
    let _inside = fork::enter();
    drain_stack_pool();
}
