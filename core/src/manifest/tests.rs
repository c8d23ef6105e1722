use super::{AddressRange, Manifest, ModuleSource, parse};
use crate::abi::Abi;

const BOTH: [Abi; 2] = [Abi::V0, Abi::V1];

fn ok(text: &str) -> Manifest<'_> {
    ok_for(text, Abi::V0)
}

fn ok_for(text: &str, abi: Abi) -> Manifest<'_> {
    parse(text.as_bytes(), abi).unwrap_or_else(|error| panic!("{abi:?}: {text}: {error}"))
}

fn names(text: &str, abi: Abi) -> Vec<String> {
    ok_for(text, abi).modules.into_iter().map(|module| module.name).collect()
}

/// Checks that the error for `text` has all `parts`.
fn refused(text: &str, abi: Abi, parts: &[&str]) {
    let error = parse(text.as_bytes(), abi).expect_err(text).to_string();
    for part in parts {
        assert!(error.contains(part), "{abi:?}: {text}: `{part}` is not in: {error}");
    }
}

#[test]
fn modules_need_no_manifest() {
    for module in [
        "\0asm\x01\0\0\0",
        "(module)",
        "( module)",
        "( \n module)",
        " \n (module)",
        ";; note\n(module)",
        "(; note ;)(module)",
    ] {
        for abi in BOTH {
            let manifest = ok_for(module, abi);
            assert_eq!(manifest.modules[0].name, "main");
            assert!(matches!(&manifest.modules[0].source, ModuleSource::Data(bytes) if **bytes == *module.as_bytes()));
        }
    }
}

