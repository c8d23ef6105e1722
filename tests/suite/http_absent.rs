//! A library without HTTP says so.

use crate::host::{Context, fixture, manifest};

#[test]
fn modules_by_url_are_refused() {
    let error = Context::new().refusal(r#"{"wasm": [{"url": "http://127.0.0.1:1/a.wasm"}]}"#);
    assert_eq!(error, "`http://127.0.0.1:1/a.wasm`: http is not built in (cargo build --features http)");
}

#[test]
fn requests_of_plugins_are_refused() {
    for abi in ["v0", "v1"] {
        let context = Context::new();
        let plugin = context.plugin(manifest(fixture(&format!("kitchen.{abi}")), r#""allowed_hosts": ["*"]"#));
        let failed = plugin.call("http", r#"{"url": "http://127.0.0.1:1/"}"#);
        assert_eq!(failed.code, -1, "{abi}");
        assert!(failed.error().contains("http is not built in"), "{abi}: {}", failed.error());
        assert_eq!(plugin.answer("http_status", ""), "0", "{abi}");
    }
}
