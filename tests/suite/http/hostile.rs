//! Servers that lie, stall and never end: one a row, tried with modules and with plugins' requests.

#[cfg(feature = "compiler")]
use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

#[cfg(feature = "compiler")]
use super::downloads;
use super::requests::with_kitchens;
#[cfg(feature = "compiler")]
use crate::host::{Context, sha256};
use crate::server::{Server, Step, answer};

/// The result of a plugin's request: a body, or a part of the error's text.
type Outcome = Result<&'static [u8], &'static str>;

struct Row {
    name: &'static str,
    steps: Vec<Step>,
    /// For a request of a plugin.
    expected: Outcome,
}

/// The body that honest servers would send: a valid module.
const MODULE: &[u8] = b"(module)";

/// The beginning of most answers.
const HEAD: &str = "HTTP/1.1 200 OK\r\n";

/// The deadline of a request, in milliseconds: short if the request is to exceed it.
fn deadline(expected: Outcome) -> u64 {
    if expected == Err("timeout") { 300 } else { 10_000 }
}

/// The limit of an answer here, in bytes.
const LIMIT: usize = 100_000;

fn row(name: &'static str, steps: Vec<Step>, expected: Outcome) -> Row {
    Row { name, steps, expected }
}

fn send(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    vec![Step::Send(bytes.as_ref().to_vec())]
}

fn stall_after(bytes: &str) -> Vec<Step> {
    vec![Step::Send(bytes.as_bytes().to_vec()), Step::Stall]
}

fn gzipped(body: &[u8]) -> Vec<Step> {
    answer("200 OK", &[("content-encoding", "gzip")], body)
}

fn redirect(target: &str) -> Vec<Step> {
    answer("302 Found", &[("location", target)], "")
}

/// `bytes` in gzip's uncompressed form: RFC 1951 and 1952.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let length = u16::try_from(bytes.len()).expect("one block");
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    gzip.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    gzip.extend(bytes);
    gzip.extend([(!crc).to_le_bytes(), u32::from(length).to_le_bytes()].concat());
    gzip
}

/// A gzip stream of one letter and copies of it, a thousand times as long when it is decompressed.
fn bomb() -> Vec<u8> {
    // A block of fixed codes without an end: the letter x, then copies of 258 bytes from 1 byte back, each of them 8
    // bits of length (code 285 is 11000101) and 5 of distance (00000).
    let mut bits: Vec<bool> = vec![true, true, false];
    let mut code = |value: u32, length: u32| bits.extend((0..length).rev().map(|bit| value >> bit & 1 == 1));
    code(0x30 + u32::from(b'x'), 8);
    for _ in 0..20_000 {
        code(0b1100_0101, 8);
        code(0, 5);
    }
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0_u8, |value, bit| value << 1 | u8::from(*bit))));
    gzip
}

fn rows() -> Vec<Row> {
    let groups =
        [honest(), false_lengths(), without_end(), silent(), early_ends(), other_protocols(), encodings(), redirects()];
    groups.into_iter().flatten().collect()
}

/// Well-behaved servers, which show that the errors of the others come from the fault in each row.
fn honest() -> Vec<Row> {
    vec![
        row("a length", send(format!("{HEAD}content-length: 8\r\n\r\n(module)")), Ok(MODULE)),
        row(
            "chunks",
            send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n1\r\n(\r\n7\r\nmodule)\r\n0\r\n\r\n")),
            Ok(MODULE),
        ),
        row("until the end", send(format!("{HEAD}\r\n(module)")), Ok(MODULE)),
        row(
            "continue first",
            send(format!("HTTP/1.1 100 Continue\r\n\r\n{HEAD}content-length: 8\r\n\r\n(module)")),
            Ok(MODULE),
        ),
        row("gzip", gzipped(&gzip(MODULE)), Ok(MODULE)),
        row("HTTP 1.0", send("HTTP/1.0 200 OK\r\n\r\n(module)"), Ok(MODULE)),
        row("status 204", send("HTTP/1.1 204 No Content\r\n\r\n"), Ok(b"")),
    ]
}

