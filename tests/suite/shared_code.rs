//! Plugins of the same modules share their code and the initial data of their memories, and nothing else.

#[cfg(feature = "compiler")]
mod compiled;

use std::fs;

use serde_json::json;

use crate::child;
use crate::host::{Context, Plugin, fixture, manifest};

/// The variable for how many bytes of code and modules a process keeps for later plugins.
const BYTES: &str = "EXTISM_CACHE_MEMORY_BYTES";

/// A forked process inherits the images of its parent, and neither can change the other's.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a process is forked")]
#[test]
fn processes_that_part() {
    const TEST: &str = "shared_code::processes_that_part";
    if child::case().is_none() {
        child::run(TEST, "", &[(BYTES, "100000000".as_ref())]);
        return;
    }
    let context = Context::new();
    let modules: Vec<_> = (0..5).map(|number| with_data(&format!("(global i32 (i32.const {number}))"))).collect();
    // All are compiled before the fork, as the compiler's threads stay with the parent.
    modules.iter().for_each(|module| check(context.plugin(module)));
    let [inherited, kept] = [0; 2].map(|_| context.plugin(&modules[0]));
    // SAFETY: no other thread runs, and the child ends without unwinding.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let works = std::panic::catch_unwind(|| {
            inherited.free();
            modules.iter().for_each(|module| check(context.plugin(module)));
            // The images are freed with the last plugin.
            ffi_reset(&context);
        });
        // SAFETY: ends the child, which cleans up nothing of the parent.
        unsafe { libc::_exit(i32::from(works.is_err())) };
    }
    modules.iter().for_each(|module| check(context.plugin(module)));
    let mut status = 0;
    // SAFETY: the child is this process's; writes to `status`.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child's");
    [inherited, kept].into_iter().for_each(check);
    modules.iter().for_each(|module| check(context.plugin(module)));
}

fn ffi_reset(context: &Context) {
    extism::ffi::extism_context_reset(context.0);
}

/// If files must be small, data is copied instead of mapped from an image.
#[cfg(target_os = "linux")]
#[test]
fn where_files_must_be_small() {
    const TEST: &str = "shared_code::where_files_must_be_small";
    if child::case().is_some() {
        let context = Context::new();
        (0..3).for_each(|_| check(context.plugin(with_data(""))));
        return;
    }
    let child = child::command(TEST, "run");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -f 1000; exec \"$@\"", "sh"]).arg(child.get_program()).args(child.get_args());
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(command.status().expect("there is a shell").success());
}

/// As many plugins as a server may have, with Linux's default limits: 65,530 mappings and 128 TiB of addresses.
#[cfg(target_os = "linux")]
#[test]
fn twelve_thousand_plugins_live_at_once() {
    const TEST: &str = "shared_code::twelve_thousand_plugins_live_at_once";
    if child::case().is_none() {
        child::run(TEST, "", &[(BYTES, "10000000".as_ref())]);
        return;
    }
    let resident = || {
        let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4
    };
    for (module, function, expected) in [
        (fixture("echo.v0"), "echo", "plugin"),
        // A module with an image, of which one page is read.
        (with_data("(import \"env\" \"extism_input_length\" (func (result i64)))").into_bytes(), "peek", ""),
    ] {
        let context = Context::new();
        context.plugin(&module).call_only(function, b"");
        let before = resident();
        let plugins: Vec<_> = (0..12_000).map(|_| context.plugin(&module)).collect();
        plugins.iter().for_each(|plugin| assert_eq!(plugin.answer(function, expected), expected));
        let each = (resident() - before) / 12_000;
        assert!(each <= if function == "echo" { 20 } else { 90 }, "{function}: {each} KiB each");
    }
}

/// A module with 1 MiB of data. `change` changes some bytes; `sum` adds up all bytes, less the sum of the data.
fn with_data(rest: &str) -> String {
    let data = "\\01".repeat(1 << 20);
    format!(
        r#"(module {rest} (memory 40) (data (i32.const 100000) "{data}") (data $passive "\05\06")
            (func (export "change") (i32.store8 (i32.const 1000000) (i32.const 77)) (memory.fill (i32.const 0) (i32.const 9) (i32.const 10)))
            (func (export "peek") (drop (i32.load (i32.const 300000))))
            (func (export "grow") (result i32) (i32.sub (memory.grow (i32.const 5)) (i32.const 40)))
            (func (export "later") (memory.init $passive (i32.const 2000000) (i32.const 0) (i32.const 2)))
            (func (export "sum") (result i32) (local $at i32) (local $sum i32)
                (loop $next
                    (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                    (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 2621440))))
                (i32.sub (local.get $sum) (i32.const 1048576)))
            (func (export "_start")))"#
    )
}

/// Checks the results of the functions of [`with_data`], and changes the plugin.
fn check(plugin: Plugin<'_>) {
    let call = |name: &str| plugin.call_only(name, b"");
    assert_eq!((call("sum"), call("change"), call("sum")), (0, 0, 76 + 90));
    assert_eq!((call("grow"), call("later"), call("sum")), (0, 0, 76 + 90 + 11));
    // A new instance starts with the module's data.
    assert_eq!((call("_start"), call("sum"), call("grow")), (0, 0, 0));
    call("change");
}

