//! 64 threads make, call, ask, cancel, reset and free any of the same functions, compiled plugins and plugins. So do the
//! host functions that the plugins call, and what frees user data. `make crowd` runs this test for a minute.
//!
//! A host function holds its plugin's lock, so the threads keep an order, as a program must: what may wait for a plugin is
//! done from inside another one only if its place comes later.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::process::Command;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use extism_v1::ffi;

use crate::holdings::Holdings;
use crate::host::{CancelHandle, Compiled, Current, Function, Plugin, caller_of_f, leak};
use crate::noise::noise;

const THREADS: u64 = 64;
/// The lifetime of what the threads share.
const ROUND: Duration = Duration::from_millis(300);
const PLUGINS: usize = 24;
/// The last plugins are freed by nobody until the end of the round, so that their outputs may be read.
const LASTING: usize = 4;
const OTHERS: usize = 8;
/// Functions of a plugin's module besides `run`, which calls the host function.
const MORE: &str = r#"
    (func (export "answer") (result i32) (i32.const 101))
    (func (export "trap") (drop (call $f (call $input))) unreachable)
    (func (export "forever") (loop (br 0)))"#;

thread_local! {
    /// The place after that of the innermost plugin whose host function runs on this thread.
    static LEVEL: Cell<usize> = const { Cell::new(0) };
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static NOISE: Cell<u64> = const { Cell::new(0) };
}

/// A number below `bound`, from this thread's own noise.
fn below(bound: usize) -> usize {
    let seed = NOISE.get().wrapping_add(1);
    NOISE.set(seed);
    let number = noise(seed).next().expect("no end");
    (number % bound as u64) as usize
}

/// The tokens that the threads share, most of which are good.
#[derive(Default)]
struct World {
    plugins: [AtomicUsize; PLUGINS],
    handles: [AtomicUsize; PLUGINS],
    compiled: [AtomicUsize; OTHERS],
    functions: [AtomicUsize; OTHERS],
    manifests: Vec<String>,
    is_over: AtomicBool,
    made: AtomicU64,
    freed: AtomicU64,
    done: AtomicU64,
    nested: AtomicU64,
}

/// The user data of a host function.
struct Owned(Arc<World>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.freed.fetch_add(1, Ordering::Relaxed);
        // No lock is held here.
        if below(8) == 0 {
            let function = Function::of_i64("f", |_, handle| handle);
            let plugin = Plugin::new(&self.0.manifests[0], &[&function]);
            assert_eq!(plugin.call("answer", b""), 101);
        }
    }
}

