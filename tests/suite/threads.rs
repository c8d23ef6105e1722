//! Many threads on one context: calls side by side and in a queue, and which actions wait for a running call.

mod context_errors;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ::log::LevelFilter;
use extism::ffi;

use crate::child;
use crate::host::{Context, Plugin, fixture};
use crate::log::install;

/// Counts its calls. `log` logs in the middle; `log_and_trap` traps after that.
const COUNTER: &str = r#"(module
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_log_info" (func $log (param i64)))
    (global $calls (mut i32) (i32.const 0))
    (func $next (export "next") (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
    (func $work (export "work") (result i32) (local $n i32)
        (loop (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $n) (i32.const 100000))))
        (call $next))
    (func (export "log") (result i32) (call $log (call $alloc (i64.const 1))) (call $next))
    (func (export "log_and_trap") (result i32) (drop (call $next)) (call $log (call $alloc (i64.const 1))) unreachable)
    (func (export "trap") (result i32) (drop (call $next)) unreachable))"#;

#[test]
fn a_plugin_for_each_thread() {
    let context = Context::new();
    thread::scope(|scope| {
        for thread in 0..8 {
            let context = &context;
            scope.spawn(move || {
                let name = if thread % 2 == 0 { "echo.v0" } else { "echo.v1" };
                for round in 0..5 {
                    let echo = context.plugin(fixture(name));
                    let counter = context.plugin(COUNTER);
                    for call in 1..=50 {
                        let text = format!("{thread} {round} {call} {}", "x".repeat(thread * call));
                        assert_eq!(echo.answer("echo", &text), text);
                        assert_eq!(counter.call_only("work", b""), call as i32);
                        let name = &text[..text.len().min(200)];
                        let missing = echo.call(name, "");
                        assert_eq!(missing.error(), format!("Function not found: {name}"), "nobody else's error");
                    }
                    echo.free();
                    counter.free();
                }
            });
        }
    });
}

#[test]
fn one_plugin_for_all_threads() {
    let context = Context::new();
    let plugin = context.plugin(COUNTER);
    let answers: Vec<i32> = thread::scope(|scope| {
        let call = |_| scope.spawn(|| (0..500).map(|_| plugin.call_only("work", b"")).collect::<Vec<_>>());
        let threads: Vec<_> = (0..8).map(call).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(answers.len(), 4000);
    assert_eq!(answers.into_iter().collect::<BTreeSet<_>>(), (1..=4000).collect(), "each call is counted once");
    assert_eq!(plugin.call_only("next", b""), 4001);
}

fn output_length(context: &Context, id: i32) -> u64 {
    ffi::extism_plugin_output_length(context.0, id)
}

/// Everything that can happen to a context's plugins at once. All answers must be possible ones.
#[test]
fn plugins_come_and_go() {
    let context = Context::new();
    let shared = context.plugin(COUNTER);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let own = context.plugin(COUNTER);
                    assert_eq!(own.call_only("next", b""), 1);
                    own.free();
                    assert!(own.context.error(-1).is_none_or(|error| error.starts_with("Plugin does not")));
                }
            });
            scope.spawn(|| {
                for _ in 0..100 {
                    assert!(shared.update(COUNTER, false));
                    assert!(shared.configure("{\"a\": \"b\"}"));
                }
            });
            scope.spawn(|| {
                for _ in 0..2000 {
                    assert!(shared.call_only("next", b"") > 0);
                    assert_eq!(output_length(&context, shared.id), 0);
                }
            });
        }
    });
    assert!(shared.call_only("next", b"") > 0);
}

/// Stops a call of `log`, inside the host's logger, until a test opens the gate.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    reached: bool,
    open: bool,
    events: Vec<&'static str>,
}

static GATE: LazyLock<Gate> = LazyLock::new(Gate::default);

const PATIENCE: Duration = Duration::from_secs(20);

impl Gate {
    /// Makes the gate the logger of this process.
    fn install() {
        install(LevelFilter::Info, |_| GATE.stop());
    }

    fn stop(&self) {
        self.change(|state| state.reached = true);
        self.wait("the gate is opened", |state| state.open);
        self.event("the call goes on");
    }

    fn event(&self, event: &'static str) {
        self.change(|state| state.events.push(event));
    }

    fn change(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut self.state.lock().expect("no test fails in it"));
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, until: impl Fn(&GateState) -> bool) {
        let state = self.state.lock().expect("no test fails in it");
        let (_state, result) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| !until(state)).expect("no test fails in it");
        assert!(!result.timed_out(), "waited in vain until {what}");
    }

    /// Starts over, and returns the events so far.
    fn close(&self) -> Vec<&'static str> {
        let mut state = self.state.lock().expect("no test fails in it");
        std::mem::take(&mut *state).events
    }
}

/// The kernel's directory of the calling thread.
fn this_thread() -> PathBuf {
    PathBuf::from("/proc").join(fs::read_link("/proc/thread-self").expect("Linux"))
}

