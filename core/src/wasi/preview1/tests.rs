//! Measures how much work a function does between two yield points, and after the plugin shall stop. For every
//! function, `tests/suite/wasi/table/deadlines.rs` measures the time.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use wasmer::sys::EngineBuilder;
use wasmer::{Memory, MemoryType, Pages, Store};

use super::descriptors::Descriptors;
use super::errno::{Errno, Result0};
use super::frame::{Frame, Version};
use super::memory::{GuestMemory, MAX_TRANSFER};
use super::yield_point::{MAX_BYTES, PASSED};
use super::{fd, path, poll, process};
use crate::host::{Logs, Network, PluginState, Vars};
use crate::stop::{CodeRanges, Stopper};

/// Pages of the plugin's memory, and the offsets of its input, its result and its output.
const PAGES: u32 = 512;
const INPUT: u32 = 0;
const RESULT: u32 = 1 << 16;
const OUTPUT: u32 = 1 << 20;

/// The number of bytes, entries or lines that a function has to work on.
const BYTES: usize = 4 << 20;
const ITEMS: usize = 1000;

/// The arguments of functions. Descriptor 3 is a directory with a name of `BYTES` bytes, descriptor 4 a file in it of
/// `2 * MAX_TRANSFER` bytes.
struct Plugin {
    store: Store,
    memory: Memory,
    descriptors: Descriptors,
    state: crate::host::SharedState,
    program: String,
    config_is_environment: bool,
    stopper: Stopper,
}

impl Plugin {
    fn new(folder: &str) -> Self {
        let mut store = Store::new(EngineBuilder::headless().engine());
        let memory = Memory::new(&mut store, MemoryType::new(Pages(PAGES), None, false)).expect("address space");
        let logs = Arc::new(Logs::new(None, None));
        let paths = BTreeMap::from([(folder.to_owned(), "x".repeat(BYTES - 1))]);
        let descriptors = Descriptors::new(&paths, &logs).expect("the folder is there");
        let mut config: BTreeMap<_, _> = (0..ITEMS).map(|number| (format!("{number:05}"), "x".to_owned())).collect();
        config.insert("large".to_owned(), "x".repeat(BYTES));
        let state = PluginState::new(config, Vars::new(None), Network::new(&[], None), true, None);
        let stopper = Stopper::new(Arc::new(CodeRanges::new(Vec::new())));
        Self { store, memory, descriptors, state, program: "x".repeat(BYTES), config_is_environment: true, stopper }
    }

    fn write(&self, at: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.memory.view(&self.store).write(at.into(), &bytes).expect("it is inside");
    }

    fn read_result(&self) -> u32 {
        let mut word = [0; 4];
        self.memory.view(&self.store).read(RESULT.into(), &mut word).expect("it is inside");
        u32::from_le_bytes(word)
    }

