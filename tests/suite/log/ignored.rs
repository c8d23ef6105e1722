//! Parts of a manifest that have no effect, or not the intended one: each is a line in the log at level warn.

use super::LogFile;
use crate::child;
use crate::host::{Context, manifest};

/// Keys of a manifest, whether the plugin has WASI, and what the log says.
const CASES: &[(&str, bool, &[&str])] = &[
    (r#""allowed_paths": {"/": "/"}"#, true, &[]),
    (
        r#""allowed_paths": {"/not/there": "/a", "ro:": "/b", "/": ""}"#,
        true,
        &[
            "manifest: allowed_paths: `/`: `` is not a path",
            "manifest: allowed_paths: `/not/there`: No such file or directory",
            "manifest: allowed_paths: `ro:`: No such file or directory",
        ],
    ),
    (
        r#""allowed_paths": {"/": "/"}"#,
        false,
        &["manifest: `allowed_paths` has no effect, the plugin was created without WASI"],
    ),
    (
        r#""config": {"a": "1", "b": "2", "a": "3"}"#,
        false,
        &["manifest: `config.a` is there more than once, the last one counts"],
    ),
    (r#""timeout": 1"#, false, &["manifest: unknown key `timeout` (`timeout_ms` is one) ignored"]),
    (r#""max_pages": 1"#, false, &["manifest: unknown key `max_pages` (`memory.max_pages` is one) ignored"]),
    #[cfg(feature = "http")]
    (r#""allowed_hosts": ["127.0.0.1:8766", "example.com", "*.example.com:8*"]"#, false, &[]),
    #[cfg(feature = "http")]
    (
        r#""allowed_hosts": ["http://127.0.0.1", "127.0.0.1:8766/", "example.com:99999"]"#,
        false,
        &[
            "manifest: allowed_hosts: `http://127.0.0.1` can match no host, it is ignored: write HOST or HOST:PORT",
            "manifest: allowed_hosts: `127.0.0.1:8766/` can match no host",
            "manifest: allowed_hosts: `example.com:99999` can match no host",
        ],
    ),
];

#[test]
fn what_has_no_effect() {
    child::alone("log::ignored::what_has_no_effect", || {
        for (keys, with_wasi, expected) in CASES {
            if keys.contains("allowed_paths") && cfg!(not(feature = "wasi")) {
                continue;
            }
            let log = LogFile::new("warn");
            let context = Context::new();
            context.create(manifest("(module)", keys), *with_wasi).expect("it is made all the same").free();
            let lines: Vec<_> = log.lines().into_iter().filter(|line| line.level == "WARN").collect();
            assert_eq!(lines.len(), expected.len(), "{keys}: {lines:?}");
            for (line, start) in lines.iter().zip(*expected) {
                assert!(line.message.starts_with(start), "{keys}: {:?} is not {start:?}...", line.message);
            }
        }
    });
}