/// Waits until a thread sleeps, for more than a moment, or has ended.
fn until_asleep(thread: &Path) {
    let deadline = Instant::now() + PATIENCE;
    let mut asleep = 0;
    while asleep < 100 {
        let Ok(stat) = fs::read_to_string(thread.join("stat")) else { return };
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        asleep = if state == Some('S') { asleep + 1 } else { 0 };
        assert!(Instant::now() < deadline, "the thread neither sleeps nor ends: {stat}");
        thread::yield_now();
    }
}

/// Whether an action ends before the call during which it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Waits,
    DoesNotWait,
}

/// Runs `action` while another thread is in the middle of a call of `function` on plugin 0. The call continues when the
/// action is over, or is seen to wait. Returns the call's code.
fn during_a_call(context: &Context, function: &str, expected: Expected, action: impl FnOnce() + Send) -> i32 {
    GATE.close();
    let plugin = Plugin { context, id: 0 };
    let actor = Mutex::new(None);
    let code = thread::scope(|scope| {
        let call = scope.spawn(|| plugin.call_only(function, b""));
        GATE.wait("the call is in its middle", |state| state.reached);
        scope.spawn(|| {
            *actor.lock().expect("no panic") = Some(this_thread());
            GATE.event("the action begins");
            action();
            GATE.event("the action is over");
        });
        GATE.wait("the action begins", |state| !state.events.is_empty());
        match expected {
            Expected::Waits => until_asleep(actor.lock().expect("no panic").as_ref().expect("it said so")),
            Expected::DoesNotWait => GATE.wait("the action is over", |state| state.events.len() == 2),
        }
        GATE.change(|state| state.open = true);
        call.join().expect("no panic")
    });
    let order = match expected {
        Expected::Waits => ["the action begins", "the call goes on", "the action is over"],
        Expected::DoesNotWait => ["the action begins", "the action is over", "the call goes on"],
    };
    assert_eq!(GATE.close(), order);
    code
}

/// An action on plugin 0 of the context while it runs.
type Action = fn(&Context);

const WAITS: [(&str, Action); 9] = [
    ("call", |context| assert_eq!(zero(context).call_only("next", b""), 2)),
    ("config", |context| assert!(zero(context).configure("{}"))),
    ("config that is refused", |context| assert!(!zero(context).configure("[1]"))),
    ("output length", |context| assert_eq!(output_length(context, 0), 0)),
    ("output data", |context| assert!(!ffi::extism_plugin_output_data(context.0, 0).is_null())),
    ("update", |context| {
        assert!(zero(context).update(COUNTER, false));
        assert_eq!(zero(context).call_only("next", b""), 1, "the new plugin");
    }),
    ("free", |context| {
        zero(context).free();
        assert_eq!(zero(context).call_only("next", b""), -1, "it is gone");
    }),
    ("context reset", |context| ffi::extism_context_reset(context.0)),
    ("context free", |context| ffi::extism_context_free(context.0)),
];

const DOES_NOT_WAIT: [(&str, Action); 9] = [
    ("error", |context| assert_eq!(context.error(0), None)),
    ("error of the context", |context| assert_eq!(context.error(-1), None)),
    ("error of another plugin", |context| assert_eq!(context.error(1), None)),
    ("call of another plugin", |context| assert!(Plugin { context, id: 1 }.call_only("work", b"") > 0)),
    ("a new plugin", |context| assert_eq!(context.plugin(COUNTER).call_only("work", b""), 1)),
    ("a plugin that cannot be made", |context| assert_eq!(context.refusal("{}"), "No wasm files specified")),
    ("an update that cannot be made", |context| assert!(!zero(context).update("", false))),
    ("a plugin that is not there", |context| assert_eq!(Plugin { context, id: 99 }.call_only("next", b""), -1)),
    ("another context", |_| assert_eq!(Context::new().plugin(COUNTER).call_only("work", b""), 1)),
];

fn zero(context: &Context) -> Plugin<'_> {
    Plugin { context, id: 0 }
}

#[test]
fn what_waits_for_a_running_call() {
    child::alone("threads::what_waits_for_a_running_call", || {
        Gate::install();
        for (name, action) in WAITS {
            let context = Context::new();
            context.plugin(COUNTER);
            println!("{name}");
            assert_eq!(during_a_call(&context, "log", Expected::Waits, || action(&context)), 1, "{name}");
        }
    });
}

#[test]
fn what_does_not_wait_for_a_running_call() {
    child::alone("threads::what_does_not_wait_for_a_running_call", || {
        Gate::install();
        for (name, action) in DOES_NOT_WAIT {
            let context = Context::new();
            context.plugin(COUNTER);
            context.plugin(COUNTER);
            println!("{name}");
            assert_eq!(during_a_call(&context, "log", Expected::DoesNotWait, || action(&context)), 1, "{name}");
        }
    });
}

