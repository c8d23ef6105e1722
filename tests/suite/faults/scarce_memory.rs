//! Plugins made with ever more address space, until there is enough. Until then it is an error that says so, never the
//! end of the process, and afterwards the same plugin is made.

use std::ffi::OsStr;
use std::io::{self, Write as _};

use super::{limit, taken, trim};
use crate::child;
use crate::host::Context;

/// The room in MiB beyond what the process has.
const ROOM: [u64; 5] = [1, 24, 48, 96, 256];

/// The end of an error for memory that the system has refused after a step had begun.
const MEANWHILE: &str = "the system has refused memory in the middle of it";

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

/// The megabytes that must be free, by an error.
fn needed(error: &str) -> Option<u64> {
    let (before, _) = error.split_once(" MB must be free")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// Makes the plugin with so many bytes beyond what the process has. Prints whether memory was refused in the middle of
/// a step.
fn attempt(
    context: &Context,
    module: &[u8],
    resource: libc::__rlimit_resource_t,
    name: &str,
    bytes: u64,
) -> Result<(), String> {
    trim();
    let before = limit(resource, taken(name) + bytes);
    let outcome = context.create(module, false).map(drop);
    limit(resource, before);
    if let Err(error) = &outcome {
        let expected = ["no room", "no threads to compile with", "Cannot allocate memory"];
        assert!(expected.iter().any(|part| error.contains(part)), "{bytes} bytes: {error}");
        if error.contains(MEANWHILE) {
            writeln!(io::stdout(), "{MEANWHILE}").expect("a file");
        }
    }
    outcome
}

/// In a child: makes the plugin with so little room, then with barely the room that each error asks for, so that the
/// rest has to come from the reserve, and then with enough.
fn with_room(kind: &str, room: u64) {
    let context = Context::new();
    context.plugin("(module)").free();
    let module = module(kind);
    let mut outcome = attempt(&context, &module, libc::RLIMIT_AS, "VmSize:", room << 20);
    // Each step asks for its own. The heaps of other threads count for `RLIMIT_AS` before they are used, for this limit
    // not.
    for _ in 0..8 {
        let Some(megabytes) = outcome.as_ref().err().and_then(|error| needed(error)) else { break };
        outcome = attempt(&context, &module, libc::RLIMIT_DATA, "VmData:", (megabytes * 1_000_000) + (1 << 18));
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
        child::run_like_c(TEST, "calls 1", &[("EXTISM_CACHE_DIR", "".as_ref())]);
        return;
    }
    let kinds = ["data", "text", "code", "elements", "exports", "globals", "segments", "types", "functions", "calls"];
    let mut refused_meanwhile = 0;
    for kind in kinds {
        // The code of this one is in the cache.
        let folder = tempfile::tempdir().expect("a folder");
        let cache: &OsStr = if kind == "code" { folder.path().as_os_str() } else { "".as_ref() };
        if kind == "code" {
            child::run_like_c(TEST, "code 4096", &[("EXTISM_CACHE_DIR", cache)]);
        }
        for room in ROOM {
            // In a Rust program, the standard library gives each thread another stack for its signals, or ends the
            // process.
            let ended = child::run_like_c(TEST, &format!("{kind} {room}"), &[("EXTISM_CACHE_DIR", cache)]);
            refused_meanwhile += u32::from(ended.stdout.contains(MEANWHILE));
        }
    }
    assert!(refused_meanwhile >= 10, "the reserve served {refused_meanwhile} cases");
}
