//! Threads and processes that want the same module at once: one fetches it, and the others wait, but not for ever.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{DIR, ONE, alone, by_url, kept, with_entry, with_hash};
use crate::child;
use crate::host::{Context, sha256};
use crate::server::{Server, Step, answer};

/// 16 processes of 64 threads each.
#[test]
fn many_who_want_the_same_at_once_ask_once() {
    const TEST: &str = "http::downloads::together::many_who_want_the_same_at_once_ask_once";
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        let entry = if std::env::var_os("HASH").is_some() { with_hash(&url, ONE) } else { by_url(&url) };
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    let manifest = with_entry(&entry, &json!({"timeout_ms": 60_000}));
                    assert_eq!(Context::new().plugin(manifest).call_only("run", b""), 1);
                });
            }
        });
        return;
    }
    for hash in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let started = Arc::new(AtomicUsize::new(0));
        // Answers when all processes have started.
        let server = Server::start({
            let started = Arc::clone(&started);
            move |_| {
                let patience = Instant::now() + Duration::from_secs(30);
                while started.load(Ordering::SeqCst) < 16 && Instant::now() < patience {
                    thread::sleep(Duration::from_millis(5));
                }
                // Gives them time to look in the cache.
                thread::sleep(Duration::from_millis(1500));
                answer("200 OK", &[("etag", "\"one\"")], ONE)
            }
        });
        let children: Vec<_> = (0..16)
            .map(|_| {
                let mut command = child::command(TEST, "load");
                command.env(DIR, folder.path()).env("URL", server.url("/"));
                if hash {
                    command.env("HASH", "1");
                }
                started.fetch_add(1, Ordering::SeqCst);
                command.spawn().expect("the tests can be run again")
            })
            .collect();
        for mut child in children {
            assert!(child.wait().expect("ours").success(), "hash: {hash}");
        }
        // Without a hash, a late process asks whether the module has changed.
        let fetched = server.seen().iter().filter(|seen| hash || seen.header("if-none-match").is_none()).count();
        assert_eq!(fetched, 1, "hash: {hash}");
    }
}

/// Behind a server that stalls, each plugin waits for the same module no longer than its own deadline.
#[test]
fn waiting_for_another_ends_at_the_deadline() {
    alone("downloads::together::waiting_for_another_ends_at_the_deadline", &[], |cache| {
        let server = Server::always(vec![Step::Stall]);
        let entry = with_hash(&server.url("/"), ONE);
        let timed = |timeout: u64| {
            let start = Instant::now();
            let error = Context::new().refusal(with_entry(&entry, &json!({"timeout_ms": timeout})));
            (start.elapsed(), error)
        };
        thread::scope(|scope| {
            let first = scope.spawn(|| timed(1500));
            while server.seen().is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            let (took, error) = timed(200);
            assert!(took < Duration::from_millis(1000), "{took:?}");
            assert_eq!(error, format!("`{}`: timeout while somebody else fetches it", server.url("/")));
            let (took, error) = first.join().expect("no panic");
            assert!(took < Duration::from_millis(2500) && error.contains("timeout"), "{took:?} {error}");
        });
        assert_eq!((server.seen().len(), kept(cache, "locks")), (1, BTreeMap::new()));
    });
}

#[test]
fn who_is_killed_in_the_middle_leaves_nothing_wrong() {
    const TEST: &str = "http::downloads::together::who_is_killed_in_the_middle_leaves_nothing_wrong";
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        let manifest = with_entry(&with_hash(&url, ONE), &json!({"timeout_ms": 60_000}));
        Context::new().plugin(manifest);
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let slow = Arc::new(Mutex::new(true));
    let server = Server::start({
        let slow = Arc::clone(&slow);
        move |_| match *slow.lock().unwrap_or_else(PoisonError::into_inner) {
            false => answer("200 OK", &[], ONE),
            true => vec![
                Step::Send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", ONE.len(), &ONE[..9]).into()),
                Step::Stall,
            ],
        }
    });
    let start = || {
        let mut command = child::command(TEST, "load");
        command.env(DIR, folder.path()).env("URL", server.url("/")).spawn().expect("the tests can be run again")
    };
    let mut killed = start();
    while server.seen().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    let mut waiting = start();
    thread::sleep(Duration::from_millis(100));
    assert_eq!(server.seen().len(), 1, "the second waits for the first");
    *slow.lock().unwrap_or_else(PoisonError::into_inner) = false;
    killed.kill().expect("ours");
    killed.wait().expect("ours");
    assert!(waiting.wait().expect("ours").success());
    assert_eq!(server.seen().len(), 2, "the second fetched it itself");
    assert_eq!(kept(folder.path(), "modules"), BTreeMap::from([(sha256(ONE), ONE.into())]));
    assert_eq!(kept(folder.path(), "locks"), BTreeMap::new());
}
