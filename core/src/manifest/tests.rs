use super::{Manifest, ModuleSource, parse};

fn ok(text: &str) -> Manifest<'_> {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn modules_need_no_manifest() {
    for module in ["\0asm\x01\0\0\0", "(module)", " \n (module)", ";; note\n(module)", "(; note ;)(module)"] {
        let manifest = ok(module);
        assert_eq!(manifest.modules[0].name, "main");
        assert!(matches!(&manifest.modules[0].source, ModuleSource::Data(bytes) if **bytes == *module.as_bytes()));
    }
}

#[test]
fn json_and_toml_say_the_same() {
    let json = r#"{"wasm": [{"data": "AGFzbQ==", "name": "a", "hash": "00"}, {"path": "lib/main.wasm"}],
        "memory": {"max": 5, "max_pages": 7, "max_var_bytes": 9, "max_http_response_bytes": null},
        "config": {"k": "v"}, "allowed_paths": {"ro:/tmp": "/in"}, "allowed_hosts": null, "timeout_ms": null}"#;
    let toml = r#"
        allowed_paths = { "ro:/tmp" = "/in" }
        [[wasm]]
        data = "AGFzbQ=="
        name = "a"
        hash = "00"
        [[wasm]]
        path = "lib/main.wasm"
        [memory]
        max = 5
        max_pages = 7
        max_var_bytes = 9
        [config]
        k = "v"
    "#;
    for text in [json, toml] {
        let manifest = ok(text);
        let names: Vec<_> = manifest.modules.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["a", "main"]);
        assert_eq!(manifest.modules[0].hash.as_deref(), Some("00"));
        assert!(matches!(&manifest.modules[0].source, ModuleSource::Data(bytes) if **bytes == *b"\0asm"));
        assert!(matches!(&manifest.modules[1].source, ModuleSource::Path(path) if path.as_os_str() == "lib/main.wasm"));
        let memory = manifest.memory;
        assert_eq!((memory.max_block_pages, memory.max_pages, memory.max_var_bytes), (Some(5), Some(7), Some(9)));
        assert_eq!(manifest.config["k"], "v");
        assert_eq!(manifest.allowed_paths["ro:/tmp"], "/in");
        assert!(manifest.warnings.is_empty(), "{:?}", manifest.warnings);
    }
}

#[test]
fn what_sdks_write_is_read() {
    for text in [
        r#"{"wasm": [{"url": "http://h/x.wasm", "header": {"a": "b"}, "method": "GET"}]}"#,
        r#"{"wasm": [{"url": "http://h/x.wasm", "headers": [["a", "b"]], "method": null, "name": null}]}"#,
        r#"{"wasm": [{"path": "x.wasm"}], "memory": {}}"#,
        r#"{"wasm": [{"path": "x.wasm"}], "config": [["k", "v"]], "timeout_ms": 5, "allowed_hosts": ["*"]}"#,
    ] {
        ok(text);
    }
}

#[test]
fn unknown_keys_are_ignored_with_a_warning() {
    let manifest = ok(r#"{"wasm": [{"path": "x.wasm", "nmae": "y"}], "memmory": {}, "memory": {"mx": 1}}"#);
    let warnings = manifest.warnings.join("\n");
    for key in ["`wasm[0].nmae`", "`memmory`", "`memory.mx`"] {
        assert!(warnings.contains(key), "{warnings}");
    }
    let manifest = ok(r#"{"wasm": [{"path": "x.wasm", "data": "", "url": "u"}]}"#);
    assert_eq!(manifest.warnings.len(), 2, "{:?}", manifest.warnings);
}

#[test]
fn the_main_module_is_the_named_or_the_last_by_name() {
    for (text, names) in [
        (r#"{"wasm": [{"path": "b.wasm", "name": "x"}]}"#, vec!["main"]),
        (r#"{"wasm": [{"path": "a/zeta.wasm"}, {"path": "alpha.wat"}]}"#, vec!["main", "alpha"]),
        (r#"{"wasm": [{"path": "alpha.wasm"}, {"path": "zeta"}]}"#, vec!["alpha", "main"]),
        (r#"{"wasm": [{"path": "zeta.wasm"}, {"data": ""}]}"#, vec!["zeta", "main"]),
        (r#"{"wasm": [{"url": "http://h/p/lib.wasm"}, {"url": "http://h/x.wasm?y"}]}"#, vec!["lib", "main"]),
    ] {
        let manifest = ok(text);
        assert_eq!(manifest.modules.iter().map(|module| module.name.as_str()).collect::<Vec<_>>(), names, "{text}");
    }
}

#[test]
fn errors_name_the_place_and_the_reason() {
    for (text, parts) in [
        (r#"{"wasm": []}"#, &["No wasm files specified"][..]),
        (r#"{"wasm": null}"#, &["wasm", "invalid type: null, expected a sequence", "line 1 column 13"]),
        (r#"{"wasm": 123}"#, &["wasm", "invalid type: integer `123`, expected a sequence"]),
        (r#"{"wasm": [{"path": 1}]}"#, &["wasm[0].path", "integer `1`"]),
        (r#"{"wasm": [{"path": "a"}, {}]}"#, &["wasm[1]", "`path`, `data` or `url`"]),
        (r#"{"wasm": [{"data": "%"}]}"#, &["wasm[0].data", "invalid base64"]),
        (r#"{"wasm": [{"data": {"ptr": 1, "len": 2}}]}"#, &["wasm[0].data", "refused"]),
        (r#"{"wasm": [{"path": "/"}]}"#, &["wasm[0].path", "`/`", "no file name"]),
        (r#"{"wasm": [{"path": ".."}]}"#, &["wasm[0].path", "no file name"]),
        (r#"{"wasm": [{"path": ""}]}"#, &["wasm[0].path", "no file name"]),
        (r#"{"wasm": [{"path": "a"}], "memory": {"max": -1}}"#, &["memory.max", "`-1`"]),
        (r#"{"wasm": [{"path": "a"}], "memory": {"max": 4294967296}}"#, &["memory.max", "4294967296"]),
        (r#"{"wasm": [{"path": "a"}], "config": {"k": 1}}"#, &["config.k", "integer `1`"]),
        (r#"{"wasm": [{"path": "a"}], "config": {"k": null}}"#, &["config.k", "null"]),
        (r#"{"wasm": [{"path": "a"}]} x"#, &["trailing characters"]),
        (r#"{"wasm": [{"path": "l"}, {"path": "m/l"}]}"#, &["Duplicate module name found in Extism manifest: l"]),
        (r#"{"wasm": [{"path": "a", "name": "extism:host/env"}, {"path": "b"}]}"#, &["`extism:host/env` is reserved"]),
        ("[[wasm]]\npath = 1", &["wasm", "path", "integer `1`"]),
        ("wasm = 3", &["wasm", "integer `3`"]),
        ("not json", &["expected ident at line 1 column 2", "text of another kind"]),
    ] {
        let error = parse(text.as_bytes()).expect_err(text).to_string();
        for part in parts {
            assert!(error.contains(part), "{text}: `{part}` is not in: {error}");
        }
    }
    let error = parse(b"{\"wasm\": \xff}").expect_err("not text").to_string();
    assert!(error.contains("byte 9"), "{error}");
}
