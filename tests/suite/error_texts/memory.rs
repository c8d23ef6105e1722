//! Little memory, and texts whose length others choose: an error, and the process stays usable.
#![cfg(target_os = "linux")]

use serde_json::json;

use crate::child;
use crate::faults::{limit, map_what_is_large, taken, trim};
use crate::host::Context;

const MIB: u64 = 1 << 20;

/// Bytes of a text: more than fits in an arena of the allocator, whose address space is reserved already.
const LENGTH: usize = 72 << 20;

/// Does `work` with ever more address space until it succeeds. It must fail first, and only with errors about memory.
fn with_little_room(case: &str, mut work: impl FnMut() -> Result<(), String>) {
    map_what_is_large();
    let before = limit(libc::RLIMIT_AS, u64::MAX);
    for (refusals, room) in [8, 40, 76, 150, 300, 600, 1200].into_iter().enumerate() {
        trim();
        limit(libc::RLIMIT_AS, taken("VmSize:") + room * MIB);
        let outcome = work();
        limit(libc::RLIMIT_AS, before);
        match outcome {
            Ok(()) => {
                assert!(refusals > 0, "{case}: {room} MiB are enough");
                return;
            }
            Err(error) => {
                let refusals = ["no room", "failed to grow", "no thread"];
                assert!(refusals.iter().any(|part| error.contains(part)), "{case}, {room} MiB: {error}");
            }
        }
    }
    panic!("{case}: it never works");
}

/// Succeeds if the manifest was read: the refusal is then the error that contains `expected`.
fn read(context: &Context, input: &str, expected: &str) -> Result<(), String> {
    let error = context.refusal(input);
    if error.contains(expected) { Ok(()) } else { Err(error) }
}

#[test]
fn manifests() {
    child::alone("error_texts::memory::manifests", || {
        let context = Context::new();
        // Allocates what making a plugin needs besides, before there is a limit.
        context.refusal(r#"{"wasm": [{"path": "/absent.wasm"}]}"#);
        let long = "x".repeat(LENGTH);
        let many: String = (0..400_000).map(|number| format!(",\"{number}\":\"v\"")).collect();
        let (hosts, modules) = (",\"h\"".repeat(500_000), ",{}".repeat(2_000_000));
        let absent = r#""wasm": [{"path": "/absent.wasm"}]"#;
        // Formatted as text: building these documents as values would leave the allocator much free memory.
        let cases = [
            ("data", format!(r#"{{"wasm": [{{"data": "{long}", "hash": "bad"}}]}}"#), "`bad` is not"),
            ("many values", format!(r#"{{{absent}, "config": {{"k": ""{many}}}}}"#), "absent.wasm"),
            ("many hosts", format!(r#"{{{absent}, "allowed_hosts": ["h"{hosts}]}}"#), "absent.wasm"),
            ("a wrong value", format!(r#"{{"wasm": "{long}"}}"#), "expected a sequence"),
            ("a long key", format!(r#"{{{absent}, "{long}": 1}}"#), "absent.wasm"),
            ("many modules", format!(r#"{{"wasm": [{{}}{modules}]}}"#), "2000001 modules"),
        ];
        for (case, input, expected) in cases {
            with_little_room(case, || read(&context, &input, expected));
        }
        let toml = format!("config = {{ k = \"{long}\" }}\n[[wasm]]\npath = \"/absent.wasm\"\n");
        with_little_room("TOML", || read(&context, &toml, "absent.wasm"));
    });
}

#[test]
fn configurations_and_names() {
    child::alone("error_texts::memory::configurations_and_names", || {
        let context = Context::new();
        let plugin = context.plugin("(module (func (export \"trap\") unreachable))");
        let json = json!({"k": "x".repeat(LENGTH)}).to_string();
        with_little_room("a configuration", || {
            if plugin.configure(&json) { Ok(()) } else { Err(context.error(plugin.id).expect("an error")) }
        });
        let name = std::ffi::CString::new("x".repeat(LENGTH)).expect("no NUL in it");
        with_little_room("a function's name", || {
            // The library copies the name only if it makes a new instance first, as after a trap.
            plugin.call_only("trap", b"");
            assert_eq!(plugin.call_named(&name, b""), -1);
            let error = context.error(plugin.id).expect("an error");
            if error.starts_with("Function not found: xxx") { Ok(()) } else { Err(error) }
        });
    });
}

/// Long answers of servers to a plugin's requests.
#[cfg(feature = "http")]
#[test]
fn answers() {
    use crate::host::{fixture, manifest};
    use crate::server::{Server, answer};
    const TEST: &str = "error_texts::memory::answers";
    const SERVER: &str = "EXTISM_TEST_SERVER";
    if child::case().is_none() {
        let server = Server::start(|_| answer("200 OK", &[], "x".repeat(LENGTH)));
        child::run(TEST, "", &[(SERVER, server.url("/").as_ref())]);
        return;
    }
    let context = Context::new();
    let plugin = context.plugin(manifest(
        fixture("kitchen.v1"),
        r#""allowed_hosts": ["*"], "memory": {"max_http_response_bytes": 100000000}"#,
    ));
    let query = json!({"url": std::env::var(SERVER).expect("the parent sets it")}).to_string();
    with_little_room("an answer", || {
        let code = plugin.call_only("http", query.as_bytes());
        if code == 0 { Ok(()) } else { Err(context.error(plugin.id).expect("an error")) }
    });
}
