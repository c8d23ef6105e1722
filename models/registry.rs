//! Models of the context's registry: the library's own source, with plugins that check who uses them, on Shuttle's
//! threads. These run in random orders, one step at a time, and every deadlock is found.
//!
//! `model-registry 10000` tries that many random orders of each case, and as many that Shuttle chooses to be rare.
//!
//! The files are taken by `#[path]`, because a model compiles the same text with other locks and threads than the
//! library does.
#![expect(unreachable_pub, reason = "the files are of crates, where other crates use them")]

// The registry names the crates below it by these names. Here both are this program, with stand-ins for the parts of
// the core that it uses.
extern crate self as extism_capi;
extern crate self as extism_core;

#[path = "../capi/src/cancel.rs"]
mod cancel;
#[expect(dead_code, reason = "functions that are one line each")]
#[path = "../src/context/mod.rs"]
mod context;
#[expect(dead_code, unreachable_pub, reason = "C strings; the core hands them to the C library")]
#[path = "../core/src/error.rs"]
mod error;
#[path = "../capi/src/error_text.rs"]
mod error_text;
#[path = "../capi/src/handle.rs"]
mod handle;
#[path = "registry/plugin.rs"]
mod plugin;
#[path = "../capi/src/recent.rs"]
mod recent;
#[path = "registry/stop.rs"]
mod stop;
#[path = "registry/sync.rs"]
mod sync;
#[path = "../capi/src/thread_errors.rs"]
mod thread_errors;
#[path = "../capi/src/thread_number.rs"]
mod thread_number;

use std::collections::BTreeSet;
use std::ffi::CStr;

use context::{Context, Error, PluginId};
use plugin::Alive;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;

const NAME: &CStr = c"run";

/// A context, and the number of its live plugins.
#[derive(Clone, Default)]
struct World {
    context: Arc<Context>,
    alive: Alive,
}

impl World {
    fn create(&self, number: i32) -> Result<PluginId, Error> {
        plugin::count(&self.alive);
        self.context.create(number.to_string().as_bytes(), Vec::new(), false)
    }

    fn update(&self, id: PluginId, number: i32) -> Result<(), Error> {
        plugin::count(&self.alive);
        self.context.update(id, number.to_string().as_bytes(), false)
    }

    fn call(&self, id: PluginId) -> Result<i32, Error> {
        self.context.call(id, NAME, b"")
    }

    fn alive(&self) -> u64 {
        self.alive.load(Ordering::SeqCst)
    }

    fn spawn<T: Send + 'static>(&self, work: impl FnOnce(&World) -> T + Send + 'static) -> thread::JoinHandle<T> {
        let world = self.clone();
        thread::spawn(move || work(&world))
    }
}

fn join<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().expect("a panic ends the model")
}

/// Threads do random things to the same plugins: each plugin is used by one thread at a time, and none is left.
fn anything() {
    let world = World::default();
    let threads: Vec<_> = (0..3).map(|_| world.spawn(|world| (0..6).for_each(|_| one_thing(world)))).collect();
    threads.into_iter().for_each(join);
    world.context.close().expect("nothing runs");
    assert_eq!(world.alive(), 0);
}

fn one_thing(world: &World) {
    let (what, id) = (thread_rng().gen_range(0..10), thread_rng().gen_range(0..3));
    let context = &world.context;
    // The only failure is that there is no such plugin.
    let result = match what {
        0 | 1 => world.create(7).map(drop),
        2 => context.free(id),
        3 => world.update(id, 8).map_err(|_| Error::NoSuchPlugin(id)),
        4 => context.reset(),
        5 => context.configure(id, b"{}"),
        6 => context.canceller(id).map(|canceller| {
            canceller.cancel();
        }),
        7 => context.output(id).map(drop),
        8 => {
            drop(context.error(id));
            Ok(())
        }
        _ => world.call(id).map(|code| assert!(matches!(code, 7 | 8 | -1))),
    };
    assert!(matches!(result, Ok(()) | Err(Error::NoSuchPlugin(_))));
}

/// When `free` returns, the plugin is gone, however often another thread has used it.
fn freed() {
    let world = World::default();
    let id = world.create(1).expect("an id");
    let user = world.spawn(move |world| (0..4).map(|_| world.call(id).is_ok()).collect::<Vec<_>>());
    world.context.free(id).expect("it is another thread that runs it");
    assert_eq!(world.alive(), 0);
    assert!(matches!(world.call(id), Err(Error::NoSuchPlugin(_))));
    assert!(join(user).is_sorted_by(|before, after| before >= after));
}

/// Threads that make plugins while the context is closed leave none behind.
fn closed() {
    let world = World::default();
    let makers: Vec<_> = (0..2)
        .map(|_| {
            world.spawn(|world| {
                let made: Vec<_> = (0..2).map(|_| world.create(1)).collect();
                assert!(made.iter().all(|made| matches!(made, Ok(_) | Err(Error::Closed))));
                made.into_iter().flatten().for_each(|id| drop(world.call(id)));
            })
        })
        .collect();
    world.context.close().expect("no call of this thread");
    makers.into_iter().for_each(join);
    assert_eq!(world.alive(), 0);
    assert!(matches!(world.create(1), Err(Error::Closed)));
}

