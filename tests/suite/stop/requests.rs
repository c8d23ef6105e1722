//! Requests of plugins that are stopped.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{CANCELLED, LATE, timed};
use crate::host::{Context, Plugin, manifest};
use crate::server::{Server, Step};

/// The connection of a stopped request is closed: the server sees the client leave.
#[test]
fn requests_are_dropped() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    let cases = [
        ("waits for the head", vec![Step::Stall]),
        ("has half of the head", vec![Step::Send(head[..20].to_vec()), Step::Stall]),
        ("waits for the body", vec![Step::Send(head.clone()), Step::Stall]),
        ("reads the body", vec![Step::Send(head), Step::Repeat(b"x".to_vec(), Duration::from_millis(10))]),
    ];
    for (case, steps) in cases {
        let server = Server::always(steps);
        let query = json!({"url": server.url("/")}).to_string();
        let mut asked = 0;
        crate::http::with_kitchens(r#""allowed_hosts": ["127.0.0.1"]"#, |abi, plugin| {
            let handle = plugin.cancel_handle();
            let start = Instant::now();
            asked += 1;
            thread::scope(|scope| {
                let running = scope.spawn(|| plugin.call("http", &query));
                while server.seen().len() < asked {
                    thread::sleep(Duration::from_millis(1));
                }
                thread::sleep(Duration::from_millis(50));
                assert!(handle.cancel());
                assert_eq!(running.join().expect("no panic").error(), CANCELLED, "{abi}: {case}");
            });
            while server.left() < asked {
                assert!(start.elapsed() < LATE, "{abi}: {case}: the connection is still there");
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(plugin.call_only("output_twice", b"x"), 0, "{abi}");
        });
    }
}

/// Sends its input as a request, without a body, or with one of zeros.
const MODULE: &str = r#"(module
    (import "env" "extism_input_length" (func $length (result i64)))
    (import "env" "extism_input_load_u8" (func $input (param i64) (result i32)))
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u8" (func $store (param i64 i32)))
    (import "env" "extism_http_request" (func $request (param i64 i64) (result i64)))
    (global $begun (mut i32) (i32.const 0))
    (func $ask (param $body i64) (result i32) (local $n i64) (local $query i64)
        (global.set $begun (i32.const 1))
        (local.set $query (call $alloc (call $length)))
        (loop
            (call $store (i64.add (local.get $query) (local.get $n)) (call $input (local.get $n)))
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (br_if 0 (i64.lt_u (local.get $n) (call $length))))
        (drop (call $request (local.get $query) (local.get $body)))
        (global.set $begun (i32.const 0))
        (i32.const 0))
    (func (export "ask") (result i32) (call $ask (i64.const 0)))
    (func (export "ask_with_little") (result i32) (call $ask (call $alloc (i64.const 1))))
    (func (export "ask_with_much") (result i32) (call $ask (call $alloc (i64.const 0x1e00000))))
    (func (export "begun") (result i32) (global.get $begun)))"#;

/// Threads that connect or look up a host cannot be ended: their number, and the memory they hold, are bounded.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library does not bound what waits to be accepted")]
#[test]
fn requests_that_go_on_are_few() {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;
    // Nobody can connect here, as the queue of connections is full and nobody accepts them.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    // SAFETY: the descriptor is a socket.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let address = listener.local_addr().expect("it is bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    let query = json!({"url": format!("http://{address}/"), "method": "POST"}).to_string();
    let context = Context::new();
    let may_ask = super::with(&manifest(MODULE, ""), "allowed_hosts", json!(["127.0.0.1"]));
    let cancelled = |plugin: &Plugin<'_>, function: &str| {
        let handle = plugin.cancel_handle();
        thread::scope(|scope| {
            let running = scope.spawn(|| plugin.call(function, &query).error().to_owned());
            // Time to begin connecting, which a slow machine may exceed.
            thread::sleep(Duration::from_millis(50));
            while !handle.cancel() && !running.is_finished() {
                thread::yield_now();
            }
            running.join().expect("no panic")
        })
    };
    let refused = |plugin: &Plugin<'_>, function: &str| {
        let mut errors = (0..50).map(|_| cancelled(plugin, function)).enumerate();
        errors.find(|(_, error)| error != CANCELLED).expect("not all may go on")
    };

    crate::http::with_kitchens(r#""allowed_hosts": ["127.0.0.1"]"#, |abi, plugin| {
        let (number, error) = refused(&plugin, "http");
        assert!(number >= 8 && error.contains("8 threads of earlier ones"), "{abi}: {number}: {error}");
        assert_eq!(refused(&plugin, "http"), (0, error), "{abi}");
    });

    let plugin = context.plugin(&may_ask);
    let (number, error) = refused(&plugin, "ask_with_much");
    let held = "its body of 31457280 bytes has to wait: earlier ones, which were stopped, still hold 62914560";
    assert!(number >= 2 && error.contains(held), "{number}: {error}");
    assert_eq!(cancelled(&plugin, "ask_with_little"), CANCELLED);

    crate::http::with_kitchens("", |abi, plugin| {
        let too_long = plugin.call("http", json!({"url": "x".repeat(2 << 20)}).to_string());
        assert!(too_long.error().contains("at most 1048576"), "{abi}: {too_long:?}");
    });
}

/// The host function or the call may see the deadline first; in either case the instance is not used again.
#[test]
fn a_request_that_is_late_leaves_nothing_half_done() {
    let server = Server::always(vec![Step::Stall]);
    let query = json!({"url": server.url("/")}).to_string();
    let context = Context::new();
    let plugin = context.plugin(super::with(&timed(MODULE, 50), "allowed_hosts", json!(["127.0.0.1"])));
    for _ in 0..5 {
        let error = plugin.call("ask", &query).error().to_owned();
        assert!(error.contains("timeout"), "{error}");
        assert_eq!(plugin.call_only("begun", b""), 0, "{error}");
    }
}
