//! When user data is freed: once, with the last that can use it, on that thread, before its free returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use extism_v1::ffi;

use crate::host::{Compiled, Function, Plugin, caller_of_f, leak};

/// The user data of a host function. Its end is counted, and must come on the thread that it is told.
struct Owned {
    freed: Arc<AtomicUsize>,
    here: ThreadId,
}

impl Drop for Owned {
    fn drop(&mut self) {
        assert_eq!(thread::current().id(), self.here);
        // No lock is held: the library can be used as a whole.
        let echo = Function::of_i64("f", |_, handle| handle);
        let plugin = Plugin::new(&caller_of_f(""), &[&echo]);
        assert_eq!(plugin.output_of("run", b"in the end"), b"in the end");
        self.freed.fetch_add(1, Ordering::Relaxed);
    }
}

/// A function whose user data is to be freed on this thread, and how often it was.
fn counted() -> (Function, Arc<AtomicUsize>) {
    let freed = Arc::new(AtomicUsize::new(0));
    let owned = Owned { freed: Arc::clone(&freed), here: thread::current().id() };
    let function = Function::of_i64("f", move |_, handle| {
        assert_eq!(owned.freed.load(Ordering::Relaxed), 0, "in use");
        handle
    });
    (function, freed)
}

fn count(freed: &AtomicUsize) -> usize {
    freed.load(Ordering::Relaxed)
}

#[test]
fn the_last_of_function_and_plugins_frees_it() {
    type Step = fn(&mut Option<Function>, &mut Option<Plugin>, &mut Option<Plugin>);
    let steps: [Step; 3] = [|function, _, _| *function = None, |_, one, _| *one = None, |_, _, two| *two = None];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (function, freed) = counted();
        let plugin = |functions| Some(Plugin::new(&caller_of_f(""), functions));
        let (mut one, mut two) = (plugin(&[&function]), plugin(&[&function, &function]));
        let mut function = Some(function);
        for (number, step) in order.into_iter().enumerate() {
            assert_eq!(count(&freed), 0);
            for plugin in [&one, &two].into_iter().flatten() {
                assert_eq!(plugin.output_of("run", b"x"), b"x", "{order:?} {number}");
            }
            steps[step](&mut function, &mut one, &mut two);
        }
        assert_eq!(count(&freed), 1, "{order:?}");
    }
}

#[test]
fn a_compiled_plugin_and_its_instances_have_it() {
    let (function, freed) = counted();
    let compiled = Compiled::try_new(&caller_of_f(""), &[&function], None).expect("it compiles");
    drop(function);
    let (one, two) = (compiled.instance().expect("it starts"), compiled.instance().expect("it starts"));
    drop(one);
    drop(compiled);
    assert_eq!((two.output_of("run", b"x").as_slice(), count(&freed)), (&b"x"[..], 0));
    drop(two);
    assert_eq!(count(&freed), 1);
    let (function, freed) = counted();
    drop(Compiled::try_new(&caller_of_f(""), &[&function], None).expect("it compiles"));
    assert_eq!(count(&freed), 0);
    drop(function);
    assert_eq!(count(&freed), 1);
}

#[test]
fn a_failing_creation_spends_nothing() {
    let (function, freed) = counted();
    let trap = "(func $start unreachable) (start $start)";
    for (input, cause) in [("no module", "module"), (&caller_of_f(trap), "wasm trap: unreachable")] {
        for _ in 0..2 {
            let error = Plugin::try_new(input, &[&function], None).expect_err("it fails");
            assert!(error.starts_with("Unable to compile") && error.contains(cause), "{error}");
        }
    }
    assert_eq!(count(&freed), 0);
    assert_eq!(Plugin::new(&caller_of_f(""), &[&function]).output_of("run", b"x"), b"x");
    drop(function);
    assert_eq!(count(&freed), 1);
}

#[test]
fn a_plugin_that_another_thread_runs_is_freed_by_the_one_that_frees_it() {
    let (started, wait) = std::sync::mpsc::channel();
    let (function, freed) = counted();
    let slow = Function::of_i64("slow", move |_, handle| {
        started.send(()).expect("the test waits");
        thread::sleep(std::time::Duration::from_millis(100));
        handle
    });
    let more = r#"(import "extism:host/user" "slow" (func $slow (param i64) (result i64)))"#;
    let module = caller_of_f(r#"(func (export "slow") (drop (call $slow (i64.const 0))))"#);
    let module = module.replacen("(import", &format!("{more} (import"), 1);
    let plugin = Plugin::new(&module, &[&function, &slow]);
    drop(function);
    thread::scope(|scope| {
        let call = scope.spawn(|| plugin.call("slow", b""));
        wait.recv().expect("it runs");
        ffi::extism_plugin_free(plugin.0);
        assert_eq!(count(&freed), 1, "freed before the return, on this thread");
        assert_eq!(call.join().expect("no panic"), 0, "it was waited for");
    });
}

#[test]
fn a_plugin_that_is_freed_inside_its_call_frees_it_when_the_call_returns() {
    let (function, freed) = counted();
    let seen = Arc::clone(&freed);
    let free = Function::of_i64("f", move |current, handle| {
        let token = usize::from_ne_bytes(current.bytes(handle).try_into().expect("an address"));
        ffi::extism_plugin_free(std::ptr::without_provenance_mut(token));
        ffi::extism_plugin_free(std::ptr::without_provenance_mut(token));
        assert_eq!(seen.load(Ordering::Relaxed), 0);
        assert!(current.alloc(5) > 0, "it is alive");
        handle
    });
    let plugin = Plugin::new(&caller_of_f(""), &[&function, &free]);
    drop(function);
    let input = plugin.0.addr().to_ne_bytes();
    assert_eq!(plugin.call("run", &input), -1);
    assert_eq!(count(&freed), 1);
    assert_eq!((plugin.call("run", &input), plugin.error()), (-1, None));
    leak(plugin);
}
