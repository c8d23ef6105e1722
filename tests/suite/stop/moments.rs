//! Calls that are stopped at random moments of work that has a right answer.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{CANCELLED, with};
use crate::host::{Context, Plugin, manifest};
use crate::linking::modules;
use crate::noise::noise;

/// Work that ends with a number, which is wrong in an instance where earlier work has begun and not ended.
const WORK: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_free" (func $free (param i64)))
    (import "env" "extism_store_u64" (func $store (param i64 i64)))
    (import "env" "extism_load_u64" (func $load (param i64) (result i64)))
    (import "env" "extism_input_load_u64" (func $input (param i64) (result i64)))
    MIX
    (memory 4)
    (table 8 funcref) (elem (i32.const 0) $mix $mix) (elem $turn func $turn)
    (type $mix (func (param i64) (result i64)))
    (func $turn (param $x i64) (result i64) (i64.rotl (local.get $x) (i64.const 17)))
    (func $deep (param $n i32) (param $x i64) (result i64)
        (if (result i64) (local.get $n)
            (then (call $mix (call $deep (i32.sub (local.get $n) (i32.const 1)) (local.get $x))))
            (else (local.get $x))))
    (func $rounds (result i64) (call $input (i64.const 0)))
    (global $begun (mut i32) (i32.const 0))
    (func $done (param $x i64) (result i32)
        (global.set $begun (i32.sub (global.get $begun) (i32.const 1)))
        (i32.add (global.get $begun) (i32.and (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 20))) (i32.const 0xffff))))
    LOOPS)"#;

/// The function that does the work: a part of the module, or a library that it calls.
const MIX: &str = r#"(func $mix (export "mix") (param $x i64) (result i64)
    (i64.mul (i64.add (local.get $x) (i64.const 1)) (i64.const 0x5851f42d4c957f2d)))"#;

/// Name, and the value that a round makes of `$x`.
const ROUNDS: [(&str, &str); 7] = [
    ("calls", "(call $mix (local.get $x))"),
    ("indirect", "(call_indirect (type $mix) (local.get $x) (i32.const 1))"),
    ("recursion", "(call $deep (i32.const 50) (local.get $x))"),
    (
        "memory",
        "(i64.store (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0x3fff8)) (local.get $x))
         (call $mix (i64.load (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0x3fff8))))",
    ),
    (
        "host",
        "(local.set $block (call $alloc (i64.const 64))) (call $store (local.get $block) (local.get $x))
         (call $mix (call $load (local.get $block))) (call $free (local.get $block))",
    ),
    (
        // Reads the last of the copied bytes, at an address that depends on `$x`.
        "copies",
        "(local.set $to (i32.add (i32.const 0x20000) (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0xffff))))
         (i64.store offset=20000 (i32.const 0) (local.get $x))
         (memory.copy (local.get $to) (i32.const 0) (i32.const 20008))
         (call $mix (i64.load offset=20000 (local.get $to)))",
    ),
    (
        // Calls one of two functions, which `$x` chooses, and then a new one.
        "tables",
        "(table.init 0 $turn (i32.const 2) (i32.const 0) (i32.const 1))
         (table.set (i32.const 3) (table.get (i32.add (i32.const 1) (i32.wrap_i64 (i64.shr_u (local.get $x) (i64.const 63))))))
         (table.copy (i32.const 4) (i32.const 2) (i32.const 2))
         (table.fill (i32.const 2) (ref.null func) (i32.const 2))
         (drop (table.grow (ref.null func) (i32.const 0)))
         (call_indirect (type $mix) (call_indirect (type $mix) (local.get $x) (i32.const 5)) (i32.const 0))",
    ),
];

/// Modules that do the work: one alone, and one with a library.
fn works() -> [String; 2] {
    let functions = ROUNDS.map(|(name, round)| {
        format!(
            r#"(func (export "{name}") (result i32) (local $x i64) (local $left i64) (local $block i64) (local $to i32)
                (global.set $begun (i32.add (global.get $begun) (i32.const 1)))
                (local.set $left (call $rounds))
                (loop
                    {round} (local.set $x)
                    (br_if 0 (i64.ne (local.tee $left (i64.sub (local.get $left) (i64.const 1))) (i64.const 0))))
                (call $done (local.get $x)))"#
        )
    });
    let work = WORK.replace("LOOPS", &functions.concat());
    let import = r#"(import "library" "mix" (func $mix (param i64) (result i64)))"#;
    let linked = [("library", format!("(module {MIX})")), ("main", work.replace("MIX", import))];
    [manifest(work.replace("MIX", MIX), ""), modules(linked)]
}

/// The result of a call, or its error.
type Answer = Result<i32, String>;

fn answer(plugin: Plugin<'_>, name: &str, rounds: u64) -> Answer {
    let code = plugin.call_only(name, &rounds.to_le_bytes());
    plugin.context.error(plugin.id).map_or(Ok(code), Err)
}

