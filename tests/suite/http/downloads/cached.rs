//! Modules that were fetched before: used again, checked for newer ones, fetched anew if broken, and removed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::{DIR, ONE, TWO, alone, by_url, kept, load, serving, with_hash};
use crate::child;
use crate::host::sha256;
use crate::log::warnings;
use crate::server::{Server, answer};

#[test]
fn with_a_hash_the_network_is_asked_once() {
    alone("downloads::cached::with_a_hash_the_network_is_asked_once", &[], |cache| {
        let server = serving(ONE);
        let entry = with_hash(&server.url("/"), ONE);
        assert_eq!((load(&entry), load(&entry), server.seen().len()), (Ok(1), Ok(1), 1));
        // A hash identifies a module at any address.
        drop(server);
        assert_eq!(load(&with_hash("http://127.0.0.1:1/", ONE)), Ok(1));
        assert_eq!(kept(cache, "locks"), BTreeMap::new());
        let mode = fs::metadata(cache.join("downloads")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    });
}

#[test]
fn what_is_kept_and_broken_is_fetched_again() {
    alone("downloads::cached::what_is_kept_and_broken_is_fetched_again", &[], |cache| {
        let server = serving(ONE);
        let (plain, hashed) = (by_url(&server.url("/")), with_hash(&server.url("/"), ONE));
        assert_eq!(load(&plain), Ok(1));
        let file = cache.join("downloads/modules").join(sha256(ONE));
        let breaks: [(&str, &dyn Fn()); 6] = [
            ("another module", &|| fs::write(&file, TWO).expect("writable")),
            ("cut off", &|| fs::write(&file, &ONE[..9]).expect("writable")),
            ("empty", &|| fs::write(&file, "").expect("writable")),
            ("writable by others", &|| fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("ours")),
            ("a link", &|| {
                fs::write(cache.join("elsewhere"), ONE).expect("writable");
                fs::remove_file(&file).expect("there");
                symlink(cache.join("elsewhere"), &file).expect("writable");
            }),
            ("gone", &|| fs::remove_file(&file).expect("there")),
        ];
        for (name, damage) in breaks {
            for entry in [&plain, &hashed] {
                let asked = server.seen().len();
                damage();
                assert_eq!(load(entry), Ok(1), "{name}");
                assert_eq!(server.seen().len(), asked + 1, "{name}");
                assert_eq!(kept(cache, "modules"), BTreeMap::from([(sha256(ONE), ONE.into())]), "{name}");
                assert!(!fs::symlink_metadata(&file).expect("there").is_symlink(), "{name}");
            }
        }
        for nonsense in ["", "{}", "null", "{\"sha256\": \"../../x\", \"checked\": 1}"] {
            let (key, _) = kept(cache, "addresses").pop_first().expect("one");
            fs::write(cache.join("downloads/addresses").join(key), nonsense).expect("writable");
            assert_eq!(load(&plain), Ok(1), "{nonsense}");
        }
    });
}

/// A server whose module changes with the returned number, and which answers 304 while it has not changed.
fn changing(validators: &'static [&'static str]) -> (Server, Arc<AtomicUsize>) {
    let version = Arc::new(AtomicUsize::new(1));
    let current = Arc::clone(&version);
    let server = Server::start(move |seen| {
        let version = current.load(Ordering::SeqCst);
        let (etag, date) = (format!("\"v{version}\""), format!("Sun, 22 Nov 2026 10:00:0{version} GMT"));
        let is_same = seen.header("if-none-match") == Some(&etag) || seen.header("if-modified-since") == Some(&date);
        if is_same {
            return answer("304 Not Modified", &[], "");
        }
        let all = [("etag", etag.as_str()), ("last-modified", date.as_str())];
        let headers: Vec<_> = all.into_iter().filter(|(name, _)| validators.contains(name)).collect();
        answer("200 OK", &headers, if version == 1 { ONE } else { TWO })
    });
    (server, version)
}

#[test]
fn without_a_hash_the_server_says_whether_there_is_something_newer() {
    alone("downloads::cached::without_a_hash_the_server_says_whether_there_is_something_newer", &[], |cache| {
        for validators in [&["etag"] as &[&str], &["last-modified"], &["etag", "last-modified"], &[]] {
            let (server, version) = changing(validators);
            let entry = by_url(&server.url("/"));
            assert_eq!((load(&entry), load(&entry)), (Ok(1), Ok(1)), "{validators:?}");
            version.store(2, Ordering::SeqCst);
            assert_eq!((load(&entry), load(&entry)), (Ok(2), Ok(2)), "{validators:?}");
            let conditional = |name: &str| server.seen().iter().filter(|seen| seen.header(name).is_some()).count();
            let expected = |name: &str| if validators.contains(&name) { 3 } else { 0 };
            assert_eq!(conditional("if-none-match"), expected("etag"), "{validators:?}");
            assert_eq!(conditional("if-modified-since"), expected("last-modified"), "{validators:?}");
            assert_eq!(server.seen().len(), 4, "{validators:?}");
            // A request with other headers may get another module, so it is not conditional.
            assert_eq!(load(&json!({"url": server.url("/"), "headers": {"a": "b"}})), Ok(2));
            assert_eq!(server.seen()[4].header("if-none-match"), None);
            let url = server.url("/");
            drop(server);
            let error = load(&by_url(&url)).expect_err("nobody can be asked");
            assert!(error.contains(&url), "{error}");
        }
        assert_eq!(kept(cache, "modules").len(), 2);
    });
}

