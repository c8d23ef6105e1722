//! Little address space (`RLIMIT_AS`), and memory that must not become executable.

use super::{HUNGRY, MODULE, all_is_well, limit, taken};
use crate::child;
use crate::host::{Compiler, Context, manifest};
use crate::linking::modules;

/// Lets plugins in these children share code, as they do for users. glibc's allocator has one arena: a further one,
/// which a thread that compiles may or may not get, takes 64 MiB of addresses, as much as these tests leave.
const SETTINGS: [(&str, &str); 2] = [("EXTISM_CACHE_MEMORY_BYTES", "67108864"), ("MALLOC_ARENA_MAX", "1")];

fn alone(test: &str, body: impl FnOnce()) {
    match child::case() {
        Some(_) => body(),
        None => drop(child::run(test, "alone", &SETTINGS.map(|(name, value)| (name, value.as_ref())))),
    }
}

/// Limits the address space of this process to what it uses and this many MiB more. Returns the limit before.
fn leave(mebibytes: u64) -> u64 {
    limit(libc::RLIMIT_AS, taken("VmSize:") + (mebibytes << 20))
}

/// If a reservation of 8 GiB is refused, plugins get memories that move; timeouts, traps and updates work as usual.
#[test]
fn little_address_space() {
    alone("faults::address_space::little_address_space", || {
        let context = Context::new();
        let roomy = context.plugin(MODULE);
        all_is_well(&roomy);
        let timed = manifest(MODULE, r#""timeout_ms": 20, "memory": {"max_pages": 64}"#);
        let before = leave(400);
        for round in 0..3 {
            let plugin = context.plugin(&timed);
            all_is_well(&plugin);
            assert!(plugin.call("forever", "").error().contains("timeout"), "{round}");
            all_is_well(&plugin);
            assert!(plugin.update(MODULE, false), "{:?}", context.error(plugin.id));
            all_is_well(&plugin);
        }
        let many: Vec<_> = (0..100).map(|_| context.plugin(MODULE)).collect();
        many.iter().for_each(all_is_well);
        all_is_well(&roomy);
        limit(libc::RLIMIT_AS, before);
        all_is_well(&context.plugin(MODULE));
    });
}

/// Under a limit that is far away, memories are reserved until one reservation is refused.
#[test]
fn a_refused_reservation() {
    alone("faults::address_space::a_refused_reservation", || {
        let context = Context::new();
        leave(300 << 10);
        let plugins: Vec<_> = (0..60).map(|_| context.plugin(MODULE)).collect();
        plugins.iter().for_each(all_is_well);
    });
}

/// Reads, writes and grows to the last byte and traps behind it: up to 16 MiB by single pages, which moves the memory.
const GROWING: &str = r#"(module (memory 1) (memory $second 0 3)
    (func (export "one") (result i32) (i32.const 1))
    (func (export "trap") (drop (i32.load8_u (i32.shl (memory.size) (i32.const 16)))))
    (func (export "trap_far") (i32.store offset=0x7fffffff (i32.const 0x7fffffff) (i32.const 1)))
    (func (export "trap_word") (drop (i64.load (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 7)))))
    (func (export "trap_second") (drop (memory.grow $second (i32.const 1)))
        (drop (i32.load8_u $second (i32.shl (memory.size $second) (i32.const 16)))))
    (func (export "grow") (result i32) (local $page i32) (local $sum i32)
        (loop $more
            (i32.store (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4)) (memory.size))
            (drop (memory.grow (i32.const 1)))
            (if (i32.load8_u (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1))) (then unreachable))
            (br_if $more (i32.lt_u (memory.size) (i32.const 256))))
        (loop $each
            (local.set $page (i32.add (local.get $page) (i32.const 1)))
            (local.set $sum (i32.add (local.get $sum)
                (i32.load (i32.sub (i32.shl (local.get $page) (i32.const 16)) (i32.const 4)))))
            (br_if $each (i32.lt_u (local.get $page) (i32.const 255))))
        (local.get $sum)))"#;

/// On each compiler, memories that move keep their bytes, end at their length, and start with their data or image.
#[test]
fn memories_that_move() {
    alone("faults::address_space::memories_that_move", || {
        // From here on code is compiled for memories that move: the limit is small, although far above the need.
        limit(libc::RLIMIT_AS, taken("VmSize:") + (4 << 30));
        for compiler in crate::compilers::usable() {
            let with = |module: &str| manifest(module, &format!(r#""compiler": "{}""#, compiler.name()));
            let context = Context::new();
            let plugin = context.plugin(with(GROWING));
            assert_eq!(plugin.call_only("grow", b""), (1..256).sum::<i32>(), "{compiler:?}");
            for trap in ["trap", "trap_far", "trap_word", "trap_second"] {
                assert!(plugin.call(trap, "").error().contains("out of bounds"), "{compiler:?}: {trap}");
            }
            let data = format!(
                r#"(module (memory 4) (data (i32.const 1) "{}") (func (export "run") (result i32)
                    (drop (memory.grow (i32.const 60)))
                    (i32.store8 (i32.const 1) (i32.add (i32.load8_u (i32.const 1)) (i32.const 1)))
                    (i32.add (i32.load8_u (i32.const 1)) (i32.load8_u (i32.const 200000)))))"#,
                "A".repeat(200_000)
            );
            for number in 0..3 {
                assert_eq!(context.plugin(with(&data)).call_only("run", b""), 131, "{compiler:?}: {number}");
            }
            // No memory was reserved.
            assert!(taken("VmSize:") < 8 << 30, "{}", taken("VmSize:"));
        }
    });
}

