//! The functions of the C interface in any order, on contexts, plugins and handles that exist, were freed or never
//! existed, leave the process alive. Absent things give the documented error values, every error is UTF-8, and every
//! output is readable.
//!
//! Some plugins loop for ever; a timeout of 5 ms, fuel, or another thread stops them.
#![no_main]
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use arbitrary::{Arbitrary, Result, Unstructured};
use extism::ffi;
use extism_fuzz::environment;
use extism_testkit::host::{Answer, CancelHandle, Context, Plugin, choose_compiler, manifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: environment::isolate(&[]), |steps: Steps| {
    let null = Caller { context: Context(ptr::null_mut()), is_there: false, plugins: BTreeMap::new() };
    let never = Caller { context: Context(ptr::without_provenance_mut(0x1230)), is_there: false, plugins: BTreeMap::new() };
    let mut callers = vec![null, never, Caller::new()];
    let mut handles = vec![CancelHandle(ptr::null()), CancelHandle(ptr::without_provenance(0x1230))];
    for step in &steps.0 {
        step.go(&mut callers, &mut handles);
    }
    choose_compiler(None);
});

/// A plugin with one function for each kind of behaviour.
const KIT: &str = r#"(module
    (import "extism:host/env" "input_offset" (func $offset (result i64)))
    (import "extism:host/env" "input_length" (func $length (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "error_set" (func $error (param i64)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "memory_bytes" (func $end (result i64)))
    (memory (export "memory") 1)
    (func $echo (export "echo") (call $output (call $offset) (call $length)))
    (func (export "_start") (call $echo))
    (func (export "error") (result i32) (call $error (call $offset)) (i32.const 3))
    (func (export "trap") (call $echo) unreachable)
    (func $deep (export "deep") (call $deep))
    (func (export "large") (call $output (call $alloc (i64.const 300000)) (i64.const 300000)))
    (func (export "end") (call $output (i64.sub (call $end) (i64.const 9)) (i64.const 9)))
    (func (export "takes") (param i32))
    (func (export "loop") (loop $again (br $again)))
    (func (export "fill") (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 4096)) (br $again))))"#;

const WASI: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (memory (export "memory") 1)
    (func (export "echo") (call $exit (i32.const 3)))
    (func (export "fill") (loop $again (drop (call $yield)) (br $again))))"#;

/// The input of a plugin.
struct Document {
    bytes: Vec<u8>,
    /// It becomes a plugin, unless that takes too long.
    is_good: bool,
    is_kit: bool,
    /// A call may be stopped, and an endless one always is.
    has_limit: bool,
}

