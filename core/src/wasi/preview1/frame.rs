//! The context that a function runs in.

use wasmer::{FunctionEnv, FunctionEnvMut, RuntimeError};

use super::descriptors::Descriptors;
use super::errno::{Errno, Result0};
use super::memory::GuestMemory;
use crate::host::{Fault, Guest, SharedState};
use crate::stop::Watch;

/// State that the functions work on.
pub(super) struct WasiState {
    pub(super) guest: FunctionEnv<Guest>,
    /// The module's name, without NUL: the program's only argument.
    pub(super) program: String,
    /// Otherwise its environment is empty.
    pub(super) config_is_environment: bool,
    /// The instance's memory; `None` until the instance exists.
    pub(super) memory: Option<wasmer::Memory>,
    pub(super) descriptors: Descriptors,
}

/// The interface that a function was imported from. The two differ in the layout of a few structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `wasi_unstable`
    Preview0,
    /// `wasi_snapshot_preview1`
    Preview1,
}

/// The context of one call of a function.
pub(super) struct Frame<'a> {
    pub(super) descriptors: &'a mut Descriptors,
    pub(super) memory: GuestMemory<'a>,
    pub(super) plugin: &'a SharedState,
    pub(super) program: &'a str,
    pub(super) config_is_environment: bool,
    pub(super) watch: Watch,
    pub(super) version: Version,
}

/// Runs one function and returns its error number. Stops the plugin instead if it shall stop by then.
pub(super) fn enter(
    mut env: FunctionEnvMut<'_, WasiState>,
    version: Version,
    work: impl FnOnce(Frame<'_>) -> Result0,
) -> Result<i32, RuntimeError> {
    let (state, store) = env.data_and_store_mut();
    let Some(memory) = &state.memory else { return Ok(Errno::FAULT.into()) };
    let guest = state.guest.as_ref(&store);
    let watch = guest.watch;
    let frame = Frame {
        descriptors: &mut state.descriptors,
        memory: GuestMemory::new(memory.view(&store), watch),
        plugin: &guest.state,
        program: &state.program,
        config_is_environment: state.config_is_environment,
        watch,
        version,
    };
    let errno = work(frame).map_or_else(i32::from, |()| 0);
    if watch.stop().is_some() { Err(Fault::Stopped.into()) } else { Ok(errno) }
}
