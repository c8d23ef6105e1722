//! The functions that the library calls: host functions, and those that free their user data. Both take steps of the
//! caller.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::ffi::c_void;
use std::{ptr, slice};

use extism_v1::ffi::{self, ExtismCurrentPlugin, ExtismVal, ExtismValUnion};

use crate::steps::{Use, Which, take_some};
use crate::world::{Data, Frame, world};

/// The text that a host function fails with.
pub(crate) const FAILURE: &std::ffi::CStr = c"the host says no";

/// The argument that start functions pass, which is no block.
const AT_START: u64 = 77;

/// The most bytes of a block whose making must not fail.
const SMALL: u64 = 100_000;

/// The work of all host functions: checks what it is given, takes some steps, and returns its argument or a block.
pub(crate) unsafe extern "C" fn host_function(
    plugin: *mut ExtismCurrentPlugin,
    inputs: *const ExtismVal,
    n_inputs: u64,
    outputs: *mut ExtismVal,
    n_outputs: u64,
    data: *mut c_void,
) {
    assert_eq!((n_inputs, n_outputs), (1, 1), "that of the modules' import");
    let token = plugin.addr();
    let run = world(|world| {
        let run = world.runs.len() - 1;
        assert!(world.frames.iter().all(|frame| frame.token != token) && !world.over.contains(&token), "a new token");
        assert!(!world.plugins.iter().any(|plugin| plugin.token == token || plugin.handle == token));
        world.frames.push(Frame { token, run, fails: false });
        run
    });
    if !data.is_null() {
        // SAFETY: the data of `making::function`, which must not have been freed.
        let function = unsafe { &*data.cast::<Data>() }.function;
        assert_eq!(world(|world| world.runs[run].serves), Some(function), "the later one of this name");
    }
    // SAFETY: the library passes one value.
    let input = unsafe { (*inputs).v };
    // SAFETY: all bits are numbers.
    let input = unsafe { input.i64 }.cast_unsigned();
    note_block(run, plugin, input);
    let base = ffi::extism_current_plugin_memory(plugin);
    // SAFETY: the library promises that the first byte can be read.
    assert_eq!(unsafe { base.read() }, 0);
    check_context(run, plugin);
    take_some(6);
    assert_eq!(ffi::extism_current_plugin_memory(plugin), base, "it does not move");
    check_context(run, plugin);
    let handle = world(|world| {
        let run = &world.runs[run];
        if run.blocks.contains_key(&run.newest) { run.newest } else { input }
    });
    check_blocks(run, plugin);
    // SAFETY: the library passes one place.
    unsafe { (*outputs).v = ExtismValUnion { i64: handle.cast_signed() } };
    world(|world| {
        let frame = world.frames.pop().expect("pushed above");
        assert_eq!((frame.token, frame.run, world.runs.len()), (token, run, run + 1), "they end as they began");
        world.over.push(token);
        let run = &mut world.runs[run];
        run.has_failed |= frame.fails;
        if input == AT_START && !run.blocks.contains_key(&input) {
            // A call that makes a new instance begins after its start function, and clears the blocks.
            run.blocks.clear();
        }
        (run.returned, run.calls) = (handle, run.calls + 1);
    });
}

/// Frees the user data of a host function, once, when nothing has the function any more.
pub(crate) unsafe extern "C" fn free_data(data: *mut c_void) {
    // SAFETY: the data of `making::function`, which the library frees once.
    let data = unsafe { Box::from_raw(data.cast::<Data>()) };
    world(|world| {
        let function = &mut world.functions[data.function];
        assert!(function.owes_data, "freed twice");
        assert!(!function.is_there && function.holders == 0, "freed while something has the function");
        function.owes_data = false;
        let running = world.frames.iter().find(|frame| world.runs[frame.run].functions.contains(&data.function));
        assert!(running.is_none(), "freed while it runs");
        world.freed += 1;
    });
    drop(data);
    take_some(3);
}

/// The bytes of a block.
///
/// # Safety
/// The block must exist, and nothing else may use its bytes.
unsafe fn bytes<'a>(plugin: *mut ExtismCurrentPlugin, handle: u64, length: usize) -> &'a mut [u8] {
    let base = ffi::extism_current_plugin_memory(plugin);
    assert!(!base.is_null());
    let address = base.wrapping_add(usize::try_from(handle).expect("small"));
    // SAFETY: the caller promises that the block is there.
    unsafe { slice::from_raw_parts_mut(address, length) }
}

