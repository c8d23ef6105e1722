//! Cancelling calls from other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::host::{CancelHandle, Compiled, Function, Plugin, caller_of_f};

const LOOPS: &str =
    r#"(module (func (export "loop") (loop (br 0))) (func (export "seven") (result i32) (i32.const 7)))"#;

#[test]
fn a_handle_stops_the_running_call_and_no_other() {
    let compiled = Compiled::try_new(LOOPS, &[], None).expect("it compiles");
    let (one, other) = (&compiled.instance().expect("it starts"), &compiled.instance().expect("it starts"));
    let handle = one.cancel_handle();
    assert_eq!(handle, one.cancel_handle(), "the same each time");
    assert!(handle.cancel(), "true also if nothing runs");
    assert_eq!((one.call("seven", b""), one.error()), (7, None), "and nothing has happened");
    thread::scope(|scope| {
        let call = scope.spawn(|| (one.call("loop", b""), one.refusal()));
        let sibling = scope.spawn(|| (other.call("loop", b""), other.refusal()));
        while !call.is_finished() {
            assert!(handle.cancel());
            thread::sleep(Duration::from_millis(5));
        }
        let cancelled = (134, "timeout: cancelled".to_owned());
        assert_eq!(call.join().expect("no panic"), cancelled);
        thread::sleep(Duration::from_millis(20));
        assert!(!sibling.is_finished(), "a plugin of the same code runs on");
        let handle = other.cancel_handle();
        while !sibling.is_finished() {
            assert!(handle.cancel());
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(sibling.join().expect("no panic"), cancelled);
    });
}

#[test]
fn a_handle_goes_with_its_plugin() {
    let plugin = Plugin::new(LOOPS, &[]);
    let handle = plugin.cancel_handle();
    drop(plugin);
    assert!(!handle.cancel());
    let next = Plugin::new(LOOPS, &[]);
    assert_ne!(next.cancel_handle(), handle);
    assert!(!handle.cancel() && next.cancel_handle().cancel());
}

/// Cancels when it is dropped, which must be too late.
struct Late(Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Drop for Late {
    fn drop(&mut self) {
        let handle = CancelHandle(std::ptr::without_provenance(self.0.load(Ordering::Relaxed)));
        self.1.store(1 + usize::from(handle.cancel()), Ordering::Relaxed);
    }
}

#[test]
fn a_handle_is_gone_when_user_data_is_freed() {
    let (handle, answer) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let late = Late(Arc::clone(&handle), Arc::clone(&answer));
    let function =
        Function::of_i64("f", move |_, argument| if late.0.load(Ordering::Relaxed) > 0 { argument } else { 0 });
    let plugin = Plugin::new(&caller_of_f(""), &[&function]);
    drop(function);
    handle.store(plugin.cancel_handle().0.addr(), Ordering::Relaxed);
    assert!(plugin.cancel_handle().cancel());
    drop(plugin);
    assert_eq!(answer.load(Ordering::Relaxed), 1, "freed, and nothing was cancelled");
}