/// Calls use the old plugin until an update, and the new one from then on.
fn updated() {
    let world = World::default();
    let id = world.create(1).expect("an id");
    let user = world.spawn(move |world| (0..4).map(|_| world.call(id).expect("it is there")).collect::<Vec<_>>());
    world.update(id, 2).expect("it is there");
    assert_eq!((world.call(id).ok(), world.alive()), (Some(2), 1));
    let seen = join(user);
    assert!(seen.is_sorted() && seen.iter().all(|number| matches!(number, 1 | 2)), "{seen:?}");
}

/// A plugin that several threads free and update is freed once: no id is given out twice.
fn contended() {
    let world = World::default();
    let id = world.create(1).expect("an id");
    let update = world.spawn(move |world| assert!(matches!(world.update(id, 2), Ok(()) | Err(Error::NoSuchIndex))));
    let free = world.spawn(move |world| world.context.free(id).expect("no call of this thread"));
    world.context.free(id).expect("no call of this thread");
    join(update);
    join(free);
    assert_eq!(world.alive(), 0);
    let ids = |count| (0..count).map(|_| world.create(1).expect("an id")).collect::<BTreeSet<_>>();
    // 25 freed ids wait before one is given out again.
    ids(25).into_iter().for_each(|id| world.context.free(id).expect("it does not run"));
    assert_eq!(ids(30).len(), 30);
}

/// A canceller of a plugin also cancels the one that replaces it.
fn cancelled_after_update() {
    let world = World::default();
    let id = world.create(1).expect("an id");
    let canceller = world.context.canceller(id).expect("it is there");
    let done = Arc::new(AtomicBool::new(false));
    let user = {
        let done = Arc::clone(&done);
        world.spawn(move |world| {
            world.update(id, 2).expect("it is there");
            while world.call(id).expect("it is there") != -1 {
                thread::yield_now();
            }
            done.store(true, Ordering::SeqCst);
        })
    };
    while !done.load(Ordering::SeqCst) {
        canceller.cancel();
        thread::yield_now();
    }
    join(user);
}

/// Cancelling one plugin's run stops no other plugin, not even one that reuses its id.
fn cancelled() {
    let world = World::default();
    let (id, other) = (world.create(1).expect("an id"), world.create(2).expect("an id"));
    let canceller = world.context.canceller(id).expect("it is there");
    let sibling = world.spawn(move |world| assert_eq!(world.call(other).ok(), Some(2)));
    let user = world.spawn(move |world| {
        let code = world.call(id).expect("it is there");
        world.context.free(id).expect("it does not run");
        let next = world.create(3).expect("an id");
        assert_eq!(world.call(next).ok(), Some(3));
        code
    });
    let hits = (0..3).filter(|_| canceller.cancel()).count();
    let code = join(user);
    assert!(code == 1 || code == -1 && hits > 0, "{code} after {hits}");
    join(sibling);
    assert!(!canceller.cancel());
}

/// A thread whose call failed finds its own error, and does not wait for others.
fn errors() {
    let world = World::default();
    let threads: Vec<_> = (0..2)
        .map(|number| {
            let id = world.create(number).expect("an id");
            world.spawn(move |world| {
                for _ in 0..2 {
                    assert!(world.context.call(id, NAME, b"fail").is_ok_and(|code| code == -1));
                    assert_eq!(world.context.error(id), Some(number.to_string()));
                    let unknown = Error::NoSuchPlugin(99);
                    world.context.report(Some(id), &unknown, unknown.to_string());
                    assert_eq!(world.context.error(id), Some(number.to_string()), "the context's is another");
                }
                assert_eq!(world.call(id).ok(), Some(number));
                assert_eq!(world.context.error(id), None);
            })
        })
        .collect();
    threads.into_iter().for_each(join);
}

/// A plugin's logger uses the library; what it must not use gives an error instead of a deadlock.
fn nested() {
    let world = World::default();
    let id = world.create(1).expect("an id");
    let other = world.spawn(move |world| {
        for _ in 0..2 {
            let found = world.call(id);
            assert!(matches!(found, Ok(1) | Err(Error::NoSuchPlugin(_))));
        }
    });
    let inner = world.clone();
    plugin::set_logger(Some(Box::new(move || {
        assert!(matches!(inner.call(id), Err(Error::Reentered(_))));
        assert!(matches!(inner.update(id, 2), Err(Error::Reentered(_))));
        assert!(matches!(inner.context.free(id), Err(Error::Reentered(_))));
        let next = inner.create(3).expect("an id");
        assert_eq!(inner.call(next).ok(), Some(3));
        assert!(matches!(inner.context.close(), Err(Error::Reentered(_))));
    })));
    assert_eq!(world.call(id).ok(), Some(1));
    plugin::set_logger(None);
    join(other);
    assert_eq!(world.alive(), 0);
}

type Case = (&'static str, fn());

const CASES: [Case; 9] = [
    ("anything", anything),
    ("freed", freed),
    ("closed", closed),
    ("updated", updated),
    ("contended", contended),
    ("cancelled", cancelled),
    ("cancelled after an update", cancelled_after_update),
    ("errors", errors),
    ("nested", nested),
];

fn main() {
    let orders = std::env::args().nth(1).map_or(Ok(1000), |count| count.parse());
    let orders = orders.expect("usage: model-registry [ORDERS]");
    for (name, case) in CASES {
        shuttle::check_random(case, orders);
        shuttle::check_pct(case, orders, 3);
        println!("{name}: {} orders", 2 * orders);
    }
}
