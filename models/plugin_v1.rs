//! Models of a plugin of the 1.x library: the library's own source for the plugin, its outputs and its handle, with a
//! stand-in for what runs, on Shuttle's threads.
//!
//! `model-plugin-v1 10000` tries that many random orders of each case, and as many that Shuttle chooses to be rare.
//! `registry.rs` says how the files are compiled.
#![expect(unreachable_pub, reason = "the files are of crates, where other crates use them")]

extern crate self as extism_capi;
extern crate self as extism_core;

#[path = "../capi/src/cancel.rs"]
mod cancel;
#[path = "plugin_v1/core.rs"]
mod core_parts;
#[path = "../capi/src/error_text.rs"]
mod error_text;
#[expect(dead_code, reason = "functions that only the other library uses")]
#[path = "../capi/src/handle.rs"]
mod handle;
#[path = "../v1/src/outputs.rs"]
mod outputs;
#[expect(dead_code, reason = "functions that only the other library uses")]
#[path = "registry/plugin.rs"]
mod plugin_that_runs;
#[expect(dead_code, reason = "functions that are one line each")]
#[path = "../v1/src/plugin.rs"]
mod plugin_v1;
#[expect(dead_code, reason = "the model has no caches")]
#[path = "../capi/src/recent.rs"]
mod recent;
#[path = "registry/stop.rs"]
mod stop;
#[path = "registry/sync.rs"]
mod sync;
// Shuttle's threads are one of the system's: none of them ends for it.
#[path = "../capi/src/thread_life.rs"]
mod thread_life;
#[path = "../capi/src/thread_number.rs"]
mod thread_number;

/// The names by which the files find the stand-ins.
mod plugin {
    pub(crate) use crate::core_parts::Facts;
    pub(crate) use crate::plugin_that_runs::{CallFailure, HostFunction, Options, Plugin, PluginError};
}
mod arg {
    pub(crate) use crate::core_parts::ArgumentError as Error;
}
mod callback {
    pub(crate) use crate::core_parts::with_host_context;
}
mod failure {
    pub(crate) use crate::core_parts::{code, text};
}
mod id {
    pub(crate) use crate::core_parts::Id;
}
mod log {
    pub(crate) use crate::core_parts::note_failure_v1;
}

use std::collections::BTreeSet;

use cancel::Canceller;
use id::Id;
use plugin_that_runs::{Alive, count, set_logger};
use plugin_v1::Plugin;
use shuttle::sync::atomic::Ordering;
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

/// More than what is copied at the end of a call.
const LARGE: usize = 5000;

/// The knowledge of C and of the library's tables about one plugin, whose calls return 7.
#[derive(Clone)]
struct World {
    /// The plugin that threads find in their caches.
    cached: Arc<Plugin>,
    /// The table of tokens.
    table: Arc<Mutex<Option<Arc<Plugin>>>>,
    /// The tokens of cancel handles.
    handles: Arc<Mutex<BTreeSet<usize>>>,
    alive: Alive,
}

impl World {
    fn new() -> Self {
        let alive = Alive::default();
        count(&alive);
        let plugin = plugin::Plugin::new(b"7", plugin::Options::default()).expect("a number");
        let cached = Arc::new(Plugin::new(plugin, Id(1)));
        let table = Arc::new(Mutex::new(Some(Arc::clone(&cached))));
        Self { cached, table, handles: Arc::default(), alive }
    }

    /// A call by a thread that has the plugin in its cache, as `registry::with` makes it.
    fn call(&self, input: &[u8]) -> i32 {
        if self.cached.is_over() { -1 } else { self.cached.call(Ok((c"run", input)), std::ptr::null_mut()) }
    }

    /// `extism_plugin_free`. Returns true for the one of several that frees the plugin.
    fn free(&self) -> bool {
        let plugin = self.table.lock().expect("no panic").take();
        let Some(plugin) = plugin else { return false };
        let (handle, plugin) = plugin.free();
        self.handles.lock().expect("no panic").remove(&handle);
        drop(plugin);
        true
    }

    /// `extism_plugin_cancel_handle`.
    fn handle(&self) -> (Option<usize>, Option<Canceller>) {
        let mut made = None;
        let token = self.cached.cancel_token(|canceller| {
            made = Some(canceller);
            let mut handles = self.handles.lock().expect("no panic");
            assert!(handles.insert(5), "one for each plugin");
            5
        });
        (token, made)
    }

    fn alive(&self) -> u64 {
        self.alive.load(Ordering::SeqCst)
    }

