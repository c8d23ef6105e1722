//! Processes that are forked while other threads do anything with plugins. `make forks` forks COUNT=10000 of them.

mod children;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::log::LevelFilter;
use extism::ffi;
use serde_json::json;

use crate::child;
use crate::host::{Compiler, Context, Plugin, manifest};
use crate::linking::modules;
use crate::log::{LogFile, install};
use crate::noise::noise;
use crate::stop::with;
use children::{Children, fork};

/// Threads that use the library all the time.
const THREADS: u64 = 4;
/// Most children at the same time.
const CHILDREN: usize = 3;
/// The error of a plugin that another thread of the parent was using.
const LOST: &str = "in use on another thread when this process was forked";
/// The error of a compiler that has locks of its own.
const LOST_COMPILER: &str = "this process was forked while another thread compiled";

/// A module with functions that answer 5, trap, log, or do not end.
const MODULE: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_log_warn" (func $log (param i64)))
    (memory 1)
    (func (export "answer") (result i32) (i32.const 5))
    (func (export "trap") (i32.store (i32.const -1) (i32.const 1)))
    (func (export "fill") (memory.fill (i32.const -1) (i32.const 1) (i32.const 1)))
    (func (export "log") (result i32) (call $log (call $alloc (i64.const 1))) (i32.const 5))
    (func (export "forever") (loop (br 0))))"#;

/// Ids of the plugins that both contexts always have.
const PLAIN: i32 = 0;
const NESTED: i32 = 1;
const TIMED: i32 = 2;

/// A plugin whose library is a command: a run of the library lies within a run of the main module.
fn nested() -> String {
    let library = r#"(module (memory (export "memory") 1) (func (export "_start"))
        (func (export "number") (result i32) (i32.const 5)))"#;
    let main = r#"(module (import "lib" "number" (func $number (result i32)))
        (func (export "answer") (result i32) (call $number)))"#;
    modules([("lib", library), ("main", main)])
}

/// A module that nobody has compiled before, with functions of many types: compilers share types between threads.
fn unseen(number: u64) -> String {
    let functions: String = (0..20).map(|count| format!("(func (param {}))", "i32 ".repeat(count))).collect();
    format!(
        "(module (func (export \"answer\") (result i32) (i32.const 5)) (func (result i64) (i64.const {number})) {functions})"
    )
}

/// A number for [`unseen`] that no other process has used.
fn first_unseen() -> u64 {
    u64::from(std::process::id()) << 32
}

/// The contexts and counters that threads and children use.
struct World {
    /// Used by all threads.
    shared: Context,
    /// Used by no thread.
    idle: Context,
    /// The number of the next module that nobody has compiled before, counted from `first`.
    compiled: AtomicU64,
    first: u64,
    is_over: AtomicBool,
}

impl World {
    fn new() -> Self {
        let (shared, idle) = (Context::new(), Context::new());
        let timed = with(&manifest(MODULE, ""), "timeout_ms", json!(2));
        for context in [&shared, &idle] {
            let ids = [MODULE, &nested(), &timed].map(|input| context.plugin(input).id);
            assert_eq!(ids, [PLAIN, NESTED, TIMED]);
        }
        let first = first_unseen();
        // Compiles once before any fork, which must not meet a compiler's first use: the cache may have all other code.
        drop(Context::new().create(unseen(first), false).map(Plugin::free));
        Self { shared, idle, compiled: AtomicU64::new(first + 1), first, is_over: AtomicBool::new(false) }
    }

    /// The work of one thread until the test is over.
    fn use_it(&self, thread: u64) {
        let own = Context::new();
        let mut noise = noise(thread);
        while !self.is_over.load(Ordering::Relaxed) {
            let used = plugin(&self.shared, PLAIN);
            match noise.next().expect("no end") % 12 {
                0 => drop(own.create(MODULE, false).map(Plugin::free)),
                1 => drop(own.create(nested(), false).map(|plugin| plugin.call_only("answer", b""))),
                2 => drop(own.create("", false)),
                3 => ffi::extism_context_reset(own.0),
                4 | 5 => drop(used.call("trap", "")),
                6 => drop(used.call("fill", "")),
                7 => drop(used.call("log", "")),
                8 => drop(plugin(&self.shared, TIMED).call("forever", "")),
                9 => _ = plugin(&self.shared, TIMED).cancel_handle().cancel(),
                // A thread that ends drops its thread-local values.
                10 => {
                    drop(thread::scope(|scope| scope.spawn(|| plugin(&self.shared, NESTED).call("answer", "")).join()))
                }
                _ if cfg!(feature = "compiler") => drop(own.create(self.next_module(), false)),
                _ => {}
            }
            // Without pauses, these threads would take all processor time.
            thread::sleep(Duration::from_micros(noise.next().expect("no end") % 1000));
        }
    }