/// A size that somebody else chooses and that does not fit is an error that says so, and nothing is lost.
#[test]
fn no_room_for_what_others_choose() {
    alone("faults::address_space::no_room_for_what_others_choose", || {
        let context = Context::new();
        let plugin = context.plugin(HUNGRY);
        // A custom section of 80 MB.
        let mut large = b"\0asm\x01\0\0\0\0\x80\xe8\x92\x26\x01x".to_vec();
        large.resize(8 + 5 + 80_000_000 + 1, 0);
        let tables = ["(module (table 9000000 funcref))", "(module (table 9000000 9000000 funcref))"];
        tables.iter().for_each(|table| context.plugin(table).free());
        let before = leave(60);
        for table in tables {
            let error = context.refusal(table);
            // Code for little address space may have to be compiled first, for which LLVM wants more room.
            assert!(error.contains("no room "), "{error}");
        }
        let error = context.refusal(&large);
        assert!(error.contains("module `main`: no room for its 800000"), "{error}");
        all_is_well(&plugin);
        limit(libc::RLIMIT_AS, before);
    });
}

/// A table of the plugin's own and one that it imports grow as far as there is memory, and then no further. LLVM's code
/// calls Wasmer's own function, which ends the process.
#[test]
fn no_room_for_a_table_that_grows() {
    const GROW: &str =
        "(loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))";
    alone("faults::address_space::no_room_for_a_table_that_grows", || {
        if Compiler::in_use() == "llvm" {
            return;
        }
        let grow = format!("(func (export \"grow\") (result i32) {GROW} (table.size))");
        let own = format!("(module (table 1 funcref) {grow})");
        let imported = format!(r#"(module (import "lib" "table" (table 1 funcref)) {grow})"#);
        let imported = modules([("lib", r#"(module (table (export "table") 1 funcref))"#), ("main", &imported)]);
        for manifest in [manifest(own, ""), imported] {
            let context = Context::new();
            let (plugin, other) = (context.plugin(manifest), context.plugin(HUNGRY));
            let before = leave(50);
            let size = plugin.call_only("grow", b"");
            // A trap would be too much to ask: a new instance needs memory.
            assert_eq!(other.call_only("one", b""), 1);
            limit(libc::RLIMIT_AS, before);
            all_is_well(&other);
            assert!((1_000_000..9_000_000).contains(&size), "{size} elements");
            let most = plugin.call_only("grow", b"");
            assert!(most > size, "{most} elements, and {size} before");
        }
    });
}

/// The host's table of blocks is bounded, but the system may not have the memory for all of it.
#[test]
fn no_room_for_the_table_of_blocks() {
    const BLOCKS: &str = r#"(module
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (memory 1)
        (func (export "one") (result i32) (i32.const 1))
        (func (export "trap") (i32.store (i32.const -1) (i32.const 1)))
        (func (export "grow") (drop (call $alloc (i64.const 0x1000000))))
        (func (export "all") (result i32) (local $count i32)
            (loop $more
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br_if $more (i64.ne (call $alloc (i64.const 1)) (i64.const 0))))
            (local.get $count)))"#;
    alone("faults::address_space::no_room_for_the_table_of_blocks", || {
        let context = Context::new();
        let plugin = context.plugin(BLOCKS);
        // From here on the plugin's memory has room for all blocks, and the table does not.
        assert_eq!(plugin.call_only("grow", b""), 0);
        // The limit is on data, because the allocator has its address space reserved already.
        let before = limit(libc::RLIMIT_DATA, taken("VmData:") + (3 << 20));
        let some = plugin.call_only("all", b"");
        all_is_well(&plugin);
        limit(libc::RLIMIT_DATA, before);
        let all = plugin.call_only("all", b"");
        assert!(all > 1 << 20 && some > 1000 && some < all, "{some} of {all}");
    });
}

/// The error names the cause, and nothing is written to standard error, not even by the panic in Wasmer.
#[test]
fn memory_that_must_not_become_executable() {
    const TEST: &str = "faults::address_space::memory_that_must_not_become_executable";
    if child::case().is_none() {
        let ended = child::run(TEST, "alone", &[]);
        assert_eq!(ended.stderr, "");
        return;
    }
    const SET: i32 = 65;
    const NO_GAIN: libc::c_ulong = 1;
    // SAFETY: takes numbers only.
    if unsafe { libc::prctl(SET, NO_GAIN, 0, 0, 0) } != 0 {
        return println!("skipped: this system has no such limit");
    }
    let context = Context::new();
    // Without a compiler, the tests' cache holds the code of both.
    for module in [MODULE, HUNGRY] {
        let error = context.refusal(module);
        assert!(error.contains("does not let memory become executable") && error.contains("denied"), "{error}");
    }
}

/// A compiler that gets no threads panics: the error says so, and nothing is written to standard error.
#[cfg(all(feature = "compiler", target_arch = "x86_64"))]
#[test]
fn no_threads_to_compile_with() {
    const TEST: &str = "faults::address_space::no_threads_to_compile_with";
    if child::case().is_none() {
        let ended = child::run(TEST, "alone", &[("EXTISM_CACHE_DIR", "".as_ref())]);
        assert_eq!(ended.stderr, "");
        return;
    }
    refuse(libc::SYS_clone3);
    let error = Context::new().refusal(MODULE);
    assert!(error.contains("no threads to compile with") && error.contains("not permitted"), "{error}");
}

/// Makes a system call fail with EPERM on this thread and those that it starts, as a container's filter may.
#[cfg(all(feature = "compiler", target_arch = "x86_64"))]
fn refuse(call: libc::c_long) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let line = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut lines = [
        line(LOAD, 0, 0),
        line(IF_EQUAL, 1, u32::try_from(call).expect("small")),
        line(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        line(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: lines.len() as u16, filter: lines.as_mut_ptr() };
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program outlives the call and has as many lines as its length says.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}