    /// Calls a function; returns how many yield points it has passed, and its result.
    fn call(&mut self, function: impl FnOnce(Frame<'_>) -> Result0) -> (usize, Result0) {
        let watch = self.stopper.watch();
        let frame = Frame {
            descriptors: &mut self.descriptors,
            memory: GuestMemory::new(self.memory.view(&self.store), watch),
            plugin: &self.state,
            program: &self.program,
            config_is_environment: self.config_is_environment,
            watch,
            version: Version::Preview1,
        };
        PASSED.set(0);
        let result = function(frame);
        (PASSED.get(), result)
    }
}

/// A function with much work.
struct Row {
    name: &'static str,
    function: fn(Frame<'_>) -> Result0,
    /// The amount of work, and the most of it between two yield points.
    work: usize,
    most: usize,
}

const fn row(name: &'static str, function: fn(Frame<'_>) -> Result0, work: usize, most: usize) -> Row {
    Row { name, function, work, most }
}

/// The number of bytes from `OUTPUT` to the end of the memory.
const REST: u32 = (PAGES << 16) - OUTPUT;

const ROWS: [Row; 13] = [
    row("args_get", |frame| process::args_get(frame, RESULT, OUTPUT), BYTES, MAX_BYTES),
    row("environ_get", |frame| process::environ_get(frame, RESULT, OUTPUT), BYTES, MAX_BYTES),
    row("environ_get, variables", |frame| process::environ_get(frame, RESULT, OUTPUT), ITEMS, 1),
    row("environ_sizes_get", |frame| process::environ_sizes_get(frame, RESULT, RESULT + 4), BYTES, MAX_BYTES),
    row("environ_sizes_get, variables", |frame| process::environ_sizes_get(frame, RESULT, RESULT + 4), ITEMS, 1),
    row("random_get", |frame| process::random_get(frame, OUTPUT, BYTES as u32), BYTES, MAX_BYTES),
    row("fd_prestat_dir_name", |frame| fd::prestat_dir_name(frame, 3, OUTPUT, BYTES as u32), BYTES, MAX_BYTES),
    row("fd_readdir", |frame| fd::readdir(frame, 3, OUTPUT, REST, 0, RESULT), ITEMS, 1),
    row("fd_write to the log, lines", |frame| fd::write(frame, 1, INPUT, 1, RESULT), MAX_TRANSFER, 1),
    // Transfers end after `MAX_TRANSFER` bytes.
    row("fd_read", |frame| fd::read(frame, 4, INPUT + 8, 1, RESULT), MAX_TRANSFER, MAX_TRANSFER),
    row("fd_pread", |frame| fd::pread(frame, 4, INPUT + 8, 1, 0, RESULT), MAX_TRANSFER, MAX_TRANSFER),
    row("fd_write", |frame| fd::write(frame, 4, INPUT + 8, 1, RESULT), MAX_TRANSFER, MAX_TRANSFER),
    row("fd_pwrite", |frame| fd::pwrite(frame, 4, INPUT + 8, 1, 0, RESULT), MAX_TRANSFER, MAX_TRANSFER),
];

#[test]
fn what_a_plugin_sizes_has_yield_points() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..ITEMS {
        fs::write(folder.path().join(number.to_string()), "").expect("writable");
    }
    fs::write(folder.path().join("file"), vec![b'x'; 2 * MAX_TRANSFER]).expect("writable");
    let mut plugin = Plugin::new(folder.path().to_str().expect("text"));
    plugin.memory.view(&plugin.store).write(1024, b"file").expect("it is inside");
    let (_, opened) = plugin.call(|frame| path::open(frame, 3, 0, 1024, 4, 0, 1 << 1 | 1 << 6, 0, 0, RESULT));
    opened.expect("the file is there");
    // Lines for the log, and a buffer for the file.
    let lines = vec![b'\n'; MAX_TRANSFER];
    let vectors = [OUTPUT, MAX_TRANSFER as u32, OUTPUT + MAX_TRANSFER as u32, u32::MAX >> 9];
    for Row { name, function, work, most } in ROWS {
        plugin.write(INPUT, &vectors);
        plugin.memory.view(&plugin.store).write(OUTPUT.into(), &lines).expect("it is inside");
        let run = plugin.stopper.begin(None).expect("no deadline");
        let (passed, result) = plugin.call(function);
        assert_eq!(result, Ok(()), "{name}");
        let least = work / most - 1;
        assert!(passed >= least, "{name}: {passed} yield points, not {least}");
        if most == MAX_TRANSFER {
            assert_eq!(plugin.read_result() as usize, MAX_TRANSFER, "{name}");
        }
        // When the plugin shall stop, the function ends at its first yield point.
        plugin.memory.view(&plugin.store).write(OUTPUT.into(), &lines).expect("it is inside");
        plugin.stopper.handle().cancel();
        let (passed, result) = plugin.call(function);
        if least > 0 {
            assert_eq!((passed, result), (1, Err(Errno::INTR)), "{name}");
        }
        drop(run);
    }
}

#[test]
fn the_environment_is_the_configuration_or_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plugin = Plugin::new(folder.path().to_str().expect("text"));
    for (config_is_environment, variables) in [(true, ITEMS as u32 + 1), (false, 0)] {
        plugin.config_is_environment = config_is_environment;
        plugin.write(RESULT, &[7, 7]);
        assert_eq!(plugin.call(|frame| process::environ_sizes_get(frame, RESULT, RESULT + 4)).1, Ok(()));
        assert_eq!(plugin.read_result(), variables);
        // The pointers to them.
        plugin.write(RESULT, &[7, 7]);
        assert_eq!(plugin.call(|frame| process::environ_get(frame, RESULT, OUTPUT)).1, Ok(()));
        assert_eq!(plugin.read_result(), if config_is_environment { OUTPUT } else { 7 });
    }
}

/// A plugin cannot wait for more subscriptions, or pass more buffers, in one call.
#[test]
fn what_has_none_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plugin = Plugin::new(folder.path().to_str().expect("text"));
    for (count, expected) in [(1024, Ok(())), (1025, Err(Errno::INVAL)), (u32::MAX, Err(Errno::INVAL))] {
        // A subscription of zeros is a clock that is due at once.
        assert_eq!(plugin.call(|frame| poll::poll_oneoff(frame, OUTPUT, 2 * OUTPUT, count, RESULT)).1, expected);
        let vectors = 2 * OUTPUT + (1 << 16);
        assert_eq!(plugin.call(|frame| fd::read(frame, 0, vectors, count, RESULT)).1, expected);
    }
}
