//! Calls of plugins, and all that can be asked of them. A plugin may be idle, running on this very thread, freed, or never
//! have been one.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{ptr, slice, thread};

use extism_v1::ffi::{self, ExtismPlugin};

use crate::arguments::{CALLABLE, CONFIGS, NAMES, of};
use crate::callbacks::FAILURE;
use crate::making;
use crate::steps::Which;
use crate::texts;
use crate::world::{Run, world};

/// The words before a backtrace.
const BACKTRACE: &str = "error while executing at wasm backtrace";

fn pointer(token: usize) -> *mut ExtismPlugin {
    ptr::without_provenance_mut(token)
}

/// The error of a plugin, under both names of the function.
fn error(token: usize) -> Option<String> {
    let error = texts::text(ffi::extism_plugin_error(pointer(token)));
    assert_eq!(texts::text(ffi::extism_error(pointer(token))), error);
    error
}

/// The output of a plugin; `None` for NULL.
fn output(token: usize) -> Option<Vec<u8>> {
    let length = usize::try_from(ffi::extism_plugin_output_length(pointer(token))).expect("short");
    let data = ffi::extism_plugin_output_data(pointer(token));
    if data.is_null() {
        assert_eq!(length, 0);
        return None;
    }
    // SAFETY: the library promises as many bytes.
    Some(unsafe { slice::from_raw_parts(data, length) }.to_vec())
}

fn cancel_handle(token: usize) -> usize {
    ffi::extism_plugin_cancel_handle(pointer(token)).addr()
}

/// Checks all answers about what is no plugin.
pub(crate) fn check_absent(token: usize) {
    assert_eq!((error(token), output(token), making::id(token), cancel_handle(token)), (None, None, None, 0));
    assert!(!bool::from(ffi::extism_plugin_reset(pointer(token))));
    assert_eq!(ffi::extism_plugin_fuel_consumed(pointer(token)), 0);
    ffi::extism_plugin_allow_http_response_headers(pointer(token));
}

/// Asks a plugin for everything that does not change it.
pub(crate) fn look(which: Which) {
    let (token, index) = world(|world| world.plugin(which));
    let Some(index) = index else { return check_absent(token) };
    let (is_running, has_error, expected, id, handle) = world(|world| {
        let plugin = &world.plugins[index];
        let is_running = world.run_of(index).is_some();
        (is_running, plugin.has_error, plugin.output.clone(), plugin.id, plugin.handle)
    });
    assert_eq!(error(token).is_some(), has_error);
    let output = output(token).expect("not null");
    if is_running {
        assert!(output.is_empty());
        assert_eq!(ffi::extism_plugin_fuel_consumed(pointer(token)), 0);
    } else {
        assert!(expected.is_none_or(|expected| expected == output), "{output:?}");
        ffi::extism_plugin_fuel_consumed(pointer(token));
    }
    assert_eq!(making::id(token), Some(id));
    let now = cancel_handle(token);
    assert!(now != 0 && (handle == 0 || handle == now), "the same each time");
    world(|world| world.plugins[index].handle = now);
    ffi::extism_plugin_allow_http_response_headers(pointer(token));
}

/// Cancels a plugin's call, by a handle that was asked for before, if one was.
pub(crate) fn cancel(which: Which) {
    let (handle, index) = world(|world| world.handle(which));
    assert_eq!(bool::from(ffi::extism_plugin_cancel(ptr::without_provenance(handle))), index.is_some());
    if let Some(run) = index.and_then(|index| world(|world| world.run_of(index))) {
        world(|world| world.runs[run].is_cancelled = true);
    }
}

/// Resets a plugin.
pub(crate) fn reset(which: Which) {
    let (token, index) = world(|world| world.plugin(which));
    let idle = index.filter(|index| world(|world| world.run_of(*index).is_none()));
    assert_eq!(bool::from(ffi::extism_plugin_reset(pointer(token))), idle.is_some());
    if let Some(index) = idle {
        world(|world| world.plugins[index].output = Some(Vec::new()));
    }
}

/// Changes a plugin's configuration.
pub(crate) fn configure(which: Which, config: u8) {
    let (token, index) = world(|world| world.plugin(which));
    let (json, is_right) = *of(&CONFIGS, config);
    // SAFETY: pointer and length are those of a slice.
    let is_done: bool = unsafe { ffi::extism_plugin_config(pointer(token), json.as_ptr(), json.len() as u64) }.into();
    assert_eq!(is_done, is_right && index.is_some());
    // SAFETY: NULL with a length is an error.
    let is_done: bool = unsafe { ffi::extism_plugin_config(pointer(token), ptr::null(), 5) }.into();
    assert!(!is_done);
    if let Some(index) = index.filter(|_| is_right) {
        world(|world| world.plugins[index].has_error = false);
    }
}

/// Asks whether a plugin has a function.
pub(crate) fn exists(which: Which, name: u8) {
    let (token, index) = world(|world| world.plugin(which));
    let name = *of(&NAMES, name);
    let name_pointer = name.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: NULL or a C string.
    let exists: bool = unsafe { ffi::extism_plugin_function_exists(pointer(token), name_pointer) }.into();
    let Some(index) = index else { return assert!(!exists) };
    let has_exit = world(|world| world.documents[world.plugins[index].document].needs_wasi);
    let is_one = |name: &CStr| CALLABLE.contains(&name) || name == c"exit" && has_exit;
    assert_eq!(exists, name.is_some_and(is_one), "{name:?}");
    if name.is_some_and(|name| name.to_str().is_ok()) {
        world(|world| world.plugins[index].has_error = false);
    }
}

