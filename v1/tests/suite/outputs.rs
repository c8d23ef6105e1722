//! Outputs: whose they are, where they are, and how long.

use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread;

use extism_v1::ffi;

use crate::host::{Function, Plugin, caller_of_f};

fn echo() -> Plugin {
    Plugin::new(&caller_of_f(""), &[&Function::of_i64("f", |_, handle| handle)])
}

#[test]
fn each_thread_reads_the_output_of_its_own_call() {
    let plugin = &echo();
    // Small ones, one of the most that is small, and large ones.
    for length in [0, 1, 100, 4096, 4097, 300_000] {
        let barrier = &Barrier::new(8);
        thread::scope(|scope| {
            for number in 0..8_u8 {
                scope.spawn(move || {
                    for _ in 0..20 {
                        let input = vec![number; length];
                        assert_eq!(plugin.call("run", &input), 0);
                        barrier.wait();
                        assert_eq!(ffi::extism_plugin_output_length(plugin.0), length as u64);
                        // The last one's lies in the plugin's memory, which nobody uses until all have read.
                        assert_eq!(plugin.output(), input);
                        barrier.wait();
                    }
                });
            }
        });
    }
}

#[test]
fn a_small_output_stays_while_other_threads_call() {
    let plugin = &echo();
    assert_eq!(plugin.output_of("run", b"mine"), b"mine");
    let (data, length) = (ffi::extism_plugin_output_data(plugin.0), ffi::extism_plugin_output_length(plugin.0));
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(plugin.output(), b"mine", "the newest, as it has none itself");
            assert_eq!(plugin.output_of("run", &[9; 10_000]), [9; 10_000]);
            assert_eq!(plugin.output_of("run", b"other"), b"other");
        });
    });
    assert_eq!((ffi::extism_plugin_output_data(plugin.0), length), (data, 4), "at the same address");
    assert_eq!(plugin.output(), b"mine");
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(plugin.output(), b"other", "the newest")).join().expect("no panic")
    });
}

#[test]
fn outputs_stay_while_any_number_of_threads_call() {
    const THREADS: u16 = 600;
    let plugin = &echo();
    assert_eq!(plugin.output_of("run", b"mine"), b"mine");
    let place = (ffi::extism_plugin_output_data(plugin.0), ffi::extism_plugin_output_length(plugin.0));
    let all_have_called = &Barrier::new(usize::from(THREADS));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let call = move || {
                assert_eq!(plugin.output_of("run", &number.to_le_bytes()), number.to_le_bytes());
                let place = ffi::extism_plugin_output_data(plugin.0);
                all_have_called.wait();
                assert_eq!(
                    (plugin.output(), ffi::extism_plugin_output_data(plugin.0)),
                    (number.to_le_bytes().into(), place)
                );
            };
            thread::Builder::new().stack_size(512 << 10).spawn_scoped(scope, call).expect("a thread");
        }
    });
    assert_eq!(plugin.output(), b"mine");
    assert_eq!((ffi::extism_plugin_output_data(plugin.0), ffi::extism_plugin_output_length(plugin.0)), place);
}

#[test]
fn a_thread_whose_output_is_gone_gets_no_other() {
    let plugin = &echo();
    assert_eq!(plugin.output_of("run", b"mine"), b"mine");
    assert!(plugin.reset());
    let others = || assert_eq!(plugin.output_of("run", b"other"), b"other");
    thread::scope(|scope| scope.spawn(others).join().expect("no panic"));
    assert_eq!(plugin.output(), b"", "it was reset");
    let newest = || assert_eq!(plugin.output(), b"other", "it has called nothing");
    thread::scope(|scope| scope.spawn(newest).join().expect("no panic"));
}

#[test]
fn a_large_output_is_copied_when_another_thread_calls() {
    let plugin = &echo();
    let large = vec![5; 1 << 20];
    assert_eq!(plugin.output_of("run", &large), large);
    thread::scope(|scope| scope.spawn(|| plugin.call("run", &[6; 1 << 20])).join().expect("no panic"));
    assert_eq!(plugin.output(), large);
    assert_eq!(plugin.output_of("run", b"small"), b"small");
    assert!(plugin.reset());
    assert_eq!(plugin.output(), b"");
}

#[test]
fn output_and_error_do_not_wait_for_a_running_call() {
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
    let plugin = &Plugin::new(&caller_of_f(""), &[&function]);
    assert_eq!(plugin.output_of("run", b"before"), b"before");
    thread::scope(|scope| {
        let call = scope.spawn(|| plugin.output_of("run", b"wait"));
        wait.recv().expect("it runs");
        assert_eq!((plugin.output(), plugin.error()), (b"before".to_vec(), None));
        assert!(plugin.has(c"run") && plugin.configure(r#"{"a": "b"}"#));
        go_on.send(()).expect("it waits");
        assert_eq!(call.join().expect("no panic"), b"wait");
    });
    assert_eq!(plugin.output(), b"before");
}

#[test]
fn a_failed_call_has_no_output_of_the_one_before() {
    let plugin = echo();
    for large in [10, 100_000] {
        let input = vec![1; large];
        assert_eq!(plugin.output_of("run", &input), input);
        assert_eq!(plugin.call("missing", b""), -1);
        assert_eq!(plugin.output(), b"");
    }
}
