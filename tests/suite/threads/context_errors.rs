//! The errors of a context that threads share: each thread gets its own, whatever others do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::COUNTER;
use crate::host::{Context, Plugin};

const THREADS: usize = 2;
const FAILURES: usize = 10_000;

/// A way to fail in a context, with an error that contains `number`.
type Way = fn(&Context, i32);

const WAYS: [(&str, Way); 4] = [
    ("new", |context, number| {
        context.refusal(missing(number));
    }),
    ("update", |context, number| assert!(!Plugin { context, id: 0 }.update(missing(number), false))),
    ("config", |context, number| assert!(!Plugin { context, id: number }.configure("{}"))),
    ("call", |context, number| assert_eq!(Plugin { context, id: number }.call_only("next", b""), -1)),
];

fn missing(number: i32) -> String {
    format!(r#"{{"wasm": [{{"path": "/none/{number}"}}]}}"#)
}

#[test]
fn each_thread_finds_its_own() {
    let context = Context::new();
    context.plugin(COUNTER);
    let (failing, calls) = (AtomicUsize::new(THREADS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (context, failing) = (&context, &failing);
            scope.spawn(move || {
                for failure in 0..FAILURES {
                    let number = i32::try_from(1_000_000 * (thread + 1) + failure).expect("small");
                    let (way, fail) = WAYS[failure % WAYS.len()];
                    fail(context, number);
                    for _ in 0..2 {
                        let error = context.error(-1).unwrap_or_else(|| panic!("{way}: no error"));
                        assert!(error.contains(&number.to_string()), "{way}, {number}: {error}");
                    }
                }
                failing.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                let own = context.plugin(COUNTER);
                let mut count = 0;
                // Ends even if one of the other threads panics.
                while failing.load(Ordering::Relaxed) > 0 && count < 1_000_000 {
                    count += 1;
                    assert_eq!(own.call_only("next", b""), count);
                }
                calls.fetch_add(usize::try_from(count).expect("not negative"), Ordering::Relaxed);
            });
        }
    });
    assert!(calls.load(Ordering::Relaxed) > 0);
}

/// A thread without an error of its own gets the newest, and a call clears only the caller's error.
#[test]
fn another_thread_may_ask() {
    let context = Context::new();
    let plugin = context.plugin(COUNTER);
    let fails =
        |number| thread::scope(|scope| scope.spawn(|| context.refusal(missing(number))).join().expect("no panic"));
    let is = |number: i32| assert!(context.error(-1).is_some_and(|error| error.contains(&format!("/none/{number}"))));
    assert_eq!(context.error(-1), None);
    fails(1);
    is(1);
    fails(2);
    is(2);
    context.refusal(missing(3));
    fails(4);
    is(3);
    assert_eq!(plugin.call_only("next", b""), 1);
    is(4);
}