static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let kit = |bytes: &str, has_limit| Document { bytes: bytes.into(), is_good: true, is_kit: true, has_limit };
    let bad = |bytes: &[u8]| Document { bytes: bytes.into(), is_good: false, is_kit: false, has_limit: true };
    let linked = manifest(KIT, r#""timeout_ms": 5"#).replacen("[{", r#"[{"name": "a", "data": "AGFzbQEAAAA="}, {"#, 1);
    vec![
        kit(KIT, false),
        kit(&manifest(KIT, r#""timeout_ms": 5"#), true),
        kit(&manifest(KIT, r#""fuel": 10000"#), true),
        kit(&manifest(KIT, r#""memory": {"max_pages": 40}, "config": {"key": "value"}"#), false),
        kit(&linked, true),
        bad(manifest(WASI, r#""timeout_ms": 5"#).as_bytes()),
        bad(manifest("(module (func $f (loop $again (br $again))) (start $f))", r#""timeout_ms": 5"#).as_bytes()),
        bad(b"(module (func $f unreachable) (start $f))"),
        bad(br#"(module (import "env" "absent" (func)))"#),
        bad(b"\0asm\xff"),
        bad(b"\xff"),
        bad(b""),
    ]
});

/// Names of functions of the kit, of other exports, of nothing, and invalid names.
const NAMES: [&CStr; 17] = [
    c"echo",
    c"echo",
    c"echo",
    c"_start",
    c"error",
    c"trap",
    c"deep",
    c"large",
    c"end",
    c"takes",
    c"loop",
    c"fill",
    c"absent",
    c"",
    c"memory",
    c"extism-wasmer:io",
    c"\xff",
];
/// Configurations, and whether they are.
const CONFIGS: [(&str, bool); 7] = [
    ("{}", true),
    (r#"{"key": "other", "none": null}"#, true),
    ("\u{feff}[]", true),
    ("", false),
    ("{", false),
    (r#"{"key": 1}"#, false),
    ("\0", false),
];
/// Where the log goes and what, and whether it can.
const LOGS: [(Option<&CStr>, Option<&CStr>, bool); 8] = [
    (None, Some(c"off"), true),
    (Some(c"/dev/null"), Some(c"TRACE"), true),
    (Some(c"/dev/null"), None, true),
    (Some(c"/dev/null/file"), Some(c"error"), false),
    (Some(c"\xff"), Some(c"error"), false),
    (Some(c"/dev/null"), Some(c"loud"), false),
    (Some(c"/dev/null"), Some(c"\xff"), false),
    (Some(c"$ENV{EXTISM_NOT_SET}/log"), None, false),
];
const COMPILERS: [Option<&CStr>; 6] =
    [None, Some(c"cranelift"), Some(c"llvm"), Some(c"singlepass"), Some(c"gcc"), Some(c"\xff")];

/// A context, and the plugins that are known to be in it.
struct Caller {
    context: Context,
    is_there: bool,
    plugins: BTreeMap<i32, &'static Document>,
}

#[derive(Debug)]
struct Steps(Vec<Step>);

/// A function to call. Numbers choose from the existing things, modulo their count.
#[derive(Debug, Clone, Copy)]
enum Step {
    NewContext,
    FreeContext(usize),
    ResetContext(usize),
    New {
        context: usize,
        document: usize,
        with_wasi: bool,
    },
    Update {
        place: Place,
        document: usize,
        with_wasi: bool,
    },
    Free(Place),
    Configure {
        place: Place,
        config: usize,
    },
    Exists {
        place: Place,
        name: usize,
    },
    CallNameless(Place),
    Call {
        place: Place,
        name: usize,
        input: usize,
    },
    /// Passes the output of one plugin as the input of another.
    CallWithOutput {
        place: Place,
        of: Place,
    },
    Look(Place),
    TakeHandle(Place),
    Cancel(usize),
    FreeHandle(usize),
    Log(usize),
    Compiler(usize),
}

/// A context, and a plugin in it or an id of no plugin.
#[derive(Debug, Clone, Copy)]
struct Place {
    context: usize,
    plugin: std::result::Result<usize, i32>,
}

impl<'a> Arbitrary<'a> for Steps {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let mut steps = Vec::new();
        while steps.len() < 40 && !noise.is_empty() {
            steps.push(Step::arbitrary(noise)?);
        }
        Ok(Self(steps))
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let kind = noise.int_in_range(0..=23)?;
        let (context, some, other) = (context(noise)?, number(noise)?, number(noise)?);
        let place = Place { context, plugin: if noise.ratio(7, 8)? { Ok(other) } else { Err(id(noise)?) } };
        let with_wasi = noise.ratio(1, 4)?;
        Ok(match kind {
            0 => Self::NewContext,
            1 => Self::FreeContext(context),
            2 => Self::ResetContext(context),
            3..7 => Self::New { context, document: some, with_wasi },
            7 => Self::Update { place, document: some, with_wasi },
            8 => Self::Free(place),
            9 => Self::Configure { place, config: some },
            10 => Self::Exists { place, name: some },
            11 => Self::CallNameless(place),
            12..17 => Self::Call { place, name: some, input: number(noise)? },
            17 => {
                let of = Place { context: self::context(noise)?, plugin: Ok(some) };
                Self::CallWithOutput { place, of }
            }
            18 => Self::Look(place),
            19 => Self::TakeHandle(place),
            20 => Self::Cancel(some),
            21 => Self::FreeHandle(some),
            22 => Self::Log(some),
            _ => Self::Compiler(some),
        })
    }
}

fn number(noise: &mut Unstructured<'_>) -> Result<usize> {
    noise.arbitrary::<u8>().map(usize::from)
}

/// Mostly not one of the first two contexts, which are invalid.
fn context(noise: &mut Unstructured<'_>) -> Result<usize> {
    if noise.ratio(1, 16)? { noise.int_in_range(0..=1) } else { Ok(2 + number(noise)?) }
}

fn id(noise: &mut Unstructured<'_>) -> Result<i32> {
    Ok(*noise.choose(&[-1, 0, 1, 25, i32::MAX, i32::MIN])?)
}

impl Step {
    fn go(self, callers: &mut Vec<Caller>, handles: &mut Vec<CancelHandle>) {
        match self {
            Self::NewContext => {
                if callers.len() < 8 {
                    callers.push(Caller::new());
                }
            }
            Self::FreeContext(context) => {
                let caller = pick(callers, context);
                (caller.is_there, caller.plugins) = (false, BTreeMap::new());
                ffi::extism_context_free(caller.context.0);
            }
            Self::ResetContext(context) => {
                let caller = pick(callers, context);
                caller.plugins.clear();
                ffi::extism_context_reset(caller.context.0);
            }
            Self::New { context, document, with_wasi } => {
                pick(callers, context).create(of(&DOCUMENTS, document), with_wasi)
            }
            Self::Update { place, document, with_wasi } => place.update(callers, of(&DOCUMENTS, document), with_wasi),
            Self::Free(place) => {
                place.plugin(callers).free();
                let id = place.id(callers);
                pick(callers, place.context).plugins.remove(&id);
                place.look(callers);
            }
            Self::Configure { place, config } => {
                let (config, is_right) = of(&CONFIGS, config);
                assert_eq!(place.plugin(callers).configure(config), *is_right && place.document(callers).is_some());
                place.look(callers);
            }
            Self::Exists { place, name } => {
                let name = of(&NAMES, name);
                place.exists(callers, name);
            }
            Self::CallNameless(place) => {
                assert_eq!(place.plugin(callers).call_nameless(), -1);
                assert!(place.look(callers).output.is_empty(), "it was not called");
            }
            Self::Call { place, name, input } => {
                let inputs: [&[u8]; 6] = [b"", b"1", b"\xffnot UTF-8", b"echo\0", &[b'x'; 70_000], &[0; 9]];
                let (name, input) = (of(&NAMES, name), of(&inputs, input));
                place.call(callers, name, input);
            }
            Self::CallWithOutput { place, of } => {
                let expected = of.look(callers).output;
                let (plugin, of) = (place.plugin(callers), of.plugin(callers));
                let code = plugin.call_with_output_of("echo", &of);
                place.check_echo(callers, code, &expected);
                // The output can be a function's name too.
                if place.look(callers).output.contains(&0) {
                    place.plugin(callers).call_named_by_output(b"input");
                    place.look(callers);
                }
            }
            Self::Look(place) => drop(place.look(callers)),
            Self::TakeHandle(place) => {
                let handle = place.plugin(callers).cancel_handle();
                assert_eq!(handle.0.is_null(), place.document(callers).is_none());
                handles.push(handle);
            }
            Self::Cancel(handle) => assert!(!of(handles, handle).cancel(), "nothing runs"),
            Self::FreeHandle(handle) => ffi::extism_cancel_handle_free(of(handles, handle).0),
            Self::Log(log) => {
                let (file, level, is_right) = of(&LOGS, log);
                let pointer = |text: &Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
                // SAFETY: both are NULL or C strings.
                assert_eq!(unsafe { ffi::extism_log_file(pointer(file), pointer(level)) }, *is_right);
            }
            Self::Compiler(compiler) => set_compiler(*of(&COMPILERS, compiler)),
        }
    }
}

fn of<T>(list: &[T], index: usize) -> &T {
    &list[index % list.len()]
}

fn pick(callers: &mut [Caller], index: usize) -> &mut Caller {
    let count = callers.len();
    &mut callers[index % count]
}

fn set_compiler(name: Option<&CStr>) {
    let pointer = name.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: NULL or a C string.
    let is_there = unsafe { ffi::extism_compiler_available(pointer) };
    // SAFETY: as above.
    let is_set = unsafe { ffi::extism_compiler_set(pointer) };
    assert_eq!(is_set, is_there || name.is_none());
    for text in [ffi::extism_compiler(), ffi::extism_version()] {
        // SAFETY: these are C strings that live as long as the library.
        assert!(!unsafe { CStr::from_ptr(text) }.is_empty());
    }
}

impl Caller {
    fn new() -> Self {
        Self { context: Context::new(), is_there: true, plugins: BTreeMap::new() }
    }

    fn create(&mut self, document: &'static Document, with_wasi: bool) {
        match self.context.create(&document.bytes, with_wasi) {
            Ok(plugin) => {
                assert!(self.is_there && plugin.id >= 0);
                assert!(self.plugins.insert(plugin.id, document).is_none(), "{} is given twice", plugin.id);
            }
            Err(error) => {
                assert!(!self.is_there || !document.is_good || error.contains("timeout"), "{error}");
                assert!(!error.starts_with("internal error"), "{error}");
            }
        }
    }
}

impl Place {
    fn id(self, callers: &[Caller]) -> i32 {
        match self.plugin {
            Ok(index) => {
                let plugins = &of(callers, self.context).plugins;
                plugins.keys().nth(index % plugins.len().max(1)).copied().unwrap_or(-1)
            }
            Err(id) => id,
        }
    }

    fn plugin(self, callers: &[Caller]) -> Plugin<'_> {
        Plugin { context: &of(callers, self.context).context, id: self.id(callers) }
    }

    /// The input of the plugin, if it exists.
    fn document(self, callers: &[Caller]) -> Option<&'static Document> {
        of(callers, self.context).plugins.get(&self.id(callers)).copied()
    }

    /// Reads everything that can be read of a plugin.
    fn look(self, callers: &[Caller]) -> Answer {
        let plugin = self.plugin(callers);
        let error = plugin.context.error(plugin.id);
        assert!(!error.as_ref().is_some_and(|error| error.starts_with("internal error")), "{error:?}");
        let (fuel, output) = (plugin.fuel_used(), plugin.output());
        let is_null = ffi::extism_plugin_output_data(plugin.context.0, plugin.id).is_null();
        match self.document(callers) {
            Some(_) => assert!(!is_null),
            None => {
                assert_eq!((is_null, fuel, output.len()), (true, 0, 0));
                assert!(
                    plugin
                        .context
                        .error(plugin.id)
                        .is_some_and(|error| error.contains("context") || error.contains("exist"))
                );
            }
        }
        Answer { code: 0, error, output }
    }

    fn update(self, callers: &mut [Caller], document: &'static Document, with_wasi: bool) {
        let was_there = self.document(callers).is_some();
        let is_updated = self.plugin(callers).update(&document.bytes, with_wasi);
        assert!(was_there || !is_updated);
        if is_updated {
            let id = self.id(callers);
            pick(callers, self.context).plugins.insert(id, document);
        } else {
            let error = of(callers, self.context).context.error(-1).expect("a failure has an error");
            assert!(!was_there || !document.is_good || error.contains("timeout"), "{error}");
        }
        self.look(callers);
    }

    fn exists(self, callers: &[Caller], name: &CStr) {
        let plugin = self.plugin(callers);
        // SAFETY: the name is a C string.
        let exists = unsafe { ffi::extism_plugin_function_exists(plugin.context.0, plugin.id, name.as_ptr()) };
        match self.document(callers) {
            Some(document) if document.is_kit => {
                let is_one = name != c"memory" && KIT.contains(&format!("(export {name:?})"));
                assert_eq!(exists, is_one, "{name:?}");
            }
            Some(_) => {}
            None => assert!(!exists),
        }
        // SAFETY: NULL is allowed.
        assert!(!unsafe { ffi::extism_plugin_function_exists(plugin.context.0, plugin.id, ptr::null()) });
        self.look(callers);
    }

    fn call(self, callers: &[Caller], name: &CStr, input: &[u8]) {
        let plugin = self.plugin(callers);
        let is_endless = name == c"loop" || name == c"fill";
        let Some(document) = self.document(callers) else {
            assert_eq!(plugin.call_named(name, input), -1);
            self.look(callers);
            return;
        };
        if is_endless && !document.has_limit {
            return self.call_cancelled(callers, name);
        }
        let code = plugin.call_named(name, input);
        if name == c"echo" {
            return self.check_echo(callers, code, input);
        }
        let answer = self.look(callers);
        assert!(code != -1 || answer.error.is_some(), "a failure has an error");
        assert!(!is_endless || code == -1, "{name:?} has ended");
    }

    /// Calls an endless function, until another thread has cancelled it.
    fn call_cancelled(self, callers: &[Caller], name: &CStr) {
        let plugin = self.plugin(callers);
        let (handle, is_over) = (plugin.cancel_handle(), AtomicBool::new(false));
        let code = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    handle.cancel();
                    thread::yield_now();
                }
            });
            let code = plugin.call_named(name, b"");
            is_over.store(true, Ordering::Relaxed);
            code
        });
        let error = self.look(callers).error;
        assert!(code == -1 && error.as_ref().is_some_and(|error| error.contains("cancelled")), "{code}: {error:?}");
    }

    fn check_echo(self, callers: &[Caller], code: i32, input: &[u8]) {
        let answer = self.look(callers);
        match self.document(callers) {
            Some(document) if document.is_kit => {
                let is_stopped = document.has_limit && code == -1 && answer.error().contains("timeout");
                assert!(is_stopped || (code == 0 && answer.output == input), "{code}, {:?}", answer.error);
            }
            Some(_) => {}
            None => assert_eq!(code, -1),
        }
    }
}