fn false_lengths() -> Vec<Row> {
    vec![
        row("fewer bytes than promised", send(format!("{HEAD}content-length: 9\r\n\r\n(module)")), Err("disconnected")),
        row("more bytes than promised", send(format!("{HEAD}content-length: 2\r\n\r\n(module)")), Ok(b"(m")),
        row(
            "far too many promised",
            stall_after(&format!("{HEAD}content-length: 18446744073709551615\r\n\r\n")),
            Err("limit"),
        ),
        row(
            "one too many promised",
            stall_after(&format!("{HEAD}content-length: {}\r\n\r\n", LIMIT + 1)),
            Err("limit"),
        ),
        row("a negative length", send(format!("{HEAD}content-length: -1\r\n\r\n(module)")), Err("content-length")),
        row(
            "a length that is no number",
            send(format!("{HEAD}content-length: 8x\r\n\r\n(module)")),
            Err("content-length"),
        ),
        row(
            "two lengths",
            send(format!("{HEAD}content-length: 8\r\ncontent-length: 9\r\n\r\n(module)")),
            Err("content-length"),
        ),
        row(
            "a chunk that is no number",
            send(format!("{HEAD}transfer-encoding: chunked\r\n\r\nx\r\n(module)\r\n")),
            Err("chunk"),
        ),
        row(
            "a chunk that ends early",
            send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n9\r\n(module)")),
            Err("disconnected"),
        ),
        row(
            "no last chunk",
            send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n8\r\n(module)\r\n")),
            Err("disconnected"),
        ),
        row(
            "a huge chunk",
            send(format!("{HEAD}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n(module)")),
            Err("chunk"),
        ),
    ]
}

fn without_end() -> Vec<Row> {
    vec![
        row(
            "a body without end",
            vec![Step::Send(format!("{HEAD}\r\n").into()), Step::Repeat(vec![0; 50_000], Duration::ZERO)],
            Err("limit"),
        ),
        row(
            "chunks without end",
            vec![
                Step::Send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n").into()),
                Step::Repeat([b"4e20\r\n".as_slice(), &[0; 20_000], b"\r\n"].concat(), Duration::ZERO),
            ],
            Err("limit"),
        ),
        row(
            "headers without end",
            vec![Step::Send(HEAD.into()), Step::Repeat(b"a: b\r\n".repeat(1000), Duration::ZERO)],
            Err("header"),
        ),
        row(
            "one header without end",
            vec![Step::Send(format!("{HEAD}a: ").into()), Step::Repeat(vec![b'a'; 10_000], Duration::ZERO)],
            Err("header"),
        ),
        row("a status line without end", vec![Step::Repeat(vec![b'H'; 10_000], Duration::ZERO)], Err("version")),
        row("gzip without end", gzipped(&bomb()), Err("limit")),
    ]
}

fn silent() -> Vec<Row> {
    vec![
        row("silence", vec![Step::Stall], Err("timeout")),
        row("silence in the status", stall_after("HTTP/1.1 2"), Err("timeout")),
        row("silence in the headers", stall_after("HTTP/1.1 200 OK\r\ncontent-le"), Err("timeout")),
        row("silence before the body", stall_after("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n"), Err("timeout")),
        row("silence in the body", stall_after("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n(m"), Err("timeout")),
        row(
            "silence in a chunk",
            stall_after("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n(m"),
            Err("timeout"),
        ),
        row(
            "silence after a chunk",
            stall_after("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n(module)\r\n"),
            Err("timeout"),
        ),
        row(
            "a header a moment",
            vec![Step::Send(HEAD.into()), Step::Repeat(b"a: b\r\n".to_vec(), Duration::from_millis(20))],
            Err("timeout"),
        ),
        row(
            "a byte a moment",
            vec![Step::Send(format!("{HEAD}\r\n").into()), Step::Repeat(vec![0], Duration::from_millis(20))],
            Err("timeout"),
        ),
    ]
}

fn early_ends() -> Vec<Row> {
    vec![
        row("no answer", vec![], Err("disconnected")),
        row("an end in the status", send("HTTP/1.1 2"), Err("disconnected")),
        row("an end in the headers", send("HTTP/1.1 200 OK\r\ncontent-le"), Err("disconnected")),
        row("an end before the body", send("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n"), Err("disconnected")),
    ]
}

fn other_protocols() -> Vec<Row> {
    vec![
        row("not HTTP", send("220 mail ready\r\n\r\n"), Err("version")),
        row("a status that is no number", send("HTTP/1.1 abc OK\r\n\r\n"), Err("status")),
        row("a header without a colon", send(format!("{HEAD}header\r\n\r\n")), Err("header")),
        row("a header that is split", send(format!("{HEAD}a: b\r c: d\r\n\r\n")), Err("header")),
        row("a header over two lines", send(format!("{HEAD}a: b\r\n c: d\r\n\r\n")), Err("header")),
        row("a header with a NUL", send(format!("{HEAD}a: b\0\r\n\r\n")), Err("header")),
    ]
}