/// Notes a block of the plugin's own, if one begins there.
fn note_block(run: usize, plugin: *mut ExtismCurrentPlugin, handle: u64) {
    let length = ffi::extism_current_plugin_memory_length(plugin, handle);
    if length > 0 && world(|world| !world.runs[run].blocks.contains_key(&handle)) {
        // SAFETY: a block begins there.
        let bytes = unsafe { bytes(plugin, handle, usize::try_from(length).expect("short")) }.to_vec();
        world(|world| world.runs[run].blocks.insert(handle, bytes));
    }
}

/// Fails if the run has another host context than it was given.
fn check_context(run: usize, plugin: *mut ExtismCurrentPlugin) {
    let expected = world(|world| world.runs[run].context);
    assert_eq!(ffi::extism_current_plugin_host_context(plugin).addr(), expected);
}

/// Fails if a block of the run is not as it was left.
fn check_blocks(run: usize, plugin: *mut ExtismCurrentPlugin) {
    let blocks = world(|world| world.runs[run].blocks.clone());
    for (handle, expected) in blocks {
        assert_eq!(ffi::extism_current_plugin_memory_length(plugin, handle), expected.len() as u64);
        // SAFETY: it is there, and has this length.
        assert!(unsafe { bytes(plugin, handle, expected.len()) } == expected, "block {handle} was changed");
    }
}

/// Uses one of the functions for the plugin that calls a host function, in a frame or outside of one.
pub(crate) fn use_current(which: Which, what: Use) {
    let (token, frame) = world(|world| world.current(which));
    let plugin: *mut ExtismCurrentPlugin = ptr::without_provenance_mut(token);
    let run = frame.map(|frame| world(|world| world.frames[frame].run));
    match what {
        Use::Alloc(length) => alloc(plugin, run, length),
        Use::Free(number) => {
            let handle = world(|world| {
                let blocks = run.map(|run| &mut world.runs[run].blocks)?;
                let number = usize::from(number) % (blocks.len() + 1);
                let handle = *blocks.keys().nth(number)?;
                blocks.remove(&handle)?;
                Some(handle)
            });
            let absent = u64::MAX - u64::from(number);
            for _ in 0..2 {
                ffi::extism_current_plugin_memory_free(plugin, handle.unwrap_or(absent));
            }
            assert_eq!(ffi::extism_current_plugin_memory_length(plugin, handle.unwrap_or(absent)), 0);
        }
        Use::Length(handle) => {
            let length = ffi::extism_current_plugin_memory_length(plugin, handle);
            assert!(run.is_some() || length == 0);
        }
        Use::Fail(does) => {
            // SAFETY: NULL or a C string.
            unsafe { ffi::extism_current_plugin_error_set(plugin, if does { FAILURE.as_ptr() } else { ptr::null() }) };
            if let Some(frame) = frame {
                world(|world| world.frames[frame].fails = does);
            }
        }
        Use::Look => {
            let context = run.map_or(0, |run| world(|world| world.runs[run].context));
            assert_eq!(ffi::extism_current_plugin_host_context(plugin).addr(), context);
            assert_eq!(ffi::extism_current_plugin_memory(plugin).is_null(), run.is_none());
        }
    }
    if let Some(run) = run {
        check_blocks(run, plugin);
    }
}

/// Makes a block, and fills it.
fn alloc(plugin: *mut ExtismCurrentPlugin, run: Option<usize>, length: u64) {
    let handle = ffi::extism_current_plugin_memory_alloc(plugin, length);
    let Some(run) = run else {
        assert_eq!(handle, 0);
        return;
    };
    if length == 0 || length >= 1 << 32 {
        assert_eq!(handle, 0);
    }
    assert!(handle > 0 || length == 0 || length > SMALL, "there is room");
    assert!(handle < 1 << 31);
    if handle == 0 {
        return;
    }
    assert_eq!(ffi::extism_current_plugin_memory_length(plugin, handle), length);
    // SAFETY: made above.
    let bytes = unsafe { bytes(plugin, handle, usize::try_from(length).expect("short")) };
    assert!(bytes.iter().all(|byte| *byte == 0), "it is empty");
    bytes.fill(handle as u8 | 1);
    let bytes = bytes.to_vec();
    world(|world| {
        let run = &mut world.runs[run];
        let is_apart =
            |(other, bytes): (&u64, &Vec<u8>)| other + bytes.len() as u64 <= handle || handle + length <= *other;
        assert!(run.blocks.iter().all(is_apart), "blocks do not overlap");
        run.blocks.insert(handle, bytes);
        run.newest = handle;
    });
}
