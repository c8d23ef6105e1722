//! Callbacks that use the plugin that calls them, and others.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use extism_v1::ffi;

use crate::host::{CancelHandle, Current, Function, Plugin, caller_of_f};

/// A plugin that its own host functions use.
type Shared = Arc<OnceLock<&'static Plugin>>;

/// A plugin whose `run` calls `work` with itself. It lives until the process ends.
fn plugin(work: impl Fn(&Plugin) + Send + Sync + 'static) -> &'static Plugin {
    let shared = Shared::default();
    let inside = Arc::clone(&shared);
    let function = Function::of_i64("f", move |_, handle| {
        if let Some(plugin) = inside.get() {
            work(plugin);
        }
        handle
    });
    let plugin = Box::leak(Box::new(Plugin::new(&caller_of_f(""), &[&function])));
    shared.set(plugin).expect("set once");
    plugin
}

#[test]
fn a_plugin_cannot_be_called_inside_its_call_but_asked() {
    let plugin = plugin(|plugin| {
        assert_eq!(plugin.error(), None);
        assert_eq!(plugin.call("run", b"inside"), -1);
        assert!(plugin.refusal().contains("inside its own call"), "{}", plugin.refusal());
        assert_eq!(plugin.output(), b"", "not null, and empty");
        assert!(!plugin.reset());
        assert_eq!(ffi::extism_plugin_fuel_consumed(plugin.0), 0);
        assert!(plugin.has(c"run") && !plugin.has(c"f"));
        assert!(plugin.configure(r#"{"key": "value"}"#) && !plugin.configure("7"));
        assert!(!ffi::extism_plugin_id(plugin.0).is_null());
        assert!(!plugin.cancel_handle().0.is_null());
        ffi::extism_plugin_allow_http_response_headers(plugin.0);
    });
    assert_eq!(plugin.output_of("run", b"first"), b"first");
    assert_eq!(plugin.output_of("run", b"second"), b"second");
}

#[test]
fn a_failure_inside_is_told_until_the_call_ends_well() {
    let plugin = plugin(|plugin| assert_eq!(plugin.call("run", b""), -1));
    assert_eq!((plugin.call("run", b""), plugin.error()), (0, None));
}

#[test]
fn another_plugin_does_not_help() {
    let inner = Arc::new(AtomicU32::new(0));
    let calls = Arc::clone(&inner);
    let plugin = plugin(move |plugin| {
        let token = plugin.0.addr();
        let counted = Arc::clone(&calls);
        let back = Function::of_i64("f", move |_, handle| {
            let name = c"run";
            let plugin = std::ptr::without_provenance_mut(token);
            #[expect(unsafe_code, reason = "a C function")]
            // SAFETY: the name is NUL-terminated, and there is no input.
            let code = unsafe { ffi::extism_plugin_call(plugin, name.as_ptr(), std::ptr::null(), 0) };
            counted.fetch_add(u32::from(code == -1), Ordering::Relaxed);
            handle
        });
        assert_eq!(Plugin::new(&caller_of_f(""), &[&back]).output_of("run", b"y"), b"y");
    });
    assert_eq!(plugin.output_of("run", b"x"), b"x");
    assert_eq!(inner.load(Ordering::Relaxed), 1);
}

/// Makes a plugin whose callback does the same, `depth` times, and uses the memory of the plugin with the token `outer`.
fn nested(depth: u32, outer: usize) {
    let function = Function::of_i64("f", move |current, handle| {
        let outer = Current(std::ptr::without_provenance_mut(outer));
        let theirs = outer.alloc(100_000);
        assert!(outer.0.is_null() || outer.length(theirs) == 100_000);
        let block = current.block(b"mine");
        if depth > 0 {
            nested(depth - 1, current.0.addr());
        }
        assert_eq!(current.bytes(block), b"mine");
        handle
    });
    assert_eq!(Plugin::new(&caller_of_f(""), &[&function]).output_of("run", b"x"), b"x");
}

#[test]
fn sixty_plugins_call_each_other() {
    // As large as a main thread's.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(|| nested(60, 0)).expect("a thread");
    thread.join().expect("no panic");
}

#[test]
fn a_cancellation_inside_takes_effect_on_return() {
    let plugin = plugin(|plugin| {
        assert!(plugin.cancel_handle().cancel());
        assert!(plugin.has(c"run"));
    });
    assert_eq!(plugin.call("run", b""), 134);
    assert_eq!(plugin.refusal(), "timeout: cancelled");
}

#[test]
fn a_cancellation_while_the_start_function_runs_again_is_one_too() {
    let shared = Shared::default();
    let inside = Arc::clone(&shared);
    let cancels = Function::of_i64("f", move |_, argument| {
        if argument == 77
            && let Some(plugin) = inside.get()
        {
            assert!(plugin.cancel_handle().cancel());
        }
        argument
    });
    let start = r#"(func $start (drop (call $f (i64.const 77)))) (start $start) (func (export "trap") unreachable)"#;
    let plugin = Box::leak(Box::new(Plugin::new(&caller_of_f(start), &[&cancels])));
    assert!(shared.set(plugin).is_ok(), "set once");
    assert_eq!((plugin.call("run", b""), plugin.call("trap", b"")), (0, 134));
    // The call makes a new instance first.
    assert_eq!(plugin.call("run", b""), 134);
    assert!(
        plugin.refusal().starts_with("timeout: ") && plugin.refusal().contains("cancelled"),
        "{}",
        plugin.refusal()
    );
}

#[test]
fn another_thread_cancels_while_a_callback_runs() {
    let function = Function::of_i64("f", |_, handle| {
        std::thread::sleep(Duration::from_millis(100));
        handle
    });
    let plugin = Plugin::new(&caller_of_f(""), &[&function]);
    let CancelHandle(handle) = plugin.cancel_handle();
    let token = handle.addr();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            assert!(CancelHandle(std::ptr::without_provenance(token)).cancel());
        });
        assert_eq!(plugin.call("run", b""), 134);
    });
    assert!(begin.elapsed() >= Duration::from_millis(100), "callbacks are not interrupted");
}