#[test]
fn sixty_four_threads() {
    const SECONDS: &str = "EXTISM_TEST_CROWD_SECONDS";
    if let Ok(seconds) = std::env::var(SECONDS) {
        return rounds(Duration::from_secs(seconds.parse().expect("a number")));
    }
    // In a process of its own, whose resources are counted.
    let mut child = Command::new(std::env::current_exe().expect("the tests are a file"));
    child.args(["--exact", "crowd::sixty_four_threads", "--test-threads=1"]).env(SECONDS, "2");
    let output = child.output().expect("the tests can be run again");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn rounds(time: Duration) {
    let begin = Instant::now();
    let (mut done, mut nested, mut data) = (0, 0, 0);
    let mut first = None;
    let mut seed = 0;
    while begin.elapsed() < time || seed < 3 {
        let world = round(seed);
        done += world.done.load(Ordering::Relaxed);
        nested += world.nested.load(Ordering::Relaxed);
        data += world.made.load(Ordering::Relaxed);
        seed += 1;
        // By then, tables and records have room for as many as there ever are at a time.
        if seed >= 2 && begin.elapsed() >= time / 2 {
            first.get_or_insert_with(Holdings::now);
        }
    }
    println!(
        "{done} operations of {THREADS} threads, {nested} of them in host functions, in {seed} rounds; {data} user data \
         freed; {:?}",
        begin.elapsed()
    );
    assert!(nested > 0);
    first.expect("half of the time").assert_kept(&Holdings::now());
}

fn round(seed: u64) -> Arc<World> {
    let start = format!("{MORE} (func $start (drop (call $f (i64.const 0)))) (start $start)");
    let modules = [MORE, &start].map(caller_of_f);
    let manifest = |module: &String| {
        let (address, length) = (module.as_ptr().addr(), module.len());
        format!(r#"{{"wasm": [{{"data": {{"ptr": {address}, "len": {length}}}}}], "timeout_ms": 50}}"#)
    };
    // They name `modules` by their addresses, where they are until the end of the round.
    let manifests = modules.iter().map(manifest).collect();
    let world = Arc::new(World { manifests, ..World::default() });
    let lasting = Function::of_i64("f", |_, handle| handle);
    for place in PLUGINS - LASTING..PLUGINS {
        let plugin = Plugin::new(&world.manifests[0], &[&lasting]);
        world.plugins[place].store(leak(plugin).addr(), Ordering::Relaxed);
    }
    drop(lasting);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let world = &world;
                scope.spawn(move || {
                    NOISE.set((seed * THREADS + thread) << 32);
                    while !world.is_over.load(Ordering::Relaxed) {
                        step(world);
                        world.done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        thread::sleep(ROUND);
        world.is_over.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    let take = |places: &[AtomicUsize]| places.iter().map(|place| place.swap(0, Ordering::Relaxed)).collect::<Vec<_>>();
    let free_functions = || take(&world.functions).into_iter().for_each(|token| drop(Function(pointer(token))));
    let free_compiled = || take(&world.compiled).into_iter().for_each(|token| drop(Compiled(pointer(token))));
    let free_plugins = || take(&world.plugins).into_iter().for_each(|token| drop(Plugin(pointer(token))));
    let all: [&dyn Fn(); 3] = [&free_functions, &free_compiled, &free_plugins];
    (0..3).for_each(|number| all[(number + seed as usize) % 3]());
    assert_eq!(world.made.load(Ordering::Relaxed), world.freed.load(Ordering::Relaxed));
    world
}

fn pointer<T>(token: usize) -> *mut T {
    ptr::without_provenance_mut(token)
}

fn load(places: &[AtomicUsize], place: usize) -> usize {
    places[place].load(Ordering::Relaxed)
}

/// One thing to one of them. What is freed may be in use, and what is used may have been freed.
fn step(world: &Arc<World>) {
    let place = below(PLUGINS);
    let plugin = &*ManuallyDrop::new(Plugin(pointer(load(&world.plugins, place))));
    let may_wait = place + usize::from(DEPTH.get() > 0) >= LEVEL.get();
    let may_free = may_wait && place < PLUGINS - LASTING;
    match below(100) {
        0..5 if may_free => make(world, place),
        5..8 if may_free => ffi::extism_plugin_free(plugin.0),
        8..10 if may_free => drop(plugin.reset()),
        10..15 => new_function(world),
        15..18 => ffi::extism_function_free(pointer(load(&world.functions, below(OTHERS)))),
        18..21 => compile(world),
        21..22 => ffi::extism_compiled_plugin_free(pointer(load(&world.compiled, below(OTHERS)))),
        22..26 => {
            let handle = plugin.cancel_handle();
            world.handles[place].store(handle.0.addr(), Ordering::Relaxed);
        }
        26..32 => drop(CancelHandle(pointer(load(&world.handles, place))).cancel()),
        32..38 => drop(plugin.configure(r#"{"key": "value"}"#)),
        38..42 => drop(plugin.has(c"run")),
        42..46 => drop(plugin.error()),
        46..49 => drop(ffi::extism_plugin_id(plugin.0).is_null()),
        49..52 => ffi::extism_plugin_allow_http_response_headers(plugin.0),
        52..55 if may_wait => drop(ffi::extism_plugin_fuel_consumed(plugin.0)),
        55 if may_wait => failing(plugin, place, "forever", &["timeout"]),
        56..62 if may_wait => failing(plugin, place, "trap", &["unreachable", "timeout"]),
        _ if may_wait => call(world, plugin, place),
        _ => {}
    }
}

/// Makes a plugin, and frees the one that was in its place.
fn make(world: &World, place: usize) {
    let made = if below(2) == 0 {
        ManuallyDrop::new(Compiled(pointer(load(&world.compiled, below(OTHERS))))).instance()
    } else {
        let [one, two] = [(); 2].map(|()| ManuallyDrop::new(Function(pointer(load(&world.functions, below(OTHERS))))));
        Plugin::try_new(&world.manifests[below(world.manifests.len())], &[&one, &two], None)
    };
    match made {
        Ok(plugin) => {
            let old = world.plugins[place].swap(leak(plugin).addr(), Ordering::Relaxed);
            ffi::extism_plugin_free(pointer(old));
        }
        Err(text) => {
            let known = ["null pointer", "has been freed", "is NULL", "timeout", "refused"];
            assert!(known.iter().any(|cause| text.contains(cause)), "{text}");
        }
    }
}

fn compile(world: &World) {
    let function = ManuallyDrop::new(Function(pointer(load(&world.functions, below(OTHERS)))));
    if let Ok(compiled) = Compiled::try_new(&world.manifests[below(world.manifests.len())], &[&function], None) {
        let token = ManuallyDrop::new(compiled).0.addr();
        let old = world.compiled[below(OTHERS)].swap(token, Ordering::Relaxed);
        ffi::extism_compiled_plugin_free(pointer(old));
    }
}

/// Makes a host function that does some of these things, and frees the one that was in its place.
fn new_function(world: &Arc<World>) {
    let owned = Owned(Arc::clone(world));
    let function = Function::of_i64("f", move |current, handle| inside(&owned.0, current, handle));
    world.made.fetch_add(1, Ordering::Relaxed);
    let token = ManuallyDrop::new(function).0.addr();
    let old = world.functions[below(OTHERS)].swap(token, Ordering::Relaxed);
    ffi::extism_function_free(pointer(old));
}

/// The work of host functions: the plugin's lock is held.
fn inside(world: &Arc<World>, current: Current, handle: u64) -> u64 {
    assert!(!current.memory().is_null() && current.alloc(8) > 0);
    if DEPTH.get() < 3 {
        DEPTH.set(DEPTH.get() + 1);
        for _ in 0..below(3) {
            step(world);
            world.nested.fetch_add(1, Ordering::Relaxed);
        }
        DEPTH.set(DEPTH.get() - 1);
    }
    if below(20) == 0 {
        current.fail(Some(c"refused"));
    }
    assert!(!current.memory().is_null(), "the plugin is there as long as it calls");
    handle
}

/// Runs `work`, a call of the plugin at this place.
fn at<T>(place: usize, work: impl FnOnce() -> T) -> T {
    let level = LEVEL.replace(place + 1);
    let result = work();
    LEVEL.set(level);
    result
}

/// Calls a function that fails. By the time the error is read, it may be the error of another thread's call, or gone.
fn failing(plugin: &Plugin, place: usize, function: &str, reasons: &[&str]) {
    let code = at(place, || plugin.call(function, b""));
    assert!(matches!(code, -1 | 134), "{code}");
    let Some(error) = plugin.error() else { return };
    let known = ["unreachable", "timeout", "refused", "inside its own call", "has been freed"];
    assert!(reasons.iter().chain(&known).any(|cause| error.contains(cause)), "{error}");
}

/// Calls a function that answers, or one that calls a host function. If nobody frees the plugin, its output is this
/// thread's.
fn call(world: &World, plugin: &Plugin, place: usize) {
    if below(2) == 0 {
        let code = at(place, || plugin.call("answer", b""));
        return assert!(matches!(code, 101 | -1 | 134), "{code}");
    }
    let input = below(1 << 30).to_ne_bytes().repeat(1 + below(8));
    let code = at(place, || plugin.call("run", &input));
    assert!(matches!(code, 0 | -1 | 134), "{code}");
    let is_lasting = place >= PLUGINS - LASTING && plugin.0.addr() == load(&world.plugins, place);
    if code == 0 && is_lasting {
        assert_eq!(plugin.output(), input);
    }
}