    fn next_module(&self) -> String {
        unseen(self.compiled.fetch_add(1, Ordering::Relaxed))
    }
}

/// The steps of children: name and work.
const STEPS: [(&str, fn(&World, u64) -> Result<(), String>); 9] = [
    ("a call of a plugin that no thread used", |world, _| {
        expect(plugin(&world.idle, PLAIN).call_only("answer", b""), 5)
    }),
    ("a nested call", |world, _| expect(plugin(&world.idle, NESTED).call_only("answer", b""), 5)),
    ("traps", |world, _| {
        for function in ["trap", "fill"] {
            contains(plugin(&world.idle, PLAIN).call(function, "").error(), "out of bounds")?;
        }
        Ok(())
    }),
    ("a timeout", |world, _| contains(plugin(&world.idle, TIMED).call("forever", "").error(), "timeout")),
    ("a plugin that threads used", |world, _| match plugin(&world.shared, PLAIN).call("answer", "") {
        answer if answer.code == 5 => Ok(()),
        answer => {
            contains(answer.error(), LOST)?;
            plugin(&world.shared, PLAIN).free();
            expect(plugin(&world.shared, PLAIN).call_only("answer", b""), -1)
        }
    }),
    ("a plugin of a module that is known", |world, _| {
        let plugin = world.shared.create(MODULE, false)?;
        expect(plugin.call_only("log", b""), 5)?;
        plugin.free();
        contains(&world.idle.refusal(""), "No wasm")
    }),
    // A thread may have been compiling this very module.
    ("a module that is not known", |world, number| {
        let new = world.compiled.load(Ordering::Relaxed) - number % 3;
        match world.idle.create(unseen(new), false) {
            _ if cfg!(not(feature = "compiler")) => Ok(()),
            Ok(plugin) => expect(plugin.call_only("answer", b""), 5),
            Err(error) if Compiler::in_use() == "llvm" => contains(&error, LOST_COMPILER),
            Err(error) => Err(error),
        }
    }),
    ("two threads", |world, _| {
        let plugin = world.idle.create(MODULE, false)?;
        let handle = plugin.cancel_handle();
        thread::scope(|scope| {
            scope.spawn(|| {
                while !handle.cancel() {
                    thread::yield_now();
                }
            });
            contains(plugin.call("forever", "").error(), "cancelled")
        })
    }),
    ("the end of all plugins", |world, _| {
        ffi::extism_context_reset(world.shared.0);
        ffi::extism_context_free(world.idle.0);
        expect(world.shared.plugin(MODULE).call_only("answer", b""), 5)
    }),
];

fn plugin(context: &Context, id: i32) -> Plugin<'_> {
    Plugin { context, id }
}

fn expect(code: i32, expected: i32) -> Result<(), String> {
    if code == expected { Ok(()) } else { Err(format!("{code}")) }
}

fn contains(text: &str, expected: &str) -> Result<(), String> {
    if text.contains(expected) { Ok(()) } else { Err(text.to_owned()) }
}

/// Forks at random moments.
#[test]
fn while_threads_do_anything() {
    match child::case() {
        Some(count) => many(count.parse().expect("a number")),
        None => {
            let count = std::env::var("EXTISM_TEST_FORKS").unwrap_or_else(|_| "200".to_owned());
            let variables = [("EXTISM_CACHE_MEMORY_BYTES", "67108864".as_ref())];
            let ended = child::run_like_c("forks::while_threads_do_anything", &count, &variables);
            print!("{}", ended.stdout);
        }
    }
}