#[test]
fn defaults_are_those_of_the_generation() {
    for (abi, max_var_bytes) in [(Abi::V0, None), (Abi::V1, Some(1 << 20))] {
        for (text, max_pages, max_var_bytes) in [
            ("(module)", None, max_var_bytes),
            (r#"{"wasm": [{"path": "x.wasm"}]}"#, None, max_var_bytes),
            ("[[wasm]]\npath = \"x.wasm\"", None, max_var_bytes),
            (r#"{"wasm": [{"path": "x.wasm"}], "memory": {}}"#, None, max_var_bytes),
            (r#"{"wasm": [{"path": "x.wasm"}], "memory": {"max_var_bytes": null}}"#, None, max_var_bytes),
            (r#"{"wasm": [{"path": "x.wasm"}], "memory": {"max_pages": 0}}"#, Some(0), max_var_bytes),
            (r#"{"wasm": [{"path": "x.wasm"}], "memory": {"max_var_bytes": 0}}"#, None, Some(0)),
            (r#"{"wasm": [{"path": "x.wasm"}], "memory": {"max_var_bytes": 209715200}}"#, None, Some(200 << 20)),
        ] {
            let Manifest { memory, timeout, allowed_hosts, fuel, config, .. } = ok_for(text, abi);
            assert_eq!((memory.max_pages, memory.max_var_bytes), (max_pages, max_var_bytes), "{abi:?}: {text}");
            assert_eq!((memory.max_block_pages, memory.max_http_response_bytes), (None, None), "{abi:?}: {text}");
            assert_eq!((timeout, fuel), (None, None), "{abi:?}: {text}");
            assert!(allowed_hosts.is_empty() && config.is_empty(), "{abi:?}: {text}");
        }
    }
}

#[test]
fn a_module_may_be_in_memory_for_extism_1_only() {
    let at = |text: &str| match &ok_for(text, Abi::V1).modules[0].source {
        ModuleSource::Memory(range) => *range,
        other => panic!("{text}: {other:?}"),
    };
    for (text, address, length) in [
        (r#"{"wasm": [{"data": {"ptr": 1, "len": 2}}]}"#, 1, 2),
        (r#"{"wasm": [{"data": {"len": 2, "ptr": 1}, "url": "u"}]}"#, 1, 2),
        (r#"{"wasm": [{"data": {"ptr": 0, "len": 0}}]}"#, 0, 0),
        (r#"{"wasm": [{"data": {"ptr": 18446744073709551615, "len": 18446744073709551615}}]}"#, u64::MAX, u64::MAX),
        ("[[wasm]]\ndata = { ptr = 140737488351232, len = 8 }", 140_737_488_351_232, 8),
    ] {
        assert_eq!(at(text), AddressRange { address, length }, "{text}");
        refused(text, Abi::V0, &["wasm[0].data: a pointer into this process is refused, give the bytes as base64"]);
    }
    // Nor where another source counts.
    let both = r#"{"wasm": [{"path": "x.wasm", "data": {"ptr": 1, "len": 2}}]}"#;
    assert!(matches!(ok_for(both, Abi::V1).modules[0].source, ModuleSource::Path(_)));
    refused(both, Abi::V0, &["wasm[0].data: a pointer into this process is refused"]);
    let warnings = ok_for(r#"{"wasm": [{"data": {"ptr": 1, "len": 2, "size": 3}}]}"#, Abi::V1).warnings;
    assert_eq!(warnings, ["manifest: unknown key `wasm[0].data.size` ignored"]);
    for (data, parts) in [
        ("{}", &["wasm[0].data", "missing field `ptr`"][..]),
        (r#"{"ptr": 1}"#, &["wasm[0].data", "missing field `len`"]),
        (r#"{"ptr": -1, "len": 2}"#, &["wasm[0].data.ptr", "integer `-1`", "u64"]),
        (r#"{"ptr": 1, "len": 18446744073709551616}"#, &["wasm[0].data.len", "u64"]),
        (r#"{"ptr": 1, "len": 2.5}"#, &["wasm[0].data.len", "2.5"]),
        (r#"{"ptr": "0x10", "len": 2}"#, &["wasm[0].data.ptr", "string `0x10`", "u64"]),
        (r#"{"ptr": null, "len": 2}"#, &["wasm[0].data.ptr", "null", "u64"]),
        ("[0, 97, 115, 109]", &["wasm[0].data", "sequence", "a string of base64"]),
        ("7", &["wasm[0].data", "integer `7`", "a string of base64"]),
    ] {
        let text = format!(r#"{{"wasm": [{{"data": {data}}}]}}"#);
        refused(&text, Abi::V1, parts);
        refused(&text, Abi::V0, &["wasm[0].data"]);
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
        r#"{"wasm": [{"data": "AGFzbQ==", "name": null, "hash": null}], "memory": {"max_pages": null}, "config": {}}"#,
        r#"{"wasm": [{"path": "x.wasm"}], "memory": {"max_http_response_bytes": 1, "max_var_bytes": 2}}"#,
    ] {
        for abi in BOTH {
            let manifest = ok_for(text, abi);
            assert!(!manifest.warnings.join("\n").contains("unknown"), "{abi:?}: {text}: {:?}", manifest.warnings);
        }
    }
}

#[test]
fn unknown_keys_are_ignored_with_a_warning() {
    for abi in BOTH {
        let text = r#"{"wasm": [{"path": "x.wasm", "nmae": "y"}], "memmory": {}, "memory": {"mx": 1}}"#;
        let warnings = ok_for(text, abi).warnings.join("\n");
        for key in ["`wasm[0].nmae`", "`memmory`", "`memory.mx`"] {
            assert!(warnings.contains(key), "{abi:?}: {warnings}");
        }
        let manifest = ok_for(r#"{"wasm": [{"path": "x.wasm", "data": "", "url": "u"}]}"#, abi);
        assert_eq!(manifest.warnings.len(), 2, "{abi:?}: {:?}", manifest.warnings);
    }
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
        assert_eq!(self::names(text, Abi::V0), names, "{text}");
    }
}

#[test]
fn in_extism_1_modules_without_a_name_are_main_else_the_last_is() {
    for (text, names) in [
        (r#"{"wasm": [{"path": "b.wasm", "name": "x"}]}"#, &["main"][..]),
        (r#"{"wasm": [{"path": "b.wasm", "name": "extism:host/env"}]}"#, &["main"]),
        (r#"{"wasm": [{"path": "zeta.wasm", "name": "zeta"}, {"path": "alpha.wasm"}]}"#, &["zeta", "main"]),
        (r#"{"wasm": [{"path": "alpha.wasm"}, {"path": "zeta.wasm", "name": "zeta"}]}"#, &["main", "zeta"]),
        (r#"{"wasm": [{"data": "", "name": "z"}, {"data": "", "name": "a"}]}"#, &["z", "main"]),
        (r#"{"wasm": [{"data": "", "name": "main"}, {"data": "", "name": "z"}]}"#, &["main", "z"]),
        (r#"{"wasm": [{"url": "http://h/lib.wasm", "name": "l"}, {"url": "http://h/x.wasm"}]}"#, &["l", "main"]),
        // The last gives up its name before names are compared.
        (r#"{"wasm": [{"data": "", "name": "a"}, {"data": "", "name": "a"}]}"#, &["a", "main"]),
    ] {
        assert_eq!(self::names(text, Abi::V1), names, "{text}");
    }
    for (text, name) in [
        (r#"{"wasm": [{"path": "a.wasm"}, {"path": "b.wasm"}]}"#, "main"),
        (r#"{"wasm": [{"path": "a.wasm"}, {"path": "b.wasm", "name": "main"}]}"#, "main"),
        (r#"{"wasm": [{"data": "", "name": "a"}, {"data": "", "name": "a"}, {"data": ""}]}"#, "a"),
    ] {
        refused(text, Abi::V1, &[&format!("Duplicate module name found in Extism manifest: {name}")]);
    }
    let reserved = r#"{"wasm": [{"path": "a", "name": "extism:host/env"}, {"path": "b"}]}"#;
    refused(reserved, Abi::V1, &["`extism:host/env` is reserved"]);
    // As programs, modules have their own names.
    let manifest = ok_for(r#"{"wasm": [{"path": "lib/a.wasm", "name": "l"}, {"path": "b.wasm"}]}"#, Abi::V1);
    let programs: Vec<_> = manifest.modules.iter().map(|module| module.program.as_str()).collect();
    assert_eq!(programs, ["l", "b"]);
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
        (r#"{"wasm": [{"path": "/"}]}"#, &["wasm[0].path", "`/`", "no file name"]),
        (r#"{"wasm": [{"path": ".."}]}"#, &["wasm[0].path", "no file name"]),
        (r#"{"wasm": [{"path": ""}]}"#, &["wasm[0].path", "no file name"]),
        (r#"{"wasm": [{"path": "a"}], "memory": {"max": -1}}"#, &["memory.max", "`-1`"]),
        (r#"{"wasm": [{"path": "a"}], "memory": {"max": 4294967296}}"#, &["memory.max", "4294967296"]),
        (r#"{"wasm": [{"path": "a"}], "config": {"k": 1}}"#, &["config.k", "integer `1`"]),
        (r#"{"wasm": [{"path": "a"}], "config": {"k": null}}"#, &["config.k", "null"]),
        (r#"{"wasm": [{"path": "a"}]} x"#, &["trailing characters"]),
        (r#"{"wasm": [{"path": "a", "name": "extism:host/env"}, {"path": "b"}]}"#, &["`extism:host/env` is reserved"]),
        ("[[wasm]]\npath = 1", &["wasm", "path", "integer `1`"]),
        ("wasm = 3", &["wasm", "integer `3`"]),
        ("not json", &["expected ident at line 1 column 2", "text of another kind"]),
    ] {
        for abi in BOTH {
            refused(text, abi, parts);
        }
    }
    let same = r#"{"wasm": [{"path": "l"}, {"path": "m/l"}]}"#;
    refused(same, Abi::V0, &["Duplicate module name found in Extism manifest: l"]);
    let error = parse(b"{\"wasm\": \xff}", Abi::V1).expect_err("not text").to_string();
    assert!(error.contains("byte 9"), "{error}");
}
