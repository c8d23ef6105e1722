//! The requests for a module, and the answers that are taken: addresses, headers, statuses, hashes and lengths.

use std::collections::BTreeMap;

use serde_json::json;

use super::{ONE, TWO, alone, by_url, kept, load, serving, with_hash};
use crate::host::sha256;
use crate::server::{Server, answer};

#[test]
fn a_module_is_asked_for_as_the_manifest_says() {
    alone("downloads::asked::a_module_is_asked_for_as_the_manifest_says", &[], |_| {
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
fn a_module_may_be_elsewhere_but_the_manifests_headers_stay() {
    alone("downloads::asked::a_module_may_be_elsewhere_but_the_manifests_headers_stay", &[], |_| {
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
fn addresses_that_are_none_or_of_other_kinds_are_refused() {
    alone("downloads::asked::addresses_that_are_none_or_of_other_kinds_are_refused", &[], |cache| {
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
    alone("downloads::asked::a_status_that_is_no_module_is_named", &[], |cache| {
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
fn a_hash_in_any_case_is_checked_before_anything_is_kept() {
    alone("downloads::asked::a_hash_in_any_case_is_checked_before_anything_is_kept", &[], |cache| {
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
fn a_module_has_a_limit_wherever_it_is_from() {
    alone(
        "downloads::asked::a_module_has_a_limit_wherever_it_is_from",
        &[("EXTISM_MAX_MODULE_BYTES", "70")],
        |cache| {
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
        },
    );
}
