//! Compiled plugins that come with Extism's own Rust PDK: output of the official toolchain since 2022, in both guest
//! ABIs. `make -C fixtures pdk` fetches them. Without them the tests print that they are skipped and pass, unless
//! `NO_SKIP` is set.

use serde_json::{Value, json};

use crate::host::{Context, manifest};
use crate::pdk;
#[cfg(feature = "http")]
use crate::server::{Server, answer};

const CONFIG: &str = r#""config": {"thing": "from the manifest"}"#;

/// A version of the PDK, and whether its `count_vowels` answers with the configuration besides the number.
struct Pdk {
    version: &'static str,
    shows_config: bool,
}

const PDKS: [Pdk; 4] = [
    Pdk { version: "0.1.0", shows_config: true },
    Pdk { version: "0.3.4", shows_config: true },
    Pdk { version: "1.0.0", shows_config: false },
    Pdk { version: "1.4.1", shows_config: false },
];

/// Runs `test` on the plugin `file` of each PDK.
fn with_plugins(file: &str, test: impl Fn(&Pdk, Vec<u8>)) {
    let (Some(mut found), Some(more)) = (pdk::locate("pdk-a"), pdk::locate("pdk-b")) else {
        assert!(std::env::var_os("NO_SKIP").is_none(), "the PDKs are missing: make -C fixtures pdk");
        println!("skipped: the PDKs are missing (make -C fixtures pdk)");
        return;
    };
    found.extend(more);
    for pdk in &PDKS {
        let (_, directory) = found.iter().find(|(version, _)| version == pdk.version).expect("the lock files have it");
        let path = directory.join("test").join(file);
        test(pdk, std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
}

fn vowels(pdk: &Pdk, count: u32, thing: &str) -> Value {
    if pdk.shows_config {
        json!({"count": count, "config": thing, "a": "this is var a", "b": "new_value"})
    } else {
        json!({ "count": count })
    }
}

#[test]
fn count_vowels_counts_again_and_again() {
    with_plugins("code.wasm", |pdk, module| {
        let context = Context::new();
        let plugin = context.plugin(manifest(module, CONFIG));
        let check = |input: &str, count: u32, thing: &str| {
            let answer: Value = serde_json::from_str(&plugin.answer("count_vowels", input)).expect("JSON");
            assert_eq!(answer, vowels(pdk, count, thing), "{}: {input:.20}", pdk.version);
        };
        for _ in 0..100 {
            check("this is a test", 4, "from the manifest");
        }
        for (input, count) in [("", 0), ("a", 1), ("rhythm", 0), ("ÄÖÜ aeiou AEIOU 🙂", 10)] {
            check(input, count, "from the manifest");
        }
        check(&"this is a test ".repeat(20_000), 80_000, "from the manifest");
        assert!(plugin.configure(r#"{"thing": "changed"}"#));
        check("this is a test", 4, "changed");
    });
}

#[test]
fn input_that_is_not_text_is_the_plugins_error() {
    with_plugins("code.wasm", |pdk, module| {
        let context = Context::new();
        let plugin = context.plugin(manifest(module, CONFIG));
        let failed = plugin.call("count_vowels", b"a\xff");
        assert_ne!(failed.code, 0, "{}", pdk.version);
        assert!(failed.error().contains("utf-8"), "{}: {failed:?}", pdk.version);
        assert!(plugin.answer("count_vowels", "aa").contains('2'), "{}", pdk.version);
    });
}

/// The plugins that show the configuration unwrap a setting that is missing.
#[test]
fn a_missing_setting_is_a_panic_of_the_plugin() {
    with_plugins("code.wasm", |pdk, module| {
        let context = Context::new();
        let plugin = context.plugin(module);
        let answer = plugin.call("count_vowels", "this is a test");
        assert_eq!(answer.code, if pdk.shows_config { -1 } else { 0 }, "{}: {answer:?}", pdk.version);
        assert_eq!(answer.error().contains("unreachable"), pdk.shows_config, "{}: {answer:?}", pdk.version);
    });
}

#[test]
#[cfg(feature = "http")]
fn http_get_gets() {
    let server = Server::start(|seen| answer("200 OK", &[], format!("answer to {}", seen.path())));
    with_plugins("http.wasm", |pdk, module| {
        let context = Context::new();
        let allowed = context.plugin(manifest(&module, r#""allowed_hosts": ["127.0.0.1"]"#));
        let query = format!(r#"{{"url": "{}"}}"#, server.url("/path"));
        assert_eq!(allowed.answer("http_get", &query), "answer to /path", "{}", pdk.version);
        let refused = context.plugin(manifest(&module, "")).call("http_get", &query);
        assert_eq!(refused.code, -1, "{}: {refused:?}", pdk.version);
        assert!(refused.error().contains("is not allowed"), "{}: {refused:?}", pdk.version);
    });
}

#[test]
#[cfg(not(feature = "http"))]
fn http_get_is_told_that_there_is_no_http() {
    with_plugins("http.wasm", |pdk, module| {
        let context = Context::new();
        let plugin = context.plugin(manifest(module, r#""allowed_hosts": ["*"]"#));
        for _ in 0..3 {
            let failed = plugin.call("http_get", r#"{"url": "http://127.0.0.1:1/"}"#);
            assert_eq!(failed.code, -1, "{}: {failed:?}", pdk.version);
            assert!(failed.error().contains("http is not built in"), "{}: {failed:?}", pdk.version);
        }
        let failed = plugin.call("http_get", "not a request");
        assert_ne!((failed.code, failed.error.as_deref()), (0, None), "{}", pdk.version);
    });
}