/// A call.
#[derive(Clone, Copy)]
struct Call {
    token: usize,
    name: Option<&'static CStr>,
    input: &'static [u8],
    context: usize,
}

/// Calls a plugin. One that would not end is stopped by its limit, or by another thread.
pub(crate) fn call(which: Which, name: u8, input: u8, context: u8) {
    const INPUTS: [&[u8]; 6] = [b"", b"1", b"\xffnot UTF-8", &[b'x'; 4097], &[b'y'; 70_000], &[0; 9]];
    let (token, index) = world(|world| world.plugin(which));
    let call = Call {
        token,
        name: *of(&NAMES, name),
        input: INPUTS[usize::from(input) % INPUTS.len()],
        context: context.into(),
    };
    let is_running = |index| world(|world| world.run_of(index)).is_some();
    match index {
        None => {
            assert_eq!(call.go(), -1);
            check_absent(token);
        }
        Some(index) if is_running(index) => {
            assert_eq!(call.go(), -1);
            assert!(error(token).is_some_and(|error| error.contains("inside its own call")));
            world(|world| world.plugins[index].has_error = true);
        }
        Some(index) => call.run(index),
    }
}

impl Call {
    fn go(self) -> i32 {
        let name = self.name.map_or(ptr::null(), CStr::as_ptr);
        let (data, length) =
            if self.input.is_empty() { (ptr::null(), 5) } else { (self.input.as_ptr(), self.input.len() as u64) };
        let (plugin, context) = (pointer(self.token), ptr::without_provenance_mut(self.context));
        if self.context == 0 {
            // SAFETY: the name is NULL or a C string, pointer and length are those of a slice or NULL.
            return unsafe { ffi::extism_plugin_call(plugin, name, data, length) };
        }
        // SAFETY: as above.
        unsafe { ffi::extism_plugin_call_with_host_context(plugin, name, data, length, context) }
    }

    /// Calls an idle plugin.
    fn run(self, index: usize) {
        let has_limit = world(|world| {
            let plugin = &mut world.plugins[index];
            (plugin.output, plugin.has_error) = (None, false);
            let (functions, serves, has_limit) = (plugin.functions.clone(), plugin.serves, plugin.has_limit);
            let context = self.context;
            world.runs.push(Run { plugin: Some(index), functions, serves, context, ..Run::default() });
            has_limit
        });
        let code = if self.name == Some(c"loop") && !has_limit { self.cancelled() } else { self.go() };
        let run = world(|world| world.runs.pop()).expect("pushed above");
        if run.is_freed {
            world(|world| world.count(&run.functions, 0, -1));
            assert_eq!(code, -1);
            check_absent(self.token);
            world(|world| world.check_data());
            return;
        }
        let error = error(self.token);
        world(|world| world.plugins[index].has_error = error.is_some());
        let is_stopped = |error: &String| error.contains("timeout") || error.contains("fuel");
        if has_limit && matches!(code, -1 | 134) && error.as_ref().is_some_and(is_stopped) {
            return;
        }
        self.check(index, &run, code, error);
    }

    /// Calls an endless function, until another thread has cancelled it.
    fn cancelled(self) -> i32 {
        let (handle, is_over) = (cancel_handle(self.token), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // False once a callback has freed the plugin.
                    let _ = ffi::extism_plugin_cancel(ptr::without_provenance(handle));
                    thread::yield_now();
                }
            });
            let code = self.go();
            is_over.store(true, Ordering::Relaxed);
            code
        })
    }

    /// Checks the result of a call that was not stopped by a limit.
    fn check(self, index: usize, run: &Run, code: i32, error: Option<String>) {
        let output = output(self.token).expect("not null");
        let has = |part: &str| error.as_ref().is_some_and(|error| error.contains(part));
        let (has_exit, is_lonely, starts_again) = world(|world| {
            let document = &world.documents[world.plugins[index].document];
            (document.needs_wasi, document.import.is_none(), document.calls_at_start)
        });
        if run.is_cancelled && (run.calls > 0 || starts_again) {
            return assert!(code == 134 && has("timeout"), "{code}, {error:?}");
        }
        if run.has_failed {
            return assert!(code == -1 && has(FAILURE.to_str().expect("UTF-8")), "{code}, {error:?}");
        }
        let expected = match self.name.and_then(|name| name.to_str().ok()) {
            Some("echo") => self.input.to_vec(),
            Some("host" | "twice") if is_lonely => self.input.to_vec(),
            Some("host" | "twice") => {
                let calls = if self.name == Some(c"host") { 1 } else { 2 };
                assert!(run.calls == calls || starts_again && run.calls == calls + 1, "{}", run.calls);
                run.blocks.get(&run.returned).cloned().unwrap_or_default()
            }
            Some("error") => return assert_eq!(code, 3),
            Some("trap") => return assert!(code == 134 && has(BACKTRACE), "{code}, {error:?}"),
            Some("loop") => return assert!(code == 134 && has("timeout"), "{code}, {error:?}"),
            Some("exit") if has_exit => return assert!(code == 3 && has(BACKTRACE), "{code}, {error:?}"),
            _ => return assert!(code == -1 && error.is_some() && output.is_empty(), "{code}, {error:?}"),
        };
        assert!(code == 0 && error.is_none() && output == expected, "{code}, {error:?}, {} bytes", output.len());
        world(|world| world.plugins[index].output = Some(expected));
    }
}
