//! Hosts that run tokio themselves: plugins wait inside their runtimes as they do elsewhere.

use std::fs;

use super::REACTORS;
use super::files::{text, with_paths};
use crate::host::Context;

/// Every operation of a plugin that waits, on a thread on which tokio runs already.
fn use_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "content").expect("writable");
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = with_paths(&context, reactor, [(text(folder.path()), "/mnt")]);
        assert_eq!(plugin.answer("read_file", "/mnt/a.txt"), "content");
        assert_eq!(plugin.answer("write_file", "/mnt/b.txt\0more"), "");
        assert_eq!(plugin.answer("rename", "/mnt/b.txt\0/mnt/c.txt"), "");
        assert_eq!(plugin.answer("list_dir", "/mnt"), "a.txt\nc.txt\n");
        assert_eq!(plugin.answer("remove", "/mnt/c.txt"), "");
        assert_eq!(plugin.answer("sleep_ms", "5"), "");
        assert_eq!(plugin.answer("print", "text"), "");
        plugin.free();
    }
}

#[test]
fn inside_of_tokio() {
    let multi = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("tokio");
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    use_everything();
    multi().block_on(async { use_everything() });
    single().block_on(async { use_everything() });
    multi().block_on(async { tokio::spawn(async { use_everything() }).await.expect("no panic") });
    single().block_on(async { tokio::spawn(async { use_everything() }).await.expect("no panic") });
    multi().block_on(async { tokio::task::spawn_blocking(use_everything).await.expect("no panic") });
    single().block_on(tokio::task::LocalSet::new().run_until(async {
        tokio::task::spawn_local(async { use_everything() }).await.expect("no panic");
    }));
}

/// A plugin may be made in one runtime, used in another, and freed when both are gone.
#[test]
fn across_runtimes() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let context = Context::new();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "content").expect("writable");
    let path = text(folder.path());
    let plugin = runtime().block_on(async { with_paths(&context, "reactor.v1", [(path, "/mnt")]) });
    for _ in 0..2 {
        let answer = runtime().block_on(async { plugin.answer("read_file", "/mnt/a.txt") });
        assert_eq!(answer, "content");
    }
    assert_eq!(plugin.answer("read_file", "/mnt/a.txt"), "content");
}
