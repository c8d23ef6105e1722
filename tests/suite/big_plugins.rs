//! SQLite and QuickJS, programs of a megabyte each, as plugins. `make fixtures-big` builds them. Without them the tests
//! print that they are skipped and pass, unless `NO_SKIP` is set.

use crate::host::{Context, Plugin, root};

/// Runs `test` on the plugin `name`, once for each guest ABI.
fn with_plugin(name: &str, test: impl Fn(Plugin<'_>)) {
    for abi in ["v0", "v1"] {
        let path = root().join(format!("fixtures/big/{name}.{abi}.wasm"));
        let Ok(module) = std::fs::read(&path) else {
            assert!(std::env::var_os("NO_SKIP").is_none(), "{} is missing: make fixtures-big", path.display());
            println!("skipped: {} is missing (make fixtures-big)", path.display());
            continue;
        };
        let context = Context::new();
        test(context.create(module, true).expect("the plugin can be made"));
    }
}

#[test]
fn sqlite_keeps_a_database_across_calls() {
    with_plugin("sqlite", |sqlite| {
        sqlite.answer("query", "create table t(a integer primary key, b text)");
        let rows: String = (0..2000).map(|n| format!("insert into t(b) values('row {n}');")).collect();
        sqlite.answer("query", rows);
        assert_eq!(sqlite.answer("query", "select count(*), min(b), max(a) from t"), "2000|row 0|2000\n");
        let failed = sqlite.call("query", "select * from nowhere");
        assert_eq!((failed.code, failed.error()), (1, "no such table: nowhere"));
        assert_eq!(sqlite.answer("query", "select b from t where a = 7"), "row 6\n");
        assert_eq!(sqlite.answer("query", "select sum(length(b)) from t"), "14890\n");
    });
}

#[test]
fn quickjs_runs_programs() {
    with_plugin("quickjs", |js| {
        assert_eq!(js.answer("eval", "6 * 7"), "42");
        js.answer("eval", "globalThis.fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2)");
        assert_eq!(js.answer("eval", "fib(20)"), "6765");
        assert_eq!(js.answer("eval", "JSON.stringify([...'héllo'].reverse())"), r#"["o","l","l","é","h"]"#);
        let failed = js.call("eval", "throw new TypeError('no')");
        assert_eq!(failed.code, 1);
        assert!(failed.error().contains("TypeError: no"), "{}", failed.error());
        assert_eq!(js.answer("eval", "fib(10)"), "55");
    });
}