/// Validators from one address are not sent to another address, even if the first redirects there.
#[test]
fn validators_are_those_of_one_address() {
    alone("downloads::cached::validators_are_those_of_one_address", &[], |_| {
        for (name, value) in [("last-modified", "Tue, 01 Jan 1980 00:00:00 GMT"), ("etag", "\"1\"")] {
            let target = Arc::new(Mutex::new("/v1"));
            let server = Server::start({
                let target = Arc::clone(&target);
                move |seen| match seen.path() {
                    "/latest" => {
                        answer("302 Found", &[("location", *target.lock().unwrap_or_else(PoisonError::into_inner))], "")
                    }
                    _ if seen.head.contains("\r\nif-") => answer("304 Not Modified", &[], ""),
                    path => answer("200 OK", &[(name, value)], if path == "/v1" { ONE } else { TWO }),
                }
            });
            let entry = by_url(&server.url("/latest"));
            assert_eq!((load(&entry), load(&entry)), (Ok(1), Ok(1)), "{name}");
            let conditional = |path: &str| {
                let seen = server.seen();
                seen.iter().filter(|seen| seen.path() == path && seen.head.contains("\r\nif-")).count()
            };
            assert_eq!((conditional("/latest"), conditional("/v1")), (0, 1), "{name}");
            *target.lock().unwrap_or_else(PoisonError::into_inner) = "/v2";
            assert_eq!(load(&entry), Ok(2), "{name}");
            assert_eq!((conditional("/latest"), conditional("/v2")), (0, 0), "{name}");
        }
    });
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    alone("downloads::cached::what_is_not_to_be_kept_is_not", &[], |cache| {
        let server =
            Server::start(|_| answer("200 OK", &[("etag", "\"a\""), ("cache-control", "private, No-Store")], ONE));
        assert_eq!((load(&by_url(&server.url("/"))), load(&by_url(&server.url("/")))), (Ok(1), Ok(1)));
        assert!(kept(cache, "modules").is_empty() && server.seen()[1].header("if-none-match").is_none());
        // A module with a hash is kept: the same bytes cannot be out of date.
        let entry = with_hash(&server.url("/"), ONE);
        assert_eq!((load(&entry), load(&entry), server.seen().len()), (Ok(1), Ok(1), 3));
    });
}

#[test]
fn offline_only_what_is_kept_is_there() {
    const TEST: &str = "http::downloads::cached::offline_only_what_is_kept_is_there";
    let entries = |url: &str| [by_url(url), with_hash(url, ONE)];
    match child::case().as_deref() {
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            let (server, _) = changing(&["etag"]);
            let url = server.url("/");
            let run = |case: &str, offline: &str| {
                let variables =
                    [(DIR, folder.path().as_os_str()), ("URL", url.as_ref()), ("EXTISM_OFFLINE", offline.as_ref())];
                child::run(TEST, case, &variables);
            };
            run("absent", "1");
            assert_eq!(server.seen().len(), 0);
            run("there", "0");
            let asked = server.seen().len();
            run("there", "1");
            assert_eq!(server.seen().len(), asked);
            drop(server);
            run("there", "1");
        }
        Some(case) => {
            let url = std::env::var("URL").expect("the parent sets it");
            for entry in entries(&url) {
                let expected = format!("`{url}`: not on disk, and EXTISM_OFFLINE forbids to fetch it");
                assert_eq!(load(&entry), if case == "there" { Ok(1) } else { Err(expected) });
            }
        }
    }
}

#[test]
fn what_is_kept_has_a_bound() {
    alone("downloads::cached::what_is_kept_has_a_bound", &[("EXTISM_CACHE_MAX_BYTES", "200000")], |cache| {
        let module = |number: &str| {
            format!("(module (func (export \"run\") (result i32) (i32.const {number}))){}", " ".repeat(40_000))
        };
        let server = Server::start(move |seen| answer("200 OK", &[], module(&seen.path()[1..])));
        for number in 1..=8 {
            assert_eq!(load(&by_url(&server.url(&format!("/{number}")))), Ok(number));
            // File times count in seconds: all files become ten seconds older.
            for file in
                fs::read_dir(cache.join("downloads/modules")).expect("there").map(|file| file.expect("readable").path())
            {
                let file = fs::File::options().write(true).open(file).expect("ours");
                let older = file.metadata().expect("there").modified().expect("a time") - Duration::from_secs(10);
                file.set_modified(older).expect("ours");
            }
        }
        let left: Vec<_> =
            kept(cache, "modules").into_values().map(|bytes| String::from_utf8(bytes).expect("text")).collect();
        assert_eq!(left.len(), 4);
        for number in 5..=8 {
            assert!(left.iter().any(|text| text.contains(&format!("i32.const {number}"))), "{number} is gone");
        }
        let large = Server::start(|_| answer("200 OK", &[], format!("{ONE}{}", " ".repeat(300_000))));
        let warned = warnings(|| assert_eq!(load(&by_url(&large.url("/"))), Ok(1)));
        assert!(warned.iter().any(|line| line.contains("larger than EXTISM_CACHE_MAX_BYTES")), "{warned:?}");
        assert_eq!(kept(cache, "modules").len(), 4);
    });
}