/// Of two calls that meet, the one that ends last decides whether there is an error.
#[test]
fn the_error_is_that_of_the_last_call() {
    child::alone("threads::the_error_is_that_of_the_last_call", || {
        Gate::install();
        let context = Context::new();
        let plugin = context.plugin(COUNTER);
        let traps = || assert_eq!(plugin.call_only("trap", b""), -1);
        assert_eq!(during_a_call(&context, "log", Expected::Waits, traps), 1);
        assert!(context.error(0).is_some_and(|error| error.contains("unreachable")));
        assert_eq!(plugin.call_only("next", b""), 1, "what trapped is not used again");

        let counts = || assert_eq!(plugin.call_only("next", b""), 1);
        assert_eq!(during_a_call(&context, "log_and_trap", Expected::Waits, counts), -1);
        assert_eq!(context.error(0), None, "the last call was clean");
    });
}

/// An SDK may fail on one thread and ask for the error on another.
#[test]
fn errors_are_seen_by_all_threads() {
    let context = Context::new();
    let plugin = context.plugin(COUNTER);
    thread::scope(|scope| {
        for name in ["missing", "also missing"] {
            scope.spawn(|| assert_eq!(plugin.call_only(name, b""), -1)).join().expect("no panic");
            let asked = scope.spawn(|| context.error(plugin.id)).join().expect("no panic");
            assert_eq!(asked, Some(format!("Function not found: {name}")));
            assert_eq!(context.error(plugin.id), asked);
        }
        scope.spawn(|| context.refusal("{}")).join().expect("no panic");
        assert_eq!(context.error(-1).as_deref(), Some("No wasm files specified"));
    });
}

/// An error's text stays valid while others are asked for, up to a limit.
#[expect(unsafe_code, reason = "it reads what it was handed out")]
#[test]
fn a_text_of_an_error_stays_for_a_while() {
    let context = Context::new();
    let plugins: Vec<_> = (0..60).map(|_| context.plugin(COUNTER)).collect();
    let asked = |number: usize| {
        assert_eq!(plugins[number].call_only(&format!("missing {number}"), b""), -1);
        ffi::extism_error(context.0, plugins[number].id)
    };
    let texts: Vec<_> = (0..plugins.len()).map(asked).collect();
    for (number, text) in texts.into_iter().enumerate() {
        // SAFETY: fewer texts have been handed out since than the library keeps.
        let text = unsafe { std::ffi::CStr::from_ptr(text) };
        assert_eq!(text.to_str(), Ok(format!("Function not found: missing {number}").as_str()));
    }
}

/// Calls end with their right answer or an error, whatever happens to the context meanwhile.
#[test]
fn contexts_freed_under_calls() {
    for round in 0..30 {
        let context = Arc::new(Context::new());
        let shared = context.plugin(COUNTER).id;
        let mut callers = Vec::new();
        for thread in 0..4 {
            let context = Arc::clone(&context);
            callers.push(thread::spawn(move || {
                let own = context.create(COUNTER, false).map(|plugin| plugin.id);
                let mut expected = 0;
                loop {
                    let (id, function) = if thread % 2 == 0 { (shared, "work") } else { (own.clone()?, "work") };
                    expected += 1;
                    match (Plugin { context: &context, id }).call_only(function, b"") {
                        -1 => return Err(context.error(id).unwrap_or_default()),
                        code if thread % 2 == 0 => assert!(code >= expected, "{code}"),
                        code => assert_eq!(code, expected),
                    }
                    if expected == i32::MAX {
                        return Ok(());
                    }
                }
            }));
        }
        while (Plugin { context: &context, id: shared }).call_only("next", b"") < 10 * (round % 5) {}
        if round % 2 == 0 {
            ffi::extism_context_free(context.0);
        } else {
            ffi::extism_context_reset(context.0);
            // Frees the plugins that were made after the reset.
            ffi::extism_context_free(context.0);
        }
        for caller in callers {
            let error = caller.join().expect("no panic").expect_err("it ends with an error");
            let known = ["Plugin does not exist: ", "the context is NULL"].iter().any(|text| error.starts_with(text));
            assert!(known, "{error:?}");
        }
        let new = Context::new();
        new.plugin(COUNTER);
        let stale = Plugin { context: &context, id: 0 };
        assert_eq!((stale.call_only("next", b""), stale.configure("{}")), (-1, false), "it stays freed");
        assert!(context.error(0).is_some_and(|error| error.contains("has been freed")));
        assert!(context.create(COUNTER, false).is_err());
        assert_eq!(Plugin { context: &new, id: 0 }.call_only("next", b""), 1, "the new one is another");
    }
}

/// Waiting in WASI does not delay other plugins.
#[cfg(feature = "wasi")]
#[test]
fn sleepers_do_not_hold_up_others() {
    let context = Context::new();
    let plugins: Vec<_> = (0..8).map(|_| context.create(fixture("reactor.v1"), true).expect("made")).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for plugin in &plugins {
            scope.spawn(|| assert_eq!(plugin.answer("sleep_ms", "400"), ""));
        }
    });
    assert!(start.elapsed() < Duration::from_millis(8 * 400), "{:?}", start.elapsed());
}
