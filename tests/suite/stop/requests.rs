//! Requests of plugins that are stopped.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{CANCELLED, LATE};
use crate::server::{Server, Step};

/// What was asked for is given up, too: the server sees that nobody is there any more.
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

/// Nothing can end a thread that connects, or looks up a host: there are not many of them.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library does not bound what waits to be accepted")]
#[test]
fn requests_that_go_on_are_few() {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;
    // One at which nobody can connect, as nobody takes what has connected before.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    // SAFETY: it is a socket.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let address = listener.local_addr().expect("it is bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    let query = json!({"url": format!("http://{address}/")}).to_string();
    crate::http::with_kitchens(r#""allowed_hosts": ["127.0.0.1"]"#, |abi, plugin| {
        let handle = plugin.cancel_handle();
        let cancelled = || {
            thread::scope(|scope| {
                let running = scope.spawn(|| plugin.call("http", &query).error().to_owned());
                thread::sleep(Duration::from_millis(50));
                handle.cancel();
                running.join().expect("no panic")
            })
        };
        let errors: Vec<_> = (0..10).map(|_| cancelled()).collect();
        let refused = errors.iter().filter(|error| error.contains("8 threads of earlier ones")).count();
        assert_eq!((refused, errors[7].as_str()), (2, CANCELLED), "{abi}: {errors:?}");
    });
    crate::http::with_kitchens("", |abi, plugin| {
        let too_long = plugin.call("http", json!({"url": "x".repeat(2 << 20)}).to_string());
        assert!(too_long.error().contains("at most 1048576"), "{abi}: {too_long:?}");
    });
}
