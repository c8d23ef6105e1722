//! Files are taken, or refused, by each command as the library takes and refuses them, and errors name the file that
//! was given.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{fixture, folder, run};

const ECHO: &str = r#"(module (func (export "f")))"#;

fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) {
    fs::write(folder.join(name), contents).expect("writable");
}

/// Byte order marks, and what other languages write for an empty map, with options that add to it.
#[test]
fn what_the_library_reads() {
    let folder = folder();
    let folder = folder.path();
    let reactor = fixture("reactor.v1");
    write(folder, "bom.wat", format!("\u{feff}{ECHO}"));
    write(folder, "bom.json", format!("\u{feff}{}", json!({"wasm": [{"path": "bom.wat"}]})));
    write(folder, "bom.toml", "\u{feff}[[wasm]]\npath = 'bom.wat'\n");
    for (name, config) in [
        ("list", json!([])),
        ("pairs", json!([["B", "2"], ["A", "manifest"]])),
        ("map", json!({"B": "2"})),
        ("null", json!(null)),
    ] {
        let manifest = json!({
            "wasm": [{"path": reactor}], "config": config, "allowed_paths": [], "allowed_hosts": null, "timeout_ms": null,
        });
        write(folder, &format!("{name}.json"), manifest.to_string());
    }
    for name in ["bom.wat", "bom.json", "bom.toml"] {
        for command in [&["call", name, "f", "--timeout", "60000"][..], &["compile", name]] {
            let ran = run(folder, command, "");
            assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{command:?}");
        }
    }
    let ran = run(folder, &["inspect", "bom.wat"], "");
    assert!(ran.status == 0 && ran.stdout.contains("  export      f () -> ()\n"), "{}{}", ran.stdout, ran.stderr);
    for (name, expected) in [("list", "A=1\n"), ("pairs", "A=1\nB=2\n"), ("map", "A=1\nB=2\n"), ("null", "A=1\n")] {
        let name = format!("{name}.json");
        let options = ["--wasi", "--config", "A=1", "--allow-host", "example.org", "--allow-path", "/tmp:/tmp"];
        let ran = run(folder, &[&["call", &name, "environ"][..], &options].concat(), "");
        assert_eq!((ran.status, ran.stdout.as_str()), (0, expected), "{name}: {}", ran.stderr);
    }
}

/// Each error begins with the file's name, and says the same whichever command has been given the file.
#[test]
fn what_the_library_refuses() {
    let folder = folder();
    let folder = folder.path();
    let five_lines = "{\n  \"wasm\": [\n    {\"path\": \"x.wasm\"}\n  ],\n  \"config\": {\"a\": tru}\n}\n";
    for (name, contents, said) in [
        ("page.wasm", &b"<!DOCTYPE html><html></html>"[..], "an HTML page"),
        ("pointer.wasm", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS"),
        ("archive.wasm", b"PK\x03\x04\x14\0\0\0", "ZIP archive"),
        ("packed.wasm", b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        ("program.wasm", b"\x7fELF\x02\x01\x01\0", "ELF"),
        ("zeros.wasm", &[0; 100], "neither a WebAssembly module"),
        ("base64.wasm", b"AGFzbQEAAAA=", ""),
        ("empty.wasm", b"", ""),
        ("blank.wasm", b" \n\n", ""),
        ("answer.wasm", br#"{"error": "not found"}"#, "No wasm files specified"),
        ("place.json", five_lines.as_bytes(), "line 5 column 2"),
        ("place.toml", b"[[wasm]]\npath = 'x.wasm'\n[config]\na = 1\n", "line 4, column 5"),
        (
            "type.json",
            br#"{"wasm": [{"path": "x.wasm"}], "timeout_ms": "soon"}"#,
            "timeout_ms: invalid type: string `soon`",
        ),
        ("twice.json", br#"{"wasm": [{"path": "x.wasm"}], "config": {}, "config": {}}"#, "duplicate field `config`"),
        ("hash.json", br#"{"wasm": [{"path": "x.wasm", "hash": "00"}]}"#, "is not the 64 hex digits"),
        ("cut.wasm", b"\0asm\x01\0\0\0\x01", "cut off"),
    ] {
        write(folder, name, contents);
        let call = run(folder, &["call", name, "f", "--config", "a=b"], "");
        assert_eq!(call.status, 3, "{name}: {}", call.stderr);
        let begins = call.stderr.starts_with(&format!("extism-wasmer: `{name}`"));
        assert!(begins && call.stderr.contains(said), "{name}: {}", call.stderr);
        let compile = run(folder, &["compile", name], "");
        assert_eq!((compile.status, &compile.stderr), (3, &call.stderr), "{name}");
        if name.ends_with(".wasm") {
            let inspect = run(folder, &["inspect", name], "");
            assert_eq!((inspect.status, &inspect.stderr), (3, &call.stderr), "{name}");
        }
    }
    write(folder, "invalid.wat", "(module (func (result i32)))");
    for command in [&["call", "invalid.wat", "f"][..], &["compile", "invalid.wat"]] {
        let ran = run(folder, command, "");
        assert!(ran.status == 3 && ran.stderr.starts_with("extism-wasmer: `invalid.wat`"), "{}", ran.stderr);
    }
}

/// A manifest's keys that have no effect are lines of the log, for `compile` too.
#[test]
fn warnings_are_shown() {
    let folder = folder();
    let manifest = json!({"wasm": [{"path": fixture("echo.v1"), "nmae": "x"}]});
    write(folder.path(), "plugin.json", manifest.to_string());
    for command in [&["call", "plugin.json", "echo"][..], &["compile", "plugin.json", "--moving-memories"]] {
        let ran = run(folder.path(), command, "");
        assert!(ran.status == 0 && ran.stderr.lines().count() == 1, "{}", ran.stderr);
        assert!(ran.stderr.contains("unknown key `wasm[0].nmae` (`name` is one) ignored"), "{}", ran.stderr);
    }
}

/// A wrong file, or a module that cannot be compiled, does not keep the other files from being shown.
#[test]
fn inspecting_some_that_are_wrong() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "good.wat", ECHO);
    write(folder, "invalid.wat", "(module (func (result i32)))");
    write(folder, "manifest.json", json!({"wasm": [{"path": "good.wat"}]}).to_string());
    for (files, status, shown, said) in [
        (&["good.wat", "missing.wat"][..], 3, &["good.wat"][..], "`missing.wat`: No such file"),
        (&["missing.wat", "good.wat"], 3, &["good.wat"], "`missing.wat`: No such file"),
        (&["invalid.wat", "good.wat"], 1, &["invalid.wat", "good.wat"], ""),
        (&["invalid.wat", "missing.wat"], 3, &["invalid.wat"], "`missing.wat`: No such file"),
        (&["manifest.json", "good.wat"], 3, &["good.wat"], "`manifest.json`: it is a manifest, not a module"),
    ] {
        let ran = run(folder, &[&["inspect"], files].concat(), "");
        assert_eq!(ran.status, status, "{files:?}: {}", ran.stderr);
        let headings = ran.stdout.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(": ").next());
        assert!(headings.eq(shown.iter().map(|name| Some(*name))), "{files:?}: {}", ran.stdout);
        assert_eq!(ran.stderr.is_empty(), said.is_empty(), "{files:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{files:?}: {}", ran.stderr);
    }
    let ran = run(folder, &["inspect", "invalid.wat"], "");
    assert!(ran.stdout.contains("  cranelift   no: "), "{}", ran.stdout);
}
