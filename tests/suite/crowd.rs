//! 64 threads on one context make, call, change and free any of its plugins until the context is freed under them.
//! `make crowd` runs this test for a minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use extism::ffi;

use crate::child;
use crate::holdings::Holdings;
use crate::host::{Context, Plugin, manifest};
use crate::noise::noise;

const THREADS: u64 = 64;
/// The number of plugin ids that the threads use, from 0.
const PLUGINS: u64 = 40;
/// The lifetime of a context.
const ROUND: Duration = Duration::from_millis(300);
/// The answers of the plugins: each says which module gave it.
const NUMBERS: [i32; 3] = [101, 102, 103];

/// A module with a function that answers `number` after some work, one that traps, and one that does not end.
fn module(number: i32) -> String {
    format!(
        r#"(module (memory 1)
        (func (export "answer") (result i32) (local $n i32)
            (loop (i32.store (local.get $n) (local.tee $n (i32.add (local.get $n) (i32.const 1))))
                (br_if 0 (i32.lt_u (local.get $n) (i32.const 500))))
            (i32.const {number}))
        (func (export "trap") (i32.store (i32.const -1) (i32.const 1)))
        (func (export "forever") (loop (br 0))))"#
    )
}

#[test]
fn sixty_four_threads() {
    const SECONDS: &str = "EXTISM_TEST_CROWD_SECONDS";
    match std::env::var(SECONDS) {
        Ok(seconds) => rounds(Duration::from_secs(seconds.parse().expect("a number"))),
        Err(_) => {
            let variables = [(SECONDS, "2".as_ref()), ("EXTISM_CACHE_MEMORY_BYTES", "67108864".as_ref())];
            child::run("crowd::sixty_four_threads", "", &variables);
        }
    }
}

fn rounds(time: Duration) {
    let manifests = NUMBERS.map(|number| manifest(module(number), r#""timeout_ms": 50"#));
    let begin = Instant::now();
    let done = AtomicU64::new(0);
    let mut first = None;
    let mut seed = 0;
    while begin.elapsed() < time || seed < 3 {
        round(&manifests, seed, &done);
        seed += 1;
        if seed == 2 {
            first = Some(Holdings::now());
        }
    }
    println!(
        "{} operations of {THREADS} threads in {seed} contexts, {:?}",
        done.load(Ordering::Relaxed),
        begin.elapsed()
    );
    first.expect("two rounds").assert_kept(&Holdings::now());
}

fn round(manifests: &[String], seed: u64, done: &AtomicU64) {
    let context = Context::new();
    let end = Instant::now() + ROUND;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (context, mut noise) = (&context, noise(seed * THREADS + thread));
                scope.spawn(move || {
                    let mut below = |bound: u64| noise.next().expect("no end") % bound;
                    let is_over = |error: &str| error.contains("freed");
                    while one(context, manifests, &mut below).is_none_or(|error| !is_over(&error)) {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        thread::sleep(end.saturating_duration_since(Instant::now()));
        ffi::extism_context_free(context.0);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
}

/// Does something to one of the plugins, or to all; returns the error, if there is one.
fn one(context: &Context, manifests: &[String], below: &mut impl FnMut(u64) -> u64) -> Option<String> {
    let plugin = Plugin { context, id: below(PLUGINS) as i32 };
    let manifest = &manifests[below(manifests.len() as u64) as usize];
    match below(1000) {
        0 => {
            ffi::extism_context_reset(context.0);
            None
        }
        1..60 => match context.create(manifest, false) {
            Ok(new) if new.id >= PLUGINS as i32 => {
                new.free();
                None
            }
            Ok(_) => None,
            Err(error) => Some(error),
        },
        60..100 => {
            plugin.free();
            None
        }
        100..150 => (!plugin.update(manifest, false)).then(|| context.error(-1)).flatten(),
        150..250 => (!plugin.configure(r#"{"key": "value"}"#)).then(|| context.error(-1)).flatten(),
        250..300 => {
            plugin.cancel_handle().cancel();
            None
        }
        300..320 => {
            let handle = plugin.cancel_handle();
            plugin.free();
            handle.cancel();
            None
        }
        320..330 => failed(plugin, "forever"),
        330..400 => failed(plugin, "trap"),
        400..450 => context.error(plugin.id),
        450..500 => {
            ffi::extism_plugin_fuel_used(context.0, plugin.id);
            None
        }
        _ => {
            let code = plugin.call_only("answer", b"");
            assert!(code == -1 || NUMBERS.contains(&code), "{code}");
            (code == -1).then(|| context.error(plugin.id)).flatten()
        }
    }
}

/// Calls a function that fails. By the time the error is read, it may be the error of another thread's call.
fn failed(plugin: Plugin<'_>, function: &str) -> Option<String> {
    assert_eq!(plugin.call_only(function, b""), -1);
    let error = plugin.context.error(plugin.id)?;
    let known = ["out of bounds", "timeout", "cancelled", "does not exist", "freed"];
    assert!(known.iter().any(|cause| error.contains(cause)), "{error}");
    Some(error)
}
