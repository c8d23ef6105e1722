//! Plugins' requests to servers that behave.

use std::ffi::OsStr;

use serde_json::{Value, json};

use crate::child;
use crate::host::{Answer, Context, Plugin, fixture, manifest};
use crate::server::{Seen, Server, Step, answer};

/// Runs `each` on the kitchen plugin of each guest ABI, with more keys of the manifest.
pub(crate) fn with_kitchens(rest: &str, mut each: impl FnMut(&str, Plugin<'_>)) {
    for abi in ["v0", "v1"] {
        let context = Context::new();
        each(abi, context.plugin(manifest(fixture(&format!("kitchen.{abi}")), rest)));
    }
}

/// An answer that describes the request: its head and body as JSON.
fn mirror(seen: &Seen) -> String {
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    json!({"head": seen.head, "body": body}).to_string()
}

fn mirroring() -> Server {
    Server::start(|seen| answer("200 OK", &[], mirror(seen)))
}

/// The request that reached a mirroring server, read from its answer.
fn seen(answer: &Answer) -> Seen {
    assert_eq!((answer.code, answer.error.as_deref()), (0, None));
    let value: Value = serde_json::from_slice(&answer.output).expect("JSON");
    let text = |key: &str| value[key].as_str().expect("a string").to_owned();
    Seen { head: text("head"), body: text("body").into_bytes() }
}

const ALL: &str = r#""allowed_hosts": ["*"]"#;

#[test]
fn a_request_arrives_as_the_plugin_wrote_it() {
    let server = mirroring();
    with_kitchens(ALL, |abi, plugin| {
        let query =
            json!({"url": server.url("/a/b?c=d#e"), "headers": {"X-One": "1", "accept": "text/plain"}, "other": 1});
        let got = seen(&plugin.call("http", query.to_string()));
        assert!(got.head.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{abi}: {}", got.head);
        let headers = ["x-one", "accept", "user-agent", "host", "content-length"].map(|name| got.header(name));
        let (agent, host) =
            (concat!("extism-wasmer/", env!("CARGO_PKG_VERSION")), format!("127.0.0.1:{}", server.port()));
        assert_eq!(headers, [Some("1"), Some("text/plain"), Some(agent), Some(host.as_str()), None], "{abi}");
    });
}

#[test]
fn a_method_has_any_case_and_a_body_if_it_is_given_one() {
    let server = mirroring();
    with_kitchens(ALL, |abi, plugin| {
        let cases =
            [("post", Some("body"), "4"), ("PUT", Some(""), "0"), ("patch", None, "0"), ("PROPFIND", Some("x"), "1")];
        for (method, body, length) in cases {
            let mut query = json!({"url": server.url("/"), "method": method}).to_string();
            if let Some(body) = body {
                query.push('\0');
                query.push_str(body);
            }
            let got = seen(&plugin.call("http", query));
            assert!(got.head.starts_with(&format!("{} / HTTP/1.1", method.to_uppercase())), "{abi}: {}", got.head);
            assert_eq!(got.body, body.unwrap_or_default().as_bytes(), "{abi} {method}");
            assert_eq!(got.header("content-length"), Some(length), "{abi} {method}");
        }
    });
}

/// The key for headers in Extism 0.1.0, and headers that only the client sets.
#[test]
fn headers_by_their_old_name_and_headers_that_a_plugin_cannot_set() {
    let server = mirroring();
    with_kitchens(ALL, |abi, plugin| {
        let headers = json!({"host": "evil.test", "Content-Length": "9", "transfer-encoding": "chunked", "x-two": "2"});
        let got = seen(&plugin.call("http", json!({"url": server.url("/"), "header": headers}).to_string()));
        assert_eq!(got.header("x-two"), Some("2"), "{abi}");
        assert_eq!(got.header("host"), Some(format!("127.0.0.1:{}", server.port()).as_str()), "{abi}");
        assert_eq!((got.header("content-length"), got.header("transfer-encoding")), (None, None), "{abi}");
    });
}

#[test]
fn user_and_password_of_an_address_are_a_header() {
    let server = mirroring();
    with_kitchens(ALL, |abi, plugin| {
        let url = format!("http://us%40er:pass@127.0.0.1:{}/", server.port());
        let got = seen(&plugin.call("http", json!({"url": url}).to_string()));
        assert_eq!(got.header("authorization"), Some("Basic dXNAZXI6cGFzcw=="), "{abi}");
    });
}

#[test]
fn statuses_of_any_kind_are_answers_with_headers_and_a_body() {
    let server = Server::start(|seen| {
        let headers = [("X-One", "1"), ("set-cookie", "a=b"), ("set-cookie", "c=d")];
        answer(&format!("{} Some Reason", &seen.path()[1..]), &headers, "the body")
    });
    with_kitchens(ALL, |abi, plugin| {
        for status in ["200", "201", "300", "304", "400", "404", "500", "599"] {
            let query = json!({"url": server.url(&format!("/{status}"))}).to_string();
            assert_eq!(plugin.answer("http_status", &query), status, "{abi}");
            let body = if status == "304" { "" } else { "the body" };
            assert_eq!(plugin.answer("http", &query), body, "{abi} {status}");
            assert_eq!(plugin.answer("http_status", ""), status, "{abi}: it is kept");
            if abi == "v1" {
                let headers: Value = serde_json::from_str(&plugin.answer("headers", "")).expect("JSON");
                assert_eq!((&headers["x-one"], &headers["set-cookie"]), (&json!("1"), &json!("a=b, c=d")));
            }
        }
    });
}

#[test]
fn what_is_no_request_is_an_error_that_says_so() {
    let cases = [
        ("not json", "http request: expected"),
        ("{}", "http request: missing field `url`"),
        (r#"{"url": "no address"}"#, "Invalid URL: `no address`"),
        (r#"{"url": "file:///etc/passwd"}"#, "only http and https"),
        (r#"{"url": "http://"}"#, "Invalid URL"),
        (r#"{"url": "http://127.0.0.1:1/", "method": "a b"}"#, "`A B` is not a method"),
        (r#"{"url": "http://127.0.0.1:1/", "method": "CONNECT"}"#, "`CONNECT` is not a method"),
        (r#"{"url": "http://127.0.0.1:1/", "headers": {"a b": "c"}}"#, "header `a b`"),
        (r#"{"url": "http://127.0.0.1:1/", "headers": {"a": "b\r\nc: d"}}"#, "header `a`"),
        (r#"{"url": "http://127.0.0.1:1/", "headers": {"a": 1}}"#, "the header `a` is not a string"),
        (r#"{"url": "http://127.0.0.1:1/"}"#, "Connection refused"),
    ];
    with_kitchens(ALL, |abi, plugin| {
        for (query, expected) in cases {
            let failed = plugin.call("http", query);
            assert_eq!(failed.code, -1, "{abi} {query}");
            assert!(failed.error().contains(expected), "{abi} {query}: {}", failed.error());
            assert_eq!(plugin.answer("http_status", ""), "0", "{abi}: the plugin can be used");
        }
    });
}

#[test]
fn nothing_is_reached_that_is_not_allowed() {
    let server = mirroring();
    let here = format!("127.0.0.1:{}", server.port());
    let cases = [
        (String::new(), false),
        (r#""allowed_hosts": null"#.to_owned(), false),
        (r#""allowed_hosts": []"#.to_owned(), false),
        (r#""allowed_hosts": ["example.com"]"#.to_owned(), false),
        (r#""allowed_hosts": ["127.0.0.1:1"]"#.to_owned(), false),
        (r#""allowed_hosts": ["127.0.0.1"]"#.to_owned(), true),
        (r#""allowed_hosts": ["example.com", "127.*"]"#.to_owned(), true),
        (format!(r#""allowed_hosts": ["{here}"]"#), true),
    ];
    for (hosts, is_allowed) in cases {
        with_kitchens(&hosts, |abi, plugin| {
            let result = plugin.call("http", json!({"url": server.url("/")}).to_string());
            assert_eq!(result.code == 0, is_allowed, "{abi} {hosts}: {result:?}");
            let pattern = "no pattern of the manifest's `allowed_hosts` matches it";
            let expected = format!("HTTP request to {} is not allowed: {pattern}", server.url("/"));
            assert!(is_allowed || result.error().contains(&expected), "{abi} {hosts}: {}", result.error());
        });
    }
    assert_eq!(server.seen().len(), 6, "no other request has arrived");
}

#[test]
fn surroundings_are_reached_only_by_their_address() {
    for host in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.0.1]", "2852039166", "[fd00:ec2::254]"] {
        with_kitchens(ALL, |abi, plugin| {
            let failed = plugin.call("http", json!({"url": format!("http://{host}/")}).to_string());
            assert_eq!(failed.code, -1, "{abi} {host}");
            assert!(failed.error().contains("a link-local address"), "{abi} {host}: {}", failed.error());
        });
    }
}

#[test]
fn an_answer_has_a_limit() {
    let server = Server::start(|seen| answer("200 OK", &[], vec![b'x'; seen.path()[1..].parse().expect("a length")]));
    with_kitchens(r#""allowed_hosts": ["*"], "memory": {"max_http_response_bytes": 1000}"#, |abi, plugin| {
        let get = |length: usize| plugin.call("http", json!({"url": server.url(&format!("/{length}"))}).to_string());
        assert_eq!(get(1000).output.len(), 1000, "{abi}");
        let failed = get(1001);
        assert_eq!(failed.code, -1, "{abi}");
        assert!(failed.error().contains("limit of 1000 bytes (memory.max_http_response_bytes)"), "{}", failed.error());
        assert_eq!(get(0).output.len(), 0, "{abi}");
    });
}

/// A redirect to another server loses the headers that hold secrets.
#[test]
fn secrets_do_not_follow_a_redirect_to_another_server() {
    let other = mirroring();
    let target = other.url("/there");
    let server = Server::start(move |seen| match seen.path() {
        "/away" => answer("302 Found", &[("location", &target)], ""),
        "/near" => answer("302 Found", &[("location", "/here")], ""),
        _ => answer("200 OK", &[], mirror(seen)),
    });
    with_kitchens(ALL, |abi, plugin| {
        let headers =
            json!({"Authorization": "secret", "Cookie": "secret", "X-Api-Key": "secret", "Accept": "text/plain"});
        let get = |path: &str| {
            let query = json!({"url": server.url(path), "headers": headers}).to_string();
            seen(&plugin.call("http", query))
        };
        let secrets = |seen: &Seen| ["authorization", "cookie", "x-api-key"].map(|name| seen.header(name).is_some());
        let (near, away) = (get("/near"), get("/away"));
        assert_eq!((near.path(), secrets(&near)), ("/here", [true; 3]), "{abi}");
        assert_eq!((away.path(), secrets(&away)), ("/there", [false; 3]), "{abi}");
        assert_eq!(away.header("accept"), Some("text/plain"), "{abi}");
    });
}

/// RFC 9110, section 15.4.
#[test]
fn redirects_keep_the_method_or_do_not_as_their_status_says() {
    let server = Server::start(|seen| match seen.path() {
        "/end" => answer("200 OK", &[], mirror(seen)),
        status => answer(&format!("{} Elsewhere", &status[1..]), &[("location", "end")], ""),
    });
    let cases = [
        ("POST", "301", "GET", ""),
        ("POST", "302", "GET", ""),
        ("POST", "303", "GET", ""),
        ("POST", "307", "POST", "body"),
        ("POST", "308", "POST", "body"),
        ("PUT", "301", "PUT", "body"),
        ("PUT", "303", "GET", ""),
        ("GET", "303", "GET", "body"),
    ];
    with_kitchens(ALL, |abi, plugin| {
        for (method, status, then, body) in cases {
            let query = json!({"url": server.url(&format!("/{status}")), "method": method}).to_string();
            let got = seen(&plugin.call("http", format!("{query}\0body")));
            assert!(got.head.starts_with(&format!("{then} /end ")), "{abi} {method} {status}: {}", got.head);
            assert_eq!(got.body, body.as_bytes(), "{abi} {method} {status}");
        }
    });
}

#[test]
fn each_hop_of_a_redirect_is_asked_for() {
    let other = mirroring();
    let target = format!("http://localhost:{}/", other.port());
    let server = Server::start(move |_| answer("302 Found", &[("location", &target)], ""));
    with_kitchens(r#""allowed_hosts": ["127.0.0.1"]"#, |abi, plugin| {
        let failed = plugin.call("http", json!({"url": server.url("/")}).to_string());
        assert_eq!(failed.code, -1, "{abi}");
        let expected = format!(
            "HTTP request to http://localhost:{}/ is not allowed (redirected from `{}`)",
            other.port(),
            server.url("/")
        );
        assert!(failed.error().contains(&expected), "{abi}: {}", failed.error());
    });
    assert_eq!(other.seen().len(), 0);
}

/// Environment variables, one set a case, and whether the proxy is used.
#[test]
fn proxies_are_those_of_the_environment() {
    const TEST: &str = "http::requests::proxies_are_those_of_the_environment";
    if child::case().is_some() {
        with_kitchens(ALL, |abi, plugin| {
            let result =
                plugin.call("http", json!({"url": std::env::var("URL").expect("the parent sets it")}).to_string());
            println!("{abi} {} {}", result.code, result.text());
        });
        return;
    }
    let proxy = Server::start(|seen| match seen.head.starts_with("CONNECT ") {
        true => vec![
            Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy".to_vec()),
        ],
        false => answer("200 OK", &[], "proxy"),
    });
    let direct = Server::start(|_| answer("200 OK", &[], "direct"));
    let address = proxy.url("");
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("HTTP_PROXY", &address)], "proxy"),
        (&[("http_proxy", &address)], "proxy"),
        (&[("ALL_PROXY", &address)], "proxy"),
        (&[("HTTP_PROXY", &address), ("NO_PROXY", "127.0.0.1")], "direct"),
        (&[("HTTP_PROXY", &address), ("NO_PROXY", "example.com")], "proxy"),
        (&[("HTTPS_PROXY", &address)], "direct"),
        // In a CGI program, HTTP_PROXY comes from a header of its client.
        (&[("HTTP_PROXY", &address), ("REQUEST_METHOD", "GET")], "direct"),
    ];
    for (variables, expected) in cases {
        let url = direct.url("/");
        let none = [("NO_PROXY", ""), ("URL", url.as_str())];
        let all: Vec<_> = none.iter().chain(variables).map(|(name, value)| (*name, OsStr::new(*value))).collect();
        let ended = child::run(TEST, "ask", &all);
        for abi in ["v0", "v1"] {
            assert!(ended.stdout.contains(&format!("{abi} 0 {expected}\n")), "{variables:?}: {}", ended.stdout);
        }
    }
}

/// A proxy that is not there is named, and the variable that it is from: the error is not about the server.
#[test]
fn a_proxy_that_fails_is_named() {
    const TEST: &str = "http::requests::a_proxy_that_fails_is_named";
    if child::case().is_none() {
        let proxy = OsStr::new("http://user:secret@127.0.0.1:1");
        return drop(child::run(TEST, "ask", &[("http_proxy", proxy), ("NO_PROXY", OsStr::new(""))]));
    }
    with_kitchens(ALL, |abi, plugin| {
        let failed = plugin.call("http", json!({"url": "http://192.0.2.1/"}).to_string());
        let expected = "(through the proxy `http://127.0.0.1:1`, set by http_proxy)";
        assert!(
            failed.error().contains(expected) && failed.error().contains("`http://192.0.2.1/`: "),
            "{abi}: {}",
            failed.error()
        );
    });
}

/// Headers are of what would be there.
#[test]
fn answers_without_a_body_may_say_how_it_would_be_encoded() {
    let server = Server::start(|seen| {
        let status = if seen.head.starts_with("HEAD") { "200 OK" } else { &format!("{} Reason", &seen.path()[1..]) };
        vec![Step::Send(format!("HTTP/1.1 {status}\r\ncontent-encoding: gzip\r\n\r\n").into())]
    });
    with_kitchens(ALL, |abi, plugin| {
        for (method, path) in [("HEAD", "/"), ("GET", "/304"), ("GET", "/204")] {
            let query = json!({"url": server.url(path), "method": method}).to_string();
            let got = plugin.call("http", query);
            assert_eq!((got.code, got.error.as_deref()), (0, None), "{abi} {method} {path}");
        }
    });
}

/// Stalls that the servers of `hostile.rs`, which read and answer plain requests, cannot cause.
#[test]
fn a_request_that_nobody_reads_and_a_greeting_that_nobody_returns_end_at_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    with_kitchens(r#""allowed_hosts": ["*"], "timeout_ms": 300"#, |abi, plugin| {
        for (scheme, body) in [("http", vec![b'x'; 32 << 20]), ("https", Vec::new())] {
            let mut query = json!({"url": format!("{scheme}://{address}/"), "method": "POST"}).to_string().into_bytes();
            query.push(0);
            query.extend(body);
            let start = std::time::Instant::now();
            let failed = plugin.call("http", query);
            assert!(start.elapsed().as_millis() < 3000, "{abi} {scheme}: {:?}", start.elapsed());
            assert_eq!(failed.code, -1, "{abi} {scheme}");
            assert!(failed.error().contains("timeout"), "{abi} {scheme}: {}", failed.error());
        }
    });
}

#[test]
fn a_server_that_does_not_speak_tls_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("https://{}/", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = std::io::Write::write_all(&mut stream.expect("a connection"), b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    with_kitchens(ALL, |abi, plugin| {
        let failed = plugin.call("http", json!({"url": url}).to_string());
        assert_eq!(failed.code, -1, "{abi}");
        assert!(failed.error().contains(&url), "{abi}: {}", failed.error());
    });
}

/// A plugin's oversized request costs the host little time and memory.
#[test]
fn a_request_of_too_much_is_refused_at_once() {
    let headers: serde_json::Map<String, Value> = (0..200_000).map(|n| (format!("x-{n}"), json!("value"))).collect();
    let long = "x".repeat(10 << 20);
    let cases = [
        json!({"url": "http://127.0.0.1:1/", "headers": headers}),
        json!({"url": "http://127.0.0.1:1/", "headers": {"x": long}}),
        json!({"url": format!("http://127.0.0.1:1/{long}")}),
        json!({"url": format!("http://user:secret@ho st/{}", &long[..60_000])}),
        json!({"url": "http://127.0.0.1:1/", "method": long}),
        json!({"url": "http://127.0.0.1:1/", "headers": {&long[..60_000]: "\n"}}),
    ];
    with_kitchens(r#""allowed_hosts": ["*"], "timeout_ms": 5000"#, |abi, plugin| {
        for query in &cases {
            let start = std::time::Instant::now();
            let failed = plugin.call("http", query.to_string());
            assert_eq!(failed.code, -1, "{abi}");
            assert!(start.elapsed().as_secs() < 3, "{abi}: {:?}", start.elapsed());
            assert!(failed.error().len() < 3000 && !failed.error().contains("secret"), "{abi}: {}", failed.error());
        }
    });
}