fn encodings() -> Vec<Row> {
    let whole = gzip(MODULE);
    vec![
        row("gzip that is none", gzipped(MODULE), Err("gzip")),
        row("gzip cut off", gzipped(&whole[..whole.len() - 9]), Err("gzip")),
        row("gzip with a wrong sum", gzipped(&[&whole[..whole.len() - 8], &[0; 8]].concat()), Err("gzip")),
    ]
}

fn redirects() -> Vec<Row> {
    vec![
        row("a circle", redirect("/"), Err("more than 10 redirects")),
        row("to a file", redirect("file:///etc/passwd"), Err("only http and https")),
        row("to data", redirect("data:text/plain,(module)"), Err("only http and https")),
        row("to no address", redirect("http://:/"), Err("redirect to `http://:/`")),
        row("to a cloud's metadata", redirect("http://169.254.169.254/latest"), Err("link-local")),
        row("to metadata in another spelling", redirect("http://[::ffff:a9fe:a9fe]/"), Err("link-local")),
        row("to a closed port", redirect("http://127.0.0.1:1/"), Err("refused")),
        row("to nowhere", answer("302 Found", &[], MODULE), Ok(MODULE)),
    ]
}

#[test]
fn requests_of_plugins() {
    for Row { name, steps, expected } in rows() {
        let server = Server::always(steps);
        let deadline = deadline(expected);
        let keys = format!(
            r#""allowed_hosts": ["*"], "timeout_ms": {deadline}, "memory": {{"max_http_response_bytes": {LIMIT}}}"#
        );
        with_kitchens(&keys, |abi, plugin| {
            let start = Instant::now();
            let result = plugin.call("http", json!({"url": server.url("/")}).to_string());
            assert!(start.elapsed() < Duration::from_millis(deadline + 1000), "{name}, {abi}: {:?}", start.elapsed());
            match expected {
                Ok(body) => assert_eq!((result.code, result.output.as_slice()), (0, body), "{name}, {abi}: {result:?}"),
                Err(text) => {
                    assert_eq!(result.code, -1, "{name}, {abi}: {result:?}");
                    assert!(result.error().contains(text), "{name}, {abi}: {}", result.error());
                    // The request's timeout names the address, the call's names the setting; either may come first.
                    let says_where =
                        result.error().contains(&server.url("/")) || result.error().contains("(timeout_ms)");
                    assert!(says_where, "{name}, {abi}: {}", result.error());
                }
            }
            assert!(
                ["0", "200", "204", "302"].contains(&plugin.answer("http_status", "").as_str()),
                "{name}: it can be used"
            );
        });
    }
}

/// The outcome for a module: an answer must be the whole module, and have the right status.
#[cfg(feature = "compiler")]
fn of_module(expected: Outcome) -> Result<(), &'static str> {
    match expected {
        Ok(MODULE) => Ok(()),
        Ok(b"") => Err("status 204"),
        Ok(_) => Err("Hash mismatch"),
        Err(text) => Err(text),
    }
}

#[test]
#[cfg(feature = "compiler")]
fn modules() {
    let limit = LIMIT.to_string();
    downloads::alone("hostile::modules", &[("EXTISM_MAX_MODULE_BYTES", &limit)], |cache| {
        for Row { name, steps, expected } in rows() {
            let expected = if name == "to nowhere" { Err("status 302") } else { of_module(expected) };
            let server = Server::always(steps);
            let entry = json!({"url": server.url("/"), "hash": sha256(MODULE)});
            let before = downloads::all_kept(cache);
            let deadline = deadline(expected.map(|()| MODULE));
            let start = Instant::now();
            let made =
                Context::new().create(json!({"wasm": [entry], "timeout_ms": deadline}).to_string(), false).map(drop);
            assert!(start.elapsed() < Duration::from_millis(deadline + 1000), "{name}: {:?}", start.elapsed());
            match (&made, expected) {
                (Ok(()), Ok(())) => {
                    fs::remove_file(cache.join("downloads/modules").join(sha256(MODULE))).expect("kept")
                }
                (Err(error), Err(text)) => assert!(error.contains(text), "{name}: {error}"),
                _ => panic!("{name}: {made:?}"),
            }
            assert_eq!(downloads::all_kept(cache), before, "{name}");
        }
    });
}