/// The plugins of one of the modules.
struct Work<'a> {
    /// A sibling of the others, whose calls nobody stops.
    sibling: Plugin<'a>,
    /// Other threads cancel their calls.
    cancelled: [Plugin<'a>; 3],
    /// Each has a timeout.
    timed: [Plugin<'a>; 3],
    /// The most rounds of a call of each function: first some milliseconds' worth, then more or fewer as calls end or
    /// are stopped.
    most: [u64; ROUNDS.len()],
}

impl<'a> Work<'a> {
    fn new(context: &'a Context, work: &str) -> Self {
        let [sibling, cancelled @ ..] = [(); 4].map(|()| context.plugin(work));
        let timed = [1, 2, 3].map(|timeout| context.plugin(with(work, "timeout_ms", json!(timeout))));
        let most = ROUNDS.map(|(name, _)| {
            let start = Instant::now();
            answer(sibling, name, 20_000).expect("nobody stops it");
            80_000_000 / (start.elapsed().as_micros() as u64).max(1)
        });
        Self { sibling, cancelled, timed, most }
    }
}

/// A call that is stopped if it takes too long.
struct Call<'a> {
    plugin: Plugin<'a>,
    name: &'static str,
    rounds: u64,
    /// When another thread cancels it. Otherwise, its plugin has a timeout.
    cancelled_after: Option<Duration>,
}

impl Call<'_> {
    /// Makes the call, and the same call of a sibling beside it.
    fn make(&self, sibling: Option<Plugin<'_>>) -> (Answer, Option<Answer>) {
        let handle = self.plugin.cancel_handle();
        thread::scope(|scope| {
            let beside = sibling.map(|sibling| scope.spawn(move || answer(sibling, self.name, self.rounds)));
            let running = scope.spawn(|| answer(self.plugin, self.name, self.rounds));
            if let Some(delay) = self.cancelled_after {
                // From the first moment on, or after a while.
                thread::sleep(if delay < Duration::from_micros(500) { Duration::ZERO } else { delay });
                while !handle.cancel() && !running.is_finished() {
                    thread::yield_now();
                }
            }
            (running.join().expect("no panic"), beside.map(|beside| beside.join().expect("no panic")))
        })
    }

    /// Checks the error of the call, which was stopped.
    fn check_error(&self, error: &str) {
        let Self { name, rounds, .. } = self;
        if self.cancelled_after.is_some() {
            assert_eq!(error, CANCELLED, "{name} {rounds}");
        } else {
            assert!(error.starts_with("Call failed\n\nCaused by:\n    timeout: "), "{name} {rounds}: {error}");
        }
    }

    /// Calls the plugin again, for one round. On a busy machine, a millisecond may be too little even for that.
    fn next(&self) -> Option<Answer> {
        let is_late = |answer: &Answer| {
            self.cancelled_after.is_none() && answer.as_ref().is_err_and(|error| error.contains("timeout: "))
        };
        (0..1000).map(|_| answer(self.plugin, self.name, 1)).find(|answer| !is_late(answer))
    }
}

/// Stops calls at random moments. A call gives its right answer or is stopped; the next one, and a sibling's beside it,
/// give their right answers. `make interrupts` stops 10,000 calls.
#[test]
fn at_any_moment() {
    let count = std::env::var("EXTISM_TEST_INTERRUPTS").map_or(200, |count| count.parse().expect("a number"));
    let context = Context::new();
    let mut works = works().map(|work| Work::new(&context, &work));
    let judge = works[0].sibling;
    let mut noise = noise(7);
    let mut below = |bound: u64| noise.next().expect("no end") % bound;
    let (mut stopped, mut ended) = (0_u64, 0_u64);
    while stopped < count {
        assert!(ended <= 10 * (stopped + 100), "{stopped} stopped, {ended} ended");
        let round = stopped + ended;
        let (work, which) = (&mut works[below(2) as usize], below(ROUNDS.len() as u64) as usize);
        let ((name, _), most) = (ROUNDS[which], &mut work.most[which]);
        let rounds = below(*most) + 1;
        let expected = answer(judge, name, rounds).expect("nobody stops it");
        let is_timed = round % 3 == 0;
        let plugin = if is_timed { work.timed } else { work.cancelled }[below(3) as usize];
        let delay = Duration::from_micros(below(3000));
        let call = Call { plugin, name, rounds, cancelled_after: (!is_timed).then_some(delay) };
        let (result, beside) = call.make((round % 2 == 0).then_some(work.sibling));
        assert!(beside.is_none_or(|answer| answer == Ok(expected)), "{name} {rounds} beside one that was stopped");
        match result {
            Ok(code) => {
                assert_eq!(code, expected, "{name} {rounds}");
                ended += 1;
                *most += *most / 4 + 1;
            }
            Err(error) => {
                call.check_error(&error);
                stopped += 1;
                *most -= *most / 8;
            }
        }
        assert_eq!(call.next(), Some(answer(judge, name, 1)), "{name} after that");
    }
    println!("{stopped} stopped, {ended} ended");
    assert!(ended * 20 > count, "{stopped} stopped, {ended} ended");
}
