//! Modules by `url`: verified, kept on disk, fetched once. Every test has a process and a directory of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child;
use crate::host::{Context, sha256};
use crate::log::warnings;
use crate::server::{Server, Step, answer};

const DIR: &str = "EXTISM_CACHE_DIR";

/// A module that answers 1.
const ONE: &str = "(module (func (export \"run\") (result i32) (i32.const 1)))";

/// A module that answers 2.
const TWO: &str = "(module (func (export \"run\") (result i32) (i32.const 2)))";

/// Runs `body` as the test of this name, in a process with an empty cache and these variables.
pub(super) fn alone(test: &str, variables: &[(&str, &str)], body: impl FnOnce(&Path)) {
    match child::case() {
        Some(_) => body(Path::new(&std::env::var_os(DIR).expect("the parent sets it"))),
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("cache");
            let variables = variables.iter().map(|(name, value)| (*name, OsStr::new(value)));
            let variables: Vec<_> = variables.chain([(DIR, path.as_os_str())]).collect();
            drop(child::run(&format!("http::{test}"), "", &variables));
        }
    }
}

fn with_entry(entry: &Value, keys: &Value) -> String {
    let mut manifest = json!({"wasm": [entry], "timeout_ms": 2000});
    let object = manifest.as_object_mut().expect("an object");
    object.extend(keys.as_object().cloned().unwrap_or_default());
    manifest.to_string()
}

/// The answer of the module of this entry, or the error.
fn load(entry: &Value) -> Result<i32, String> {
    let context = Context::new();
    context.create(with_entry(entry, &json!({})), false).map(|plugin| plugin.call_only("run", b""))
}

fn by_url(url: &str) -> Value {
    json!({"url": url})
}

fn with_hash(url: &str, module: &str) -> Value {
    json!({"url": url, "hash": sha256(module)})
}

fn serving(module: &'static str) -> Server {
    Server::start(move |_| answer("200 OK", &[], module))
}

/// The files of one kind in the download cache, with their contents.
fn kept(cache: &Path, kind: &str) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(cache.join("downloads").join(kind)).into_iter().flatten();
    let contents = |path: PathBuf| {
        (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(path).expect("readable"))
    };
    files.map(|file| contents(file.expect("readable").path())).collect()
}

/// All files of the download cache.
pub(super) fn all_kept(cache: &Path) -> Vec<BTreeMap<String, Vec<u8>>> {
    ["modules", "addresses", "locks"].map(|kind| kept(cache, kind)).to_vec()
}

#[test]
fn a_module_is_asked_for_as_the_manifest_says() {
    alone("downloads::a_module_is_asked_for_as_the_manifest_says", &[], |_| {
        let server = serving(ONE);
        let entry = json!({
            "url": server.url("/a.wasm?b=c"), "method": "post", "headers": {"X-Token": "secret", "Host": "evil.test"}
        });
        assert_eq!(load(&entry), Ok(1));
        let seen = &server.seen()[0];
        assert!(seen.head.starts_with("POST /a.wasm?b=c HTTP/1.1\r\n"), "{}", seen.head);
        assert_eq!(seen.header("x-token"), Some("secret"));
        assert_eq!(seen.header("host"), Some(format!("127.0.0.1:{}", server.port()).as_str()));
        let old = json!({"url": server.url("/"), "header": [["X-Token", "secret"]]});
        assert_eq!((load(&old), server.seen()[1].header("x-token")), (Ok(1), Some("secret")));
    });
}

#[test]
fn a_hash_in_any_case_is_checked_before_anything_is_kept() {
    alone("downloads::a_hash_in_any_case_is_checked_before_anything_is_kept", &[], |cache| {
        let server = serving(ONE);
        let expected = sha256(TWO);
        let (found, url) = (sha256(ONE), server.url("/"));
        let what = format!("`{url}` is not what the manifest's `hash` is of");
        let mismatch = format!("Hash mismatch, found {found} but expected {expected}: {what}");
        assert_eq!(load(&json!({"url": server.url("/"), "hash": expected})), Err(mismatch));
        assert!(kept(cache, "modules").is_empty() && kept(cache, "addresses").is_empty());
        assert_eq!(load(&json!({"url": server.url("/"), "hash": sha256(ONE).to_uppercase()})), Ok(1));
        assert_eq!(kept(cache, "modules"), BTreeMap::from([(sha256(ONE), ONE.into())]));
        let asked = server.seen().len();
        for hash in ["", "../../etc/passwd", "00", &"g".repeat(64)] {
            let error = load(&json!({"url": server.url("/"), "hash": hash})).expect_err("no hash");
            assert_eq!(error, format!("hash of module `main`: `{hash}` is not the 64 hex digits of a SHA-256"));
        }
        assert_eq!(server.seen().len(), asked, "nobody is asked for what cannot be");
    });
}

