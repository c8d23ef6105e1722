//! Errors say what kind of input stands in the place of a module or a manifest, and where it is.

#[cfg(feature = "compiler")]
use std::fs;

#[cfg(feature = "compiler")]
use serde_json::json;

use crate::host::{Context, base64, manifest};

/// Name and contents of a file that should be a module, and the text that the error has about it.
#[cfg(feature = "compiler")]
const KINDS: [(&str, &[u8], &str); 12] = [
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
        assert!(error.starts_with("module `main` is") && error.contains(expected), "{name}: {error}");
    }
}

/// The words that the error has after the path.
#[cfg(feature = "compiler")]
fn start(expected: &str) -> &str {
    if expected.starts_with("is cut off") { "is cut off" } else { "is not a WebAssembly module: it is" }
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
        ("\u{feff}", "No wasm files specified"),
        ("not json", "expected ident at line 1 column 2"),
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

const ONE: &str = "(module (func (export \"one\") (result i32) (i32.const 1)))";

/// Manifests as other languages write them: empty lists for objects, null for absent keys, byte-order marks.
#[test]
fn manifests_of_other_languages() {
    let mut data = String::new();
    base64(ONE.as_bytes(), &mut data);
    let mut marked = String::new();
    base64(format!("\u{feff}{ONE}").as_bytes(), &mut marked);
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
