//! The delay of stopping calls, and the cost of being able to stop them. `make latency` measures on an idle machine; as
//! one test among others, it only finds gross errors.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::host::{Context, Plugin, fixture, manifest};
use crate::linking::modules;
use crate::stop::{ENDLESS, LOOPS, timed, with};

/// The number of times that `make latency` measures each case.
fn count() -> Option<usize> {
    std::env::var("EXTISM_TEST_LATENCY").ok().map(|count| count.parse().expect("a number"))
}

/// The least value that `part` of the sorted values do not exceed.
fn quantile(sorted: &[Duration], part: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * part).ceil() as usize]
}

/// Prints how late calls were, and returns the bound of 99 in 100.
fn report(what: &str, mut late: Vec<Duration>) -> Duration {
    late.sort_unstable();
    let [median, high, all] = [0.5, 0.99, 1.0].map(|part| quantile(&late, part));
    println!("{what} of {} calls: median {median:?}, 99 in 100 {high:?}, most {all:?}", late.len());
    high
}

fn late_timeout(plugin: &Plugin<'_>, name: &str) -> Duration {
    let start = Instant::now();
    assert!(plugin.call(name, "input").error().contains("timeout"), "{name}");
    start.elapsed().checked_sub(TIMEOUT).expect("not before its time")
}

const TIMEOUT: Duration = Duration::from_millis(3);

fn late_cancel(plugin: &Plugin<'_>, name: &str) -> Duration {
    let handle = plugin.cancel_handle();
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            assert!(plugin.call(name, "input").error().contains("cancelled"), "{name}");
            Instant::now()
        });
        thread::sleep(TIMEOUT);
        let mut start = Instant::now();
        while !handle.cancel() {
            start = Instant::now();
        }
        call.join().expect("no panic").duration_since(start)
    })
}

/// Instructions that compile to calls of the engine. A plugin that executes nothing else is rarely in its own code.
const INSTRUCTIONS: [&str; 14] = [
    "(table.set $t (i32.const 1) (table.get $t (i32.const 0)))",
    "(table.set $t (i32.const 0) (ref.func $f))",
    "(table.fill $t (i32.const 0) (ref.null func) (i32.const 1))",
    "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 1))",
    "(table.init $t $elements (i32.const 0) (i32.const 0) (i32.const 0))",
    "(drop (table.size $t))",
    "(drop (table.grow $t (ref.null func) (i32.const 0)))",
    "(drop (ref.func $f))",
    "(elem.drop $elements)",
    "(drop (memory.size))",
    "(drop (memory.grow (i32.const 0)))",
    "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))",
    "(memory.init $data (i32.const 0) (i32.const 0) (i32.const 0))",
    "(data.drop $data)",
];

/// A module whose function `run` executes `instruction` for ever.
fn repeated(instruction: &str) -> String {
    let memory = if instruction.contains("memory") || instruction.contains("data") { "(memory 1)" } else { "" };
    format!(
        r#"(module {memory} (data $data "x") (table $t 2 funcref) (elem declare func $f) (elem $elements func $f)
        (func $f (export "run") (loop {instruction} (br 0))))"#
    )
}

/// The same in a library whose function the main module reaches only through a table.
fn repeated_in_a_library(instruction: &str) -> String {
    let library = repeated(instruction).replace(r#"(export "run")"#, "").replace(
        "(elem declare",
        r#"(table (export "functions") 1 funcref) (elem (table 1) (i32.const 0) func $f) (elem declare"#,
    );
    let main = r#"(module (table (import "library" "functions") 1 funcref)
        (func (export "run") (call_indirect (i32.const 0))))"#;
    modules([("library", library.as_str()), ("main", main)])
}

/// The same in a command library, of which each call gets a new instance.
fn repeated_in_a_command(instruction: &str) -> String {
    let library = repeated(instruction).replace("(data $data", r#"(func (export "_start")) (data $data"#);
    let main = r#"(module (import "library" "run" (func $run)) (func (export "run") (call $run)))"#;
    modules([("library", library.as_str()), ("main", main)])
}

#[test]
fn calls_of_the_engine_are_stopped_soon() {
    /// Bound of the median, whatever else the machine does.
    const MOSTLY: Duration = Duration::from_millis(20);
    let context = Context::new();
    // Fewer rounds would leave too few calls above 99 in 100.
    let rounds = count().map_or(1, |count| count.div_ceil(INSTRUCTIONS.len()).max(200));
    let alone = |instruction: &str| manifest(repeated(instruction), "");
    let places: [(&str, &dyn Fn(&str) -> String); 3] =
        [("alone", &alone), ("in a library", &repeated_in_a_library), ("in a command", &repeated_in_a_command)];
    for (place, module) in places {
        let mut all = Vec::new();
        for instruction in INSTRUCTIONS {
            let plugin = context.plugin(with(&module(instruction), "timeout_ms", json!(TIMEOUT.as_millis())));
            let late: Vec<_> = (0..rounds).map(|_| late_timeout(&plugin, "run")).collect();
            all.extend(&late);
            assert!(report(&format!("{instruction} {place}"), late) <= bound());
        }
        all.sort_unstable();
        assert!(quantile(&all, 0.5) <= MOSTLY, "{place}: {all:?}");
        assert!(report(&format!("timeout in such instructions {place}"), all) <= bound());
    }
}

/// Bound of 99 in 100 calls.
fn bound() -> Duration {
    if count().is_some() { Duration::from_millis(5) } else { Duration::from_secs(2) }
}

#[test]
fn calls_are_stopped_soon() {
    let context = Context::new();
    let in_time = context.plugin(timed(ENDLESS, TIMEOUT.as_millis() as u64));
    let endless = context.plugin(manifest(ENDLESS, ""));
    let measure = |late: fn(&Plugin<'_>, &str) -> Duration, plugin: &Plugin<'_>| {
        let rounds = count().unwrap_or(10).div_ceil(LOOPS.len());
        (0..rounds).flat_map(|_| LOOPS.map(|name| late(plugin, name))).collect::<Vec<_>>()
    };
    let timeouts = report("timeout", measure(late_timeout, &in_time));
    let cancels = report("cancel", measure(late_cancel, &endless));
    assert!(timeouts <= bound() && cancels <= bound());
}

#[test]
fn a_timeout_that_does_not_come_costs_nothing() {
    let context = Context::new();
    let kernels = manifest(fixture("kernels.v1"), "");
    let plain = context.plugin(&kernels);
    let armed = context.plugin(with(&kernels, "timeout_ms", json!(600_000)));
    let rounds = count().map_or(3, |count| count.div_ceil(25).min(40));
    for name in ["sha256", "matmul"] {
        let took = |plugin: &Plugin<'_>| {
            let start = Instant::now();
            assert_eq!(plugin.call_only(name, b""), 0);
            start.elapsed()
        };
        // The two run one after the other, each first in turn, as the machine's speed varies.
        let mut ratios: Vec<_> = (0..2 * rounds)
            .map(|round| {
                let mut times = [Duration::ZERO; 2];
                for plugin in [round % 2, 1 - round % 2] {
                    times[plugin] = took([&plain, &armed][plugin]);
                }
                times[1].as_secs_f64() / times[0].as_secs_f64()
            })
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let [least, ratio, most] = [0, rounds, 2 * rounds - 1].map(|at| ratios[at]);
        println!("{name}: with a timeout {ratio:.3} times as long, {least:.3} to {most:.3}");
        assert!(ratio < if count().is_some() { 1.02 } else { 2.0 });
    }
}