#[test]
fn addresses_that_are_none_or_of_other_kinds_are_refused() {
    alone("downloads::addresses_that_are_none_or_of_other_kinds_are_refused", &[], |cache| {
        let cases = [
            ("file:///etc/passwd", "`file:///etc/passwd`: only http and https addresses can be fetched"),
            ("data:application/wasm;base64,AGFzbQEAAAA=", "only http and https"),
            ("ftp://127.0.0.1/a.wasm", "only http and https"),
            ("a.wasm", "Invalid URL: `a.wasm`: relative URL without a base"),
            ("", "Invalid URL: ``"),
            ("http://", "empty host"),
        ];
        for (url, expected) in cases {
            for entry in [by_url(url), with_hash(url, ONE)] {
                let error = load(&entry).expect_err(url);
                assert!(error.contains(expected), "{url}: {error}");
            }
        }
        assert!(kept(cache, "modules").is_empty());
    });
}

#[test]
fn a_status_that_is_no_module_is_named() {
    alone("downloads::a_status_that_is_no_module_is_named", &[], |cache| {
        let server = Server::start(|seen| answer(&format!("{} Reason", &seen.path()[1..]), &[], ONE));
        for status in ["201", "206", "300", "304", "404", "500"] {
            let url = server.url(&format!("/{status}"));
            let error = load(&by_url(&url)).expect_err(status);
            assert_eq!(error, format!("`{url}`: the server answered with status {status}, not with a module"));
        }
        assert!(kept(cache, "modules").is_empty());
    });
}

