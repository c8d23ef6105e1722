//! Plugins made with ever more address space, until there is enough. Until then it is an error that says so, never the
//! end of the process, and afterwards the same plugin is made.

use std::ffi::OsStr;

use super::{limit, taken};
use crate::child;
use crate::host::Context;

/// The room in MiB beyond what the process has.
const ROOM: [u64; 9] = [1, 16, 24, 32, 48, 64, 96, 160, 256];

const TEST: &str = "faults::scarce_memory::of_every_kind";

/// A module with much of one kind of item, and an exported function `f`.
fn module(kind: &str) -> Vec<u8> {
    let each = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<String>();
    let fields = match kind {
        "data" | "text" | "code" => format!(r#"(memory 40) (data "{}")"#, "x".repeat(2_000_000)),
        "elements" => format!("(elem func {})", "0 ".repeat(200_000)),
        "exports" => each(40_000, &|number| format!(r#"(export "{number}" (func 0))"#)),
        "globals" => each(30_000, &|_| "(global i32 (i32.const 0))".to_owned()),
        "segments" => "(data)".repeat(20_000),
        "types" => "(type (func))".repeat(8_000),
        "functions" => "(func (drop (i32.const 0)))".repeat(8_000),
        "calls" => format!("(func {})", "(call 0)".repeat(4_000)),
        other => panic!("{other}"),
    };
    let text = format!(r#"(module (func (export "f")) {fields})"#);
    if kind == "text" { text.into_bytes() } else { wat::parse_str(text).expect("WAT") }
}

/// In a child: makes the plugin with so little room, and then with enough.
fn with_room(kind: &str, room: u64) {
    let context = Context::new();
    context.plugin("(module)").free();
    let module = module(kind);
    let before = limit(libc::RLIMIT_AS, taken("VmSize:") + (room << 20));
    let outcome = context.create(&module, false).map(drop);
    limit(libc::RLIMIT_AS, before);
    if let Err(error) = outcome {
        let expected = ["no room", "no threads to compile with", "Cannot allocate memory"];
        assert!(expected.iter().any(|part| error.contains(part)), "{kind}, {room} MiB: {error}");
    }
    assert_eq!(context.plugin(&module).call("f", "").code, 0, "{kind}, {room} MiB");
}

#[cfg(feature = "compiler")]
#[test]
fn of_every_kind() {
    if let Some(case) = child::case() {
        let (kind, room) = case.split_once(' ').expect("two words");
        return with_room(kind, room.parse().expect("a number"));
    }
    // LLVM takes seconds for most of these modules, and ends the process by itself if memory runs out inside it.
    if std::env::var("EXTISM_COMPILER").is_ok_and(|compiler| compiler == "llvm") {
        child::run(TEST, "calls 1", &[("EXTISM_CACHE_DIR", "".as_ref())]);
        return;
    }
    let kinds = ["data", "text", "code", "elements", "exports", "globals", "segments", "types", "functions", "calls"];
    for kind in kinds {
        // The code of this one is in the cache.
        let folder = tempfile::tempdir().expect("a folder");
        let cache: &OsStr = if kind == "code" { folder.path().as_os_str() } else { "".as_ref() };
        if kind == "code" {
            child::run(TEST, "code 4096", &[("EXTISM_CACHE_DIR", cache)]);
        }
        for room in ROOM {
            child::run(TEST, &format!("{kind} {room}"), &[("EXTISM_CACHE_DIR", cache)]);
        }
    }
}