    fn spawn<T: Send + 'static>(&self, work: impl FnOnce(&World) -> T + Send + 'static) -> thread::JoinHandle<T> {
        let world = self.clone();
        thread::spawn(move || work(&world))
    }

    fn check_gone(&self) {
        assert_eq!((self.alive(), self.call(b""), self.cached.error()), (0, -1, None));
        assert_eq!((self.cached.output().1, self.cached.cancel_token(|_| 6)), (0, None));
        assert!(!self.cached.configure(Ok(b"{}")) && !self.cached.reset());
        assert!(self.handles.lock().expect("no panic").is_empty(), "the cancel handle went with it");
    }
}

fn join<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().expect("a panic ends the model")
}

/// When a free returns, the plugin is gone, whatever other threads do with it. One of several frees has freed it.
fn freed() {
    let world = World::new();
    let caller = world.spawn(|world| (0..3).map(|_| world.call(b"") == 7).collect::<Vec<_>>());
    let asker = world.spawn(|world| {
        let (token, canceller) = world.handle();
        assert!(token.is_none_or(|token| token == 5));
        if let Some(canceller) = canceller {
            canceller.cancel();
        }
        world.cached.configure(Ok(b"{}"));
    });
    let freer = world.spawn(World::free);
    world.free();
    join(freer);
    join(asker);
    join(caller);
    world.check_gone();
}

/// A host function frees the plugin that calls it, while other threads call and free it: it is gone when that call
/// returns, which fails.
fn freed_inside() {
    let world = World::new();
    assert_eq!((world.call(b"before"), world.cached.output().1), (7, 6));
    let caller = world.spawn(|world| {
        for _ in 0..2 {
            assert!(matches!(world.call(b""), 7 | -1));
        }
    });
    let freer = world.spawn(World::free);
    let inner = world.clone();
    // What the host function has found: whether it is the one that has freed the plugin.
    let found = Arc::new(Mutex::new(None));
    let place = Arc::clone(&found);
    set_logger(Some(Box::new(move || {
        assert_eq!((inner.alive(), inner.cached.output().1), (1, 0), "it lives as long as it runs");
        *place.lock().expect("no panic") = Some(inner.free());
        assert_eq!((inner.alive(), inner.call(b"")), (1, -1));
        assert!(!inner.cached.reset());
    })));
    let code = world.call(b"");
    set_logger(None);
    match *found.lock().expect("no panic") {
        Some(true) => assert_eq!((code, world.alive()), (-1, 0)),
        // Another thread's free waits for this call.
        Some(false) => assert_eq!(code, 7),
        None => assert_eq!(code, -1),
    }
    join(freer);
    join(caller);
    world.check_gone();
}

/// Threads that call one plugin each find the output of their own call, small ones and large ones.
fn outputs() {
    let world = World::new();
    let threads: Vec<_> = [3, 5, LARGE]
        .into_iter()
        .map(|length| {
            world.spawn(move |world| {
                let input = vec![length as u8; length];
                for _ in 0..2 {
                    assert_eq!(world.call(&input), 7);
                    let (_, found) = world.cached.output();
                    assert_eq!(found, length as u64);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(join);
    assert!([3, 5, LARGE as u64].contains(&world.cached.output().1), "the newest");
    assert!(world.cached.reset());
    assert_eq!(world.cached.output().1, 0);
}

/// A thread that resets or frees a plugin while others call it and read: outputs are whole or there is none.
fn outputs_go() {
    let world = World::new();
    let threads: Vec<_> = [3, LARGE]
        .into_iter()
        .map(|length| {
            world.spawn(move |world| {
                let input = vec![1; length];
                let code = world.call(&input);
                let (_, found) = world.cached.output();
                assert!(code == 7 || code == -1);
                assert!(found == 0 || found == 3 || found == LARGE as u64, "{found}");
            })
        })
        .collect();
    world.cached.reset();
    world.free();
    threads.into_iter().for_each(join);
    world.check_gone();
}

/// Threads that ask for the cancel handle get the same one, and it goes with the plugin.
fn handles() {
    let world = World::new();
    let askers: Vec<_> = (0..2).map(|_| world.spawn(|world| world.handle().0)).collect();
    let freer = world.spawn(World::free);
    let seen: Vec<_> = askers.into_iter().map(join).collect();
    assert!(seen.iter().all(|token| token.is_none_or(|token| token == 5)));
    join(freer);
    world.check_gone();
}

type Case = (&'static str, fn());

const CASES: [Case; 5] = [
    ("freed", freed),
    ("freed inside", freed_inside),
    ("outputs", outputs),
    ("outputs go", outputs_go),
    ("handles", handles),
];

fn main() {
    let orders = std::env::args().nth(1).map_or(Ok(1000), |count| count.parse());
    let orders = orders.expect("usage: model-plugin-v1 [ORDERS]");
    for (name, case) in CASES {
        shuttle::check_random(case, orders);
        shuttle::check_pct(case, orders, 3);
        println!("{name}: {} orders", 2 * orders);
    }
}
