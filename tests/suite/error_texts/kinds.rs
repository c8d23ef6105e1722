//! Errors say what kind of input stands in the place of a module or a manifest, and where it is.

#[cfg(feature = "compiler")]
use std::fs;

#[cfg(feature = "compiler")]
use serde_json::json;

#[cfg(feature = "compiler")]
use crate::host::sha256;
use crate::host::{Context, base64, manifest};

/// Name and contents of a file that should be a module, and the text that the error has about it.
#[cfg(feature = "compiler")]
const KINDS: [(&str, &[u8], &str); 13] = [
    ("empty", b"", "is not a WebAssembly module: it is empty"),
    ("blank", b" \n", "it is empty but for white space"),
    ("page", b"<!DOCTYPE html>\n<html>404</html>", "it is an HTML page"),
    (
        "pointer",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "it is a pointer of Git LFS, and not the file it stands for (git lfs pull)",
    ),
    ("compressed", b"\x1f\x8b\x08\0", "it is compressed with gzip"),
    ("archive", b"PK\x03\x04", "it is a ZIP archive"),
    ("answer", b"{\"message\": \"Not Found\"}", "it is text that looks like JSON"),
    ("text", b"Not Found", "it is text of another kind"),
    ("native", b"\x7fELF\x02\x01\x01", "it is a native program or library (ELF)"),
    ("noise", b"\x01\x02\xff", "it is data of an unknown kind"),
    ("head", b"\0asm\x01", "is cut off: it has 5 bytes, and goes on until byte 8 at least"),
    (
        "more",
        b"\0asm\x01\0\0\0\x01\x01\0\n\x01\0\nmore",
        "ends at byte 14, and has 19 bytes: what follows is no section of a module",
    ),
    ("half", b"\0asm\x01\0\0\0\x01\x04\x01\x60", "is cut off: it has 12 bytes, and goes on until byte 14 at least"),
];

#[cfg(feature = "compiler")]
#[test]
fn files() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, contents, expected) in KINDS {
        let path = folder.path().join(name);
        fs::write(&path, contents).expect("writable");
        let error = Context::new().refusal(json!({"wasm": [{"path": path}]}).to_string());
        assert!(error.starts_with(&format!("`{}` {}", path.display(), start(expected))), "{name}: {error}");
        assert!(error.ends_with(expected), "{name}: {error}");
        let error = Context::new().refusal(manifest(contents, ""));
        assert!(error.starts_with(&format!("module `main` {}", start(expected))), "{name}: {error}");
        assert!(error.ends_with(expected), "{name}: {error}");
    }
}

/// The words that the error has after the path.
#[cfg(feature = "compiler")]
fn start(expected: &str) -> &str {
    let starts = ["is cut off", "ends at byte"];
    starts.into_iter().find(|start| expected.starts_with(start)).unwrap_or("is not a WebAssembly module: it is")
}

#[cfg(all(feature = "compiler", feature = "http"))]
#[test]
fn answers() {
    use crate::server::{Server, answer};
    let server = Server::start(|_| answer("200 OK", &[], "<html>Sign in</html>"));
    let url = server.url("/plugin.wasm");
    let error = Context::new().refusal(json!({"wasm": [{"url": url}]}).to_string());
    assert_eq!(error, format!("`{url}` is not a WebAssembly module: it is an HTML page"));
}