fn many(count: u64) {
    let world = World::new();
    let _log = LogFile::new("warn");
    let begin = Instant::now();
    let mut children = Children::default();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let world = &world;
            scope.spawn(move || world.use_it(thread));
        }
        for number in 0..count {
            children.wait_until_fewer_than(CHILDREN);
            // Two steps a child, as there is no time for all. They are sorted, as the last step frees all plugins.
            let mut steps: Vec<_> = noise(number).take(2).map(|step| (step % STEPS.len() as u64) as usize).collect();
            steps.sort_unstable();
            steps.dedup();
            children.add(fork(|report| {
                steps.iter().try_for_each(|step| report.step(*step, || STEPS[*step].1(&world, number)))
            }));
        }
        children.wait_until_fewer_than(1);
        world.is_over.store(true, Ordering::Relaxed);
    });
    println!(
        "{count} forks beside {THREADS} threads, {} modules compiled, {:?}; {children}",
        world.compiled.load(Ordering::Relaxed) - world.first,
        begin.elapsed()
    );
    children.assert_well(|step| STEPS[step].0);
}

/// A plugin that runs on another thread is lost in the child, and nothing else is.
#[test]
fn while_a_plugin_runs() {
    child::alone("forks::while_a_plugin_runs", || {
        let context = Context::new();
        let (plugin, other) = (context.plugin(MODULE), context.plugin(MODULE));
        let handle = plugin.cancel_handle();
        let mut children = Children::default();
        thread::scope(|scope| {
            let running = scope.spawn(|| plugin.call("forever", "").error().to_owned());
            thread::sleep(Duration::from_millis(20));
            children.add(fork(|report| {
                report.step(0, || {
                    contains(plugin.call("answer", "").error(), LOST)?;
                    assert!(!plugin.update(MODULE, false) && !plugin.configure("{}") && !handle.cancel());
                    expect(other.call_only("answer", b""), 5)
                })?;
                report.step(1, || {
                    plugin.free();
                    contains(plugin.call("answer", "").error(), "Plugin does not exist")?;
                    expect(context.plugin(MODULE).call_only("answer", b""), 5)
                })
            }));
            children.add(fork(|report| {
                report.step(2, || {
                    ffi::extism_context_free(context.0);
                    Ok(())
                })
            }));
            children.wait_until_fewer_than(1);
            assert!(handle.cancel());
            assert!(running.join().expect("no panic").contains("cancelled"));
        });
        children.assert_well(|step| ["lost", "freed", "all freed"][step]);
        assert_eq!((plugin.call_only("answer", b""), other.call_only("answer", b"")), (5, 5), "in the parent");
    });
}

/// A host's logger may fork during a plugin's call or start. In both processes the call continues.
#[test]
fn inside_of_a_logger() {
    child::alone("forks::inside_of_a_logger", || {
        static FORKED: AtomicU64 = AtomicU64::new(0);
        static CHILD: AtomicBool = AtomicBool::new(false);
        install(LevelFilter::Warn, |_| match children::raw_fork() {
            0 => CHILD.store(true, Ordering::Relaxed),
            child => FORKED.store(child.unsigned_abs().into(), Ordering::Relaxed),
        });
        let at_start = MODULE.replacen(
            "(memory 1)",
            "(memory 1) (func $start (call $log (call $alloc (i64.const 1)))) (start $start)",
            1,
        );
        let context = Context::new();
        let timed = context.plugin(with(&manifest(MODULE, ""), "timeout_ms", json!(20)));
        let work: [&dyn Fn() -> bool; 2] =
            [&|| timed.call_only("log", b"") == 5, &|| context.plugin(&at_start).call_only("answer", b"") == 5];
        for work in work {
            let is_well = work()
                && timed.call("forever", "").error().contains("timeout")
                && timed.call("trap", "").error().contains("out of bounds")
                && timed.call_only("answer", b"") == 5
                && context.plugin(nested()).call_only("answer", b"") == 5
                && (cfg!(not(feature = "compiler"))
                    || context.plugin(unseen(first_unseen())).call_only("answer", b"") == 5);
            if CHILD.load(Ordering::Relaxed) {
                children::exit(is_well);
            }
            assert!(is_well, "in the parent");
            let child = i32::try_from(FORKED.load(Ordering::Relaxed)).expect("a process");
            assert_eq!(children::wait_for(child), Some(0));
        }
    });
}
