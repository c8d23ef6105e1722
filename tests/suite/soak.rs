//! Many threads make, stop, update and free plugins, for long. At the end, the process may hold only what it held after
//! 1 in 100 calls, and the memory of after a quarter. `make soak` does a million calls.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::child;
use crate::holdings::Holdings;
use crate::host::{Context, Plugin, manifest};
use crate::noise::noise;

const THREADS: u64 = 8;
const PLUGINS: u64 = 1000;
const MODULES: u64 = 20;

/// A module with functions that output its number and the input, trap, never end, or grow memory and tables.
fn module(number: u64) -> String {
    format!(
        r#"(module
        (import "env" "extism_input_length" (func $input_length (result i64)))
        (import "env" "extism_input_load_u8" (func $input (param i64) (result i32)))
        (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
        (import "env" "extism_store_u8" (func $store (param i64 i32)))
        (import "env" "extism_output_set" (func $output (param i64 i64)))
        (memory 1) (table 1 funcref)
        (data (i32.const {number}) "module {number}")
        (func (export "echo") (result i32) (local $n i64) (local $to i64)
            (local.set $to (call $alloc (i64.add (call $input_length) (i64.const 1))))
            (call $store (local.get $to) (i32.const {number}))
            (block (loop
                (br_if 1 (i64.ge_u (local.get $n) (call $input_length)))
                (call $store (i64.add (i64.add (local.get $to) (local.get $n)) (i64.const 1)) (call $input (local.get $n)))
                (local.set $n (i64.add (local.get $n) (i64.const 1)))
                (br 0)))
            (call $output (local.get $to) (i64.add (call $input_length) (i64.const 1)))
            (i32.const 0))
        (func (export "trap") (i32.store (i32.const -1) (i32.const 1)))
        (func $deep (export "deep") (call $deep))
        (func (export "forever") (loop (br 0)))
        (func (export "grow") (result i32)
            (drop (memory.grow (i32.const 3)))
            (drop (table.grow (ref.null func) (i32.const 100)))
            (memory.fill (i32.const 0) (i32.const 7) (i32.const 2000))
            (i32.const 0)))"#
    )
}

#[test]
fn nothing_is_left_behind() {
    const CALLS: &str = "EXTISM_TEST_SOAK";
    match std::env::var(CALLS) {
        Ok(calls) => soak(calls.parse().expect("a number")),
        Err(_) => {
            let variables = [(CALLS, "20000".as_ref()), ("EXTISM_CACHE_MEMORY_BYTES", "67108864".as_ref())];
            child::run("soak::nothing_is_left_behind", "", &variables);
        }
    }
}

/// About 1 in 100 calls are stopped, as many trap, and as many plugins are made anew.
fn soak(calls: u64) {
    let manifests: Vec<String> = (0..MODULES).map(|n| manifest(module(n), r#""timeout_ms": 3"#)).collect();
    let context = Context::new();
    let mut plugins: Vec<Vec<_>> = (0..THREADS)
        .map(|thread| {
            let own = (0..PLUGINS / THREADS).map(|n| context.plugin(&manifests[((thread + n) % MODULES) as usize]));
            own.collect()
        })
        .collect();
    // First, each plugin grows to the most that it takes.
    for plugin in plugins.iter().flatten() {
        while plugin.call("grow", "").code == -1 {}
    }
    let stopped = Stopped::default();
    let mut done = 0;
    let samples = [1, 25, 50, 100].map(|percent| {
        let upto = calls * percent / 100;
        thread::scope(|scope| {
            let threads = plugins.iter_mut().enumerate().map(|(thread, own)| {
                let (context, manifests, stopped) = (&context, &manifests, &stopped);
                let mut noise = noise(THREADS * percent + thread as u64);
                scope.spawn(move || {
                    let mut below = |bound: u64| noise.next().expect("no end") % bound;
                    (done / THREADS..upto / THREADS).for_each(|_| one(context, manifests, own, &mut below, stopped));
                })
            });
            // Joined one by one, as a scope does not wait until its threads are gone.
            let threads: Vec<_> = threads.collect();
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        });
        done = upto;
        let sample = Holdings::now();
        println!("{percent:3} %: {sample}");
        sample
    });
    let [cancelled, late] = [&stopped.cancelled, &stopped.late].map(|count| count.load(Ordering::Relaxed));
    println!("{calls} calls, {cancelled} of them cancelled, {late} out of time");
    assert!(cancelled > 0 && late > 0);
    samples[0].assert_counts_kept(&samples[3]);
    // By the first sample, the allocator has not met the peak of all its threads.
    samples[1].assert_kept(&samples[3]);
}

/// The number of endless calls that were stopped.
#[derive(Default)]
struct Stopped {
    cancelled: AtomicU64,
    /// By their timeout, before they were cancelled.
    late: AtomicU64,
}

impl Stopped {
    fn count(&self, error: &str) {
        let count = if error.contains("cancelled") { &self.cancelled } else { &self.late };
        assert!(error.contains("cancelled") || error.contains("timeout"), "{error}");
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// On a busy machine, any call may exceed its timeout.
fn assert_trap(error: &str, expected: &str) {
    assert!(error.contains(expected) || error.contains("timeout"), "{error}");
}

/// One call of one of the thread's own plugins, and sometimes another action before it.
fn one<'a>(
    context: &'a Context,
    manifests: &[String],
    own: &mut [Plugin<'a>],
    below: &mut impl FnMut(u64) -> u64,
    stopped: &Stopped,
) {
    let place = below(own.len() as u64) as usize;
    let manifest = &manifests[below(MODULES) as usize];
    let plugin = own[place];
    match below(200) {
        0 => assert!(plugin.update(manifest, false)),
        1 => {
            plugin.free();
            own[place] = context.plugin(manifest);
        }
        2 => {
            let error = plugin.call("forever", "").error().to_owned();
            assert!(error.contains("timeout"), "{error}");
            stopped.count(&error);
        }
        3 => {
            let handle = plugin.cancel_handle();
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                let canceller = scope.spawn(|| while !handle.cancel() && !is_over.load(Ordering::Relaxed) {});
                let error = plugin.call("forever", "").error().to_owned();
                is_over.store(true, Ordering::Relaxed);
                stopped.count(&error);
                canceller.join().expect("no panic");
            });
        }
        4 => assert_trap(plugin.call("trap", "").error(), "out of bounds"),
        5 => assert_trap(plugin.call("deep", "").error(), "call stack exhausted"),
        6 => {
            plugin.call_only("grow", b"");
        }
        _ => {}
    }
    let input: Vec<u8> = (0..below(500)).map(|n| n as u8).collect();
    let answer = own[place].call("echo", &input);
    if answer.code != -1 || !answer.error().contains("timeout") {
        assert_eq!((answer.code, answer.error.as_deref()), (0, None));
        assert!(u64::from(answer.output[0]) < MODULES && answer.output[1..] == input);
    }
}