#[test]
fn what_is_no_manifest() {
    for (input, expected) in [
        ("\"plugin.wasm\"", "a manifest is a JSON object, this is a JSON string"),
        ("\"{\\\"wasm\\\": []}\"", "it may have been encoded twice"),
        ("plugin.wasm", "`plugin.wasm` looks like the path of a file"),
        ("/srv/my plugins/manifest.json\n", "`/srv/my plugins/manifest.json` looks like the path of a file"),
        ("<!doctype html><p>", "nor a manifest: it is an HTML page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "it is a pointer of Git LFS"),
        ("[{\"path\": \"a.wasm\"}]", "invalid type: sequence, expected a map"),
        ("[]", "No wasm files specified"),
        ("", "No wasm files specified\nneither a WebAssembly module, nor WAT text, nor a manifest: it is empty"),
        ("\u{feff} \n", "nor a manifest: it is empty but for white space"),
        (
            "not json",
            "expected ident at line 1 column 2\nneither a WebAssembly module, nor WAT text, nor a manifest in JSON or",
        ),
        ("hello world", "expected value at line 1 column 1\nneither a WebAssembly module"),
        ("hello world", "nor a manifest in JSON or TOML: it is text of another kind"),
        ("wasm:\n  - path: plugin.wasm\n", "nor a manifest: it is text that looks like YAML"),
        ("AGFzbQEAAAA=", "nor a manifest: it is a WebAssembly module in base64"),
        ("[memory\nmax = 1", "TOML parse error at line 1"),
    ] {
        let error = Context::new().refusal(input);
        assert!(error.contains(expected), "{input}: {error}");
    }
    for (input, expected) in [
        (&b"\x1f\x8b\x08\0\xff"[..], "it is compressed with gzip, not UTF-8 from byte 1 on"),
        (b"\xff\xfe{\0", "it is text in UTF-16, and UTF-8 is read, not UTF-8 from byte 0 on"),
    ] {
        let error = Context::new().refusal(input);
        assert!(error.contains(expected), "{error}");
    }
}

/// Keys that are not known are named where what they stand for is missing; and syntax errors have no path that nobody
/// wrote.
#[test]
fn what_is_there_instead_is_named() {
    const NONE: &str = "No wasm files specified";
    const ENTRY: &str = "wasm[0]: one of `path`, `data` or `url` is needed";
    for (input, expected) in [
        ("{}", NONE.to_owned()),
        (r#"{"memory": {"mx": 1}}"#, NONE.to_owned()),
        (r#"{"invalid_manifest": true}"#, format!("{NONE}\nunknown key `invalid_manifest`")),
        (r#"{"x": 1, "Wasm": []}"#, format!("{NONE}\nunknown key `Wasm` (`wasm` is one)")),
        (r#"{"wasms": []}"#, format!("{NONE}\nunknown key `wasms` (`wasm` is one)")),
        (r#"{"modules": []}"#, format!("{NONE}\nunknown key `modules` (`wasm` is one)")),
        ("modules = []", format!("{NONE}\nunknown key `modules` (`wasm` is one)")),
        (r#"{"path": "a.wasm"}"#, format!("{NONE}\nunknown key `path` (`wasm[].path` is one)")),
        (r#"{"wasm": [{}]}"#, ENTRY.to_owned()),
        (r#"{"wasm": [{"pth": "a"}]}"#, format!("{ENTRY}; unknown key `wasm[0].pth` (`path` is one)")),
        (r#"{"wasm": [{"file": "a"}], "x": 1}"#, format!("{ENTRY}; unknown key `wasm[0].file` (`path` is one)")),
        (r#"{"wasm": [{"path": "a.wasm"}], "a": 1,}"#, "trailing comma at line 1 column 39".to_owned()),
        (r#"{"wasm": [{"path": "a.wasm",}]}"#, "wasm[0]: trailing comma at line 1 column 29".to_owned()),
        (r#"{"wasm": [{"path": "a.wasm"},]}"#, "wasm: trailing comma at line 1 column 30".to_owned()),
        (r#"{"config": {"a": "b",}}"#, "config: trailing comma at line 1 column 22".to_owned()),
        ("{\"a\" 1}", "expected `:` at line 1 column 6".to_owned()),
    ] {
        assert_eq!(Context::new().refusal(input), expected, "{input}");
    }
}

#[test]
fn configurations() {
    let context = Context::new();
    let plugin = context.plugin(ONE);
    for json in ["{}", "[]", " [] ", "\u{feff}{\"k\": \"b\"}", r#"[["k", "b"], ["l", null]]"#, r#"{"k": null}"#] {
        assert!(plugin.configure(json), "{json}: {:?}", context.error(plugin.id));
    }
    for (json, expected) in [
        ("", "config: EOF while parsing a value at line 1 column 0"),
        ("null", "config: invalid type: null, expected a map of strings at line 1 column 4"),
        (
            "[1]",
            "config: [0]: invalid type: integer `1`, expected a list of two strings, a key and its value at line 1 column 2",
        ),
        (r#"{"k": 1}"#, "config: k: invalid type: integer `1`, expected a string at line 1 column 7"),
        (r#"{"k": "a",}"#, "config: trailing comma at line 1 column 11"),
        ("{} x", "config: trailing characters at line 1 column 4"),
    ] {
        assert!(!plugin.configure(json), "{json}");
        assert_eq!(context.error(plugin.id).as_deref(), Some(expected), "{json}");
    }
}

/// Which module has another hash than the manifest says. Without a compiler, the hash is all that is asked for.
#[cfg(feature = "compiler")]
#[test]
fn hashes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.wat");
    std::fs::write(&path, ONE).expect("writable");
    let (found, expected) = (sha256(ONE), "0".repeat(64));
    let data = encoded(ONE);
    for (entry, named) in [
        (format!("\"path\": {path:?}"), format!("`{}`", path.display())),
        (format!("\"data\": \"{data}\", \"name\": \"lib\""), "module `lib`".to_owned()),
    ] {
        let other = format!("{{\"data\": \"{data}\", \"name\": \"main\"}}");
        let error = Context::new().refusal(format!("{{\"wasm\": [{{{entry}, \"hash\": \"{expected}\"}}, {other}]}}"));
        let what = format!("{named} is not what the manifest's `hash` is of");
        assert_eq!(error, format!("Hash mismatch, found {found} but expected {expected}: {what}"));
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    base64(text.as_bytes(), &mut encoded);
    encoded
}

const ONE: &str = "(module (func (export \"one\") (result i32) (i32.const 1)))";

/// Manifests as other languages write them: empty lists for objects, null for absent keys, byte-order marks.
#[test]
fn manifests_of_other_languages() {
    let [data, marked] = [ONE, &format!("\u{feff}{ONE}")].map(encoded);
    for input in [
        format!(
            r#"{{"wasm": [{{"data": "{data}", "headers": []}}], "config": [], "memory": [], "allowed_paths": [],
                "allowed_hosts": {{}}}}"#
        ),
        format!(r#"{{"wasm": [{{"data": "{data}"}}], "allowed_paths": [["/", "/"]], "config": [["a", "b"]]}}"#),
        format!(
            r#"{{"wasm": [{{"data": "{data}", "headers": null}}], "config": null, "memory": null, "allowed_paths": null,
                "allowed_hosts": null, "strict": null, "timeout_ms": null}}"#
        ),
        format!("config = []\nmemory = []\nallowed_paths = []\n[[wasm]]\ndata = \"{data}\"\nheaders = []\n"),
        format!("\u{feff}{{\"wasm\": [{{\"data\": \"{data}\"}}]}}"),
        format!("\u{feff}[[wasm]]\ndata = \"{data}\"\n"),
        format!("{{\"wasm\": [{{\"data\": \"{marked}\"}}]}}"),
        format!("\u{feff}{ONE}"),
        format!("\u{feff}\n;; a comment\n{ONE}"),
    ] {
        let context = Context::new();
        match context.create(&input, true) {
            Ok(plugin) => assert_eq!(plugin.call_only("one", b""), 1, "{input}"),
            Err(error) => panic!("{input}: {error}"),
        }
    }
    for (key, value) in [
        ("memory", "[1]"),
        ("config", "[1]"),
        ("allowed_paths", "[\"a\"]"),
        ("config", "[[\"a\"]]"),
        ("allowed_hosts", "{\"a\": 1}"),
        ("config", "[[\"a\", \"b\", \"c\"]]"),
    ] {
        let error = Context::new().refusal(format!(r#"{{"wasm": [{{"data": "{data}"}}], "{key}": {value}}}"#));
        assert!(error.starts_with(key) && error.contains("invalid"), "{key} {value}: {error}");
    }
}

#[test]
fn strict_manifests_have_no_other_keys() {
    for (rest, expected) in [
        (r#""memmory": {}"#, "unknown key `memmory` (`memory` is one), and `strict` is true"),
        (r#""memory": {"max_page": 1}"#, "unknown key `memory.max_page` (`max_pages` is one), and `strict` is true"),
        (r#""comment": "x""#, "unknown key `comment`, and `strict` is true"),
        (r#""timeout": 5"#, "unknown key `timeout` (`timeout_ms` is one), and `strict` is true"),
        (r#""max_pages": 5"#, "unknown key `max_pages` (`memory.max_pages` is one), and `strict` is true"),
        (r#""config": {"k": "a", "k": "b"}"#, "`config.k` is there more than once, and `strict` is true"),
        (r#""config": [["k", "a"], ["k", "b"]]"#, "`config.k` is there more than once, and `strict` is true"),
    ] {
        assert_eq!(Context::new().refusal(manifest(ONE, &format!("\"strict\": true, {rest}"))), expected);
        assert_eq!(Context::new().refusal(manifest(ONE, &format!("{rest}, \"strict\": true"))), expected);
        let context = Context::new();
        context.plugin(manifest(ONE, &format!("\"strict\": false, {rest}"))).free();
    }
    let context = Context::new();
    context.plugin(manifest(ONE, r#""strict": true, "config": {"any": "key"}, "memory": {"max_pages": 9}"#)).free();
    assert!(context.refusal(manifest(ONE, r#""strict": 1"#)).starts_with("strict: invalid type: integer `1`"));
}

#[cfg(feature = "compiler")]
#[test]
fn misspelt_keys_are_told_in_the_log() {
    crate::child::alone("error_texts::kinds::misspelt_keys_are_told_in_the_log", || {
        let long = "k".repeat(1 << 20);
        let input = manifest(ONE, &format!(r#""allowedHosts": [], "{long}": 1"#));
        let warned = crate::log::warnings(|| Context::new().plugin(input).free());
        let cut = format!("WARN manifest: unknown key `{}... 1048320 more bytes` ignored", "k".repeat(256));
        assert_eq!(
            warned,
            ["WARN manifest: unknown key `allowedHosts` (`allowed_hosts` is one) ignored", cut.as_str()]
        );
    });
}

/// Names as compilers leave them in the name section.
#[test]
fn backtraces_have_names_of_the_source() {
    let module = r#"(module
        (func $_ZN9my_plugin6config4load17h0123456789abcdefE unreachable)
        (func (export "rust") (call $_ZN9my_plugin6config4load17h0123456789abcdefE))
        (func $_RNvNtCs1234_9my_plugin6config4load unreachable)
        (func (export "rust_v0") (call $_RNvNtCs1234_9my_plugin6config4load))
        (func $_ZN6config4loadEi unreachable)
        (func (export "cpp") (call $_ZN6config4loadEi)))"#;
    let context = Context::new();
    let plugin = context.plugin(module);
    for (function, name) in [
        ("rust", "main!my_plugin::config::load ["),
        ("rust_v0", "main!my_plugin::config::load ["),
        ("cpp", "main!config::load(int) ["),
    ] {
        let answer = plugin.call(function, "");
        assert!(answer.error().contains(name), "{function}: {}", answer.error());
    }
}