#[test]
fn with_a_hash_the_network_is_asked_once() {
    alone("downloads::with_a_hash_the_network_is_asked_once", &[], |cache| {
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
    alone("downloads::what_is_kept_and_broken_is_fetched_again", &[], |cache| {
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
    alone("downloads::without_a_hash_the_server_says_whether_there_is_something_newer", &[], |cache| {
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
    alone("downloads::validators_are_those_of_one_address", &[], |_| {
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
fn a_module_may_be_elsewhere_but_the_manifests_headers_stay() {
    alone("downloads::a_module_may_be_elsewhere_but_the_manifests_headers_stay", &[], |_| {
        let other = serving(ONE);
        let target = format!("http://localhost:{}/", other.port());
        let server = Server::start(move |_| answer("307 Elsewhere", &[("location", &target)], ""));
        let headers = json!({"authorization": "secret", "x-token": "secret", "accept": "application/wasm"});
        assert_eq!(load(&json!({"url": server.url("/"), "headers": headers, "hash": sha256(ONE)})), Ok(1));
        let names = ["authorization", "x-token", "accept"];
        assert_eq!(names.map(|name| server.seen()[0].header(name).is_some()), [true; 3]);
        assert_eq!(names.map(|name| other.seen()[0].header(name).is_some()), [false, false, true]);
    });
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    alone("downloads::what_is_not_to_be_kept_is_not", &[], |cache| {
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
    const TEST: &str = "http::downloads::offline_only_what_is_kept_is_there";
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
    alone("downloads::what_is_kept_has_a_bound", &[("EXTISM_CACHE_MAX_BYTES", "200000")], |cache| {
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

#[test]
fn a_module_has_a_limit_wherever_it_is_from() {
    alone("downloads::a_module_has_a_limit_wherever_it_is_from", &[("EXTISM_MAX_MODULE_BYTES", "70")], |cache| {
        let long = format!("{ONE}{}", " ".repeat(100));
        let exact = format!("{ONE}{}", " ".repeat(70 - ONE.len()));
        let bodies = [exact.clone(), long];
        let server = Server::start(move |seen| answer("200 OK", &[], &bodies[usize::from(seen.path() == "/long")]));
        assert_eq!(load(&by_url(&server.url("/exact"))), Ok(1));
        let error = load(&by_url(&server.url("/long"))).expect_err("too long");
        let url = server.url("/long");
        assert_eq!(
            error,
            format!("`{url}`: the answer is longer than the limit of 70 bytes (EXTISM_MAX_MODULE_BYTES)")
        );
        assert_eq!(kept(cache, "modules"), BTreeMap::from([(sha256(&exact), exact.into_bytes())]));
    });
}

/// 16 processes of 64 threads each.
#[test]
fn many_who_want_the_same_at_once_ask_once() {
    const TEST: &str = "http::downloads::many_who_want_the_same_at_once_ask_once";
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
    alone("downloads::waiting_for_another_ends_at_the_deadline", &[], |cache| {
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
    const TEST: &str = "http::downloads::who_is_killed_in_the_middle_leaves_nothing_wrong";
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

/// Files of more than 100 blocks of 512 bytes cannot be written, as on a full disk.
#[test]
fn on_a_full_disk_the_module_is_used_and_not_kept() {
    const TEST: &str = "http::downloads::on_a_full_disk_the_module_is_used_and_not_kept";
    let long = format!("{ONE}{}", " ".repeat(100_000));
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        let cache = PathBuf::from(std::env::var_os(DIR).expect("the parent sets it"));
        for entry in [by_url(&url), with_hash(&url, &long)] {
            assert_eq!(load(&entry), Ok(1));
            assert!(kept(&cache, "modules").is_empty() && kept(&cache, "addresses").is_empty());
        }
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(move |_| answer("200 OK", &[], &long));
    let child = child::command(TEST, "load");
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh"])
        .arg(child.get_program())
        .args(child.get_args());
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = command.env(DIR, folder.path()).env("URL", server.url("/")).status().expect("there is a shell");
    assert!(status.success());
    assert_eq!(server.seen().len(), 2);
}

/// A file system of one block, and one that is read-only: the module is fetched each time, and runs.
#[test]
fn where_nothing_can_be_written_modules_are_fetched() {
    const TEST: &str = "http::downloads::where_nothing_can_be_written_modules_are_fetched";
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        let warned = warnings(|| assert_eq!((load(&by_url(&url)), load(&with_hash(&url, ONE))), (Ok(1), Ok(1))));
        let expected = std::env::var("EXPECTED").expect("the parent sets it");
        assert!(warned.iter().any(|line| line.contains(&expected)), "{warned:?}");
        return;
    }
    for (options, expected) in [
        ("mode=700,size=4k,nr_inodes=2", "No space left on device"),
        ("mode=700,size=4k,nr_inodes=4", "No space left on device"),
        ("mode=700,ro", "Read-only file system"),
    ] {
        let server = serving(ONE);
        let url = server.url("/");
        let folder = tempfile::tempdir().expect("a folder");
        let variables = [(DIR, folder.path().as_ref()), ("URL", url.as_ref()), ("EXPECTED", expected.as_ref())];
        let ran = child::mounted(TEST, "mounted", (folder.path(), options), &variables);
        assert_eq!(server.seen().len(), if ran { 2 } else { 0 }, "{options}");
    }
}

/// Cache directories that are refused: the module is fetched all the same, and nothing is written.
#[test]
fn places_that_are_not_used() {
    const TEST: &str = "http::downloads::places_that_are_not_used";
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        let warned = warnings(|| {
            assert_eq!(load(&by_url(&url)), Ok(1));
            assert_eq!(load(&with_hash(&url, ONE)), Ok(1));
        });
        let expected = std::env::var("EXPECTED").expect("the parent sets it");
        assert!(warned.iter().any(|line| line.contains(&expected)), "{warned:?}");
        return;
    }
    let directory = |path: &Path, mode: u32| {
        fs::create_dir_all(path).expect("writable");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    };
    let foreign = |path: &Path| {
        directory(path, 0o700);
        // Only root can give it away; elsewhere the modes of the other cases must do.
        std::os::unix::fs::chown(path, Some(12345), None).is_ok()
    };
    let cases: [(&str, &str, &dyn Fn(&Path) -> bool); 6] = [
        ("a link", "not used", &|path| {
            directory(&path.with_file_name("target"), 0o700);
            symlink(path.with_file_name("target"), path).is_ok()
        }),
        ("a file", "not used", &|path| fs::write(path, "").is_ok()),
        ("writable by all", "others can write", &|path| {
            directory(path, 0o777);
            true
        }),
        ("another's", "belongs to user 12345", &foreign),
        ("another's downloads", "belongs to user 12345", &|path| {
            directory(path, 0o700);
            foreign(&path.join("downloads"))
        }),
        ("a link for downloads", "downloads` is not used", &|path| {
            directory(path, 0o700);
            directory(&path.with_file_name("target"), 0o700);
            symlink(path.with_file_name("target"), path.join("downloads")).is_ok()
        }),
    ];
    for (name, expected, make) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache");
        if !make(&path) {
            continue;
        }
        let server = serving(ONE);
        let url = server.url("/");
        child::run(TEST, name, &[(DIR, path.as_os_str()), ("URL", url.as_ref()), ("EXPECTED", expected.as_ref())]);
        assert_eq!(server.seen().len(), 2, "{name}");
        let target = folder.path().join("target");
        assert!(!target.exists() || fs::read_dir(target).expect("readable").next().is_none(), "{name}");
    }
}

/// A cache that another program has filled can be read where nothing can be written.
#[test]
fn a_read_only_cache_serves() {
    const TEST: &str = "http::downloads::a_read_only_cache_serves";
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        assert_eq!(load(&with_hash(&url, ONE)), Ok(1));
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = serving(ONE);
    let url = server.url("/");
    let variables = [(DIR, folder.path().as_os_str()), ("URL", url.as_ref())];
    child::run(TEST, "fill", &variables);
    let all = ["", "downloads", "downloads/modules", "downloads/locks"].map(|name| folder.path().join(name));
    let mode =
        |mode| all.iter().for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours"));
    mode(0o555);
    drop(server);
    child::run(TEST, "use", &variables);
    mode(0o755);
}