#[test]
fn each_instance_begins_with_the_modules_data() {
    let context = Context::new();
    for rest in ["", "(import \"env\" \"extism_input_length\" (func (result i64)))"] {
        let module = with_data(rest);
        let plugins: Vec<_> = (0..5).map(|_| context.plugin(&module)).collect();
        plugins.iter().for_each(|plugin| check(*plugin));
        plugins[0].free();
        assert!(plugins[1].update(&module, false));
        check(plugins[1]);
        check(context.plugin(&module));
        // Limits count this memory like any other.
        let error = context.refusal(manifest(&module, "\"memory\": {\"max_pages\": 30}"));
        assert!(error.contains("memory.max_pages, which is 30"), "{error}");
        assert_eq!(context.plugin(manifest(&module, "\"memory\": {\"max_pages\": 42}")).call_only("grow", b""), -41);
    }
}

/// Data in a library's memory, in either of two memories, beyond the end of one, and at an imported offset.
#[test]
fn data_elsewhere() {
    let context = Context::new();
    // A `_start` would make it a command, of which only functions can be imported.
    let library = with_data("").replace("(memory 40)", "(memory (export \"memory\") 40)").replace("_start", "start");
    let main = r#"(module (import "library" "memory" (memory 1)) (import "library" "sum" (func $sum (result i32)))
        (data (i32.const 100000) "\03") (func (export "run") (result i32) (call $sum)))"#;
    let both = json!({"wasm": [{"name": "main", "data": base64(main)}, {"name": "library", "data": base64(&library)}]});
    for _ in 0..3 {
        assert_eq!(context.plugin(both.to_string()).call_only("run", b""), 2);
    }
    let data = "\\07".repeat(200_000);
    for (module, expected) in [
        (
            format!(
                r#"(memory 1) (memory 5) (data (memory 1) (i32.const 5) "{data}") (func (export "f") (result i32)
            (i32.add (i32.load8_u (i32.const 5)) (i32.load8_u 1 (i32.const 5))))"#
            ),
            Ok(7),
        ),
        (
            format!(
                r#"(memory 5) (memory 1) (data (i32.const 5) "{data}") (func (export "f") (result i32)
            (i32.add (i32.load8_u (i32.const 5)) (i32.load8_u 1 (i32.const 5))))"#
            ),
            Ok(7),
        ),
        (format!(r#"(memory 5) (data (i32.const 200000) "{data}")"#), Err("out of bounds memory access")),
        (
            format!(
                r#"(import "extism:host/env" "__heap_base" (global i32)) (memory 5) (data (global.get 0) "{data}")
            (func (export "f") (result i32) (i32.load8_u (global.get 0)))"#
            ),
            Ok(7),
        ),
    ] {
        for _ in 0..3 {
            let plugin = context.create(format!("(module {module})"), false);
            match (plugin, &expected) {
                (Ok(plugin), Ok(code)) => assert_eq!(plugin.call_only("f", b""), *code, "{}", &module[..60]),
                (Err(error), Err(text)) => assert!(error.contains(text), "{error}"),
                (other, _) => panic!("{}: {}", &module[..60], other.is_ok()),
            }
        }
    }
}

fn base64(text: &str) -> String {
    let mut data = String::new();
    crate::host::base64(text.as_bytes(), &mut data);
    data
}

/// A host that closes descriptors of others, as daemons do when they start, and then opens files of its own.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a descriptor of the library is given to another file")]
#[test]
fn a_host_that_closes_what_it_did_not_open() {
    use std::mem::ManuallyDrop;
    use std::os::fd::{FromRawFd, OwnedFd};
    child::alone("shared_code::a_host_that_closes_what_it_did_not_open", || {
        let context = Context::new();
        let module = with_data("");
        let plugins = [context.plugin(&module), context.plugin(&module)];
        let image = fs::read_dir("/proc/self/fd").expect("Linux").flatten().find(|entry| {
            fs::read_link(entry.path()).is_ok_and(|path| path.to_string_lossy().contains("memfd:extism-wasmer"))
        });
        let number = image.expect("there is an image").file_name().to_string_lossy().parse().expect("a number");
        let secret = tempfile::NamedTempFile::new().expect("a file");
        fs::write(secret.path(), vec![99; 4 << 20]).expect("writable");
        // SAFETY: the descriptor is open; nobody else in this process uses it at this moment.
        let mut descriptor = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
        rustix::io::dup2(secret.as_file(), &mut descriptor).expect("it can be given to another file");
        plugins.iter().for_each(|plugin| check(*plugin));
        check(context.plugin(&module));
        context.plugin(with_data("(global i32 (i32.const 1))"));
        assert_eq!(fs::read(secret.path()).expect("readable"), vec![99; 4 << 20]);
    });
}
