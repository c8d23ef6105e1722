//! WASI preview 1 and preview 0 for the plugins that import it, without sockets and threads.
//!
//! The library has its own implementation, on cap-std: functions are small, none needs an async runtime, and where
//! possible the kernel confines paths to their directory (`openat2`), not a check of the path. Only the functions that
//! a module imports are made. `descriptors.rs` has the kinds of descriptors, `rights.rs` the rights they report;
//! `fd.rs`, `listing.rs`, `path.rs`, `poll.rs` and `process.rs` have the functions by family. Files are
//! opened without waiting (`opening.rs`). All work whose size a
//! plugin chooses has yield points (`yield_point.rs`).

mod descriptors;
mod errno;
mod fd;
mod listing;
mod memory;
mod opening;
mod path;
mod poll;
mod process;
mod rights;
mod stdio;
#[cfg(test)]
mod tests;
mod times;
mod yield_point;

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;
use wasmer::{AsStoreMut, Extern, Function, FunctionEnv, FunctionEnvMut, Instance, RuntimeError, StoreMut};

use crate::error::{Excerpt, Message};
use crate::host::{Fault, Guest, SharedState};
use crate::module::reserved::MEMORY_EXPORT;
use crate::stop::Watch;
use descriptors::Descriptors;
use errno::Errno;
use memory::GuestMemory;

/// WASI for one instance of one module.
pub(crate) struct Wasi(FunctionEnv<State>);

/// State that the functions work on.
struct State {
    guest: FunctionEnv<Guest>,
    /// The module's name, without NUL: the program's only argument.
    program: String,
    /// The instance's memory; `None` until the instance exists.
    memory: Option<wasmer::Memory>,
    descriptors: Descriptors,
}

/// Why a plugin cannot have WASI.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("allowed_paths: `{host}`: {cause}")]
    Directory { host: Excerpt, cause: Message },
    #[error("allowed_paths: two directories are mapped to `{0}`")]
    DuplicateMapping(Excerpt),
    #[error("the module imports WASI but has no memory")]
    NoMemory,
}

/// The plugin has called `proc_exit` with this status, which ends its call like a trap.
#[derive(Debug, Error)]
#[error("Exited with i32 exit status {0}")]
struct Exit(i32);

/// The plugin's exit status, if `proc_exit` has stopped it.
pub(crate) fn exit_code(error: &RuntimeError) -> Option<i32> {
    error.downcast_ref::<Exit>().map(|exit| exit.0)
}

/// Faults of `allowed_paths`, for plugins that do not import WASI, so that nothing opens the directories.
pub(crate) fn check(allowed_paths: &BTreeMap<String, String>) -> impl Iterator<Item = Error> {
    allowed_paths.iter().filter_map(|(host, guest)| descriptors::open(host, guest).err())
}

/// Which of the two interfaces a function was imported from. They differ in the layout of a few structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// `wasi_unstable`
    Preview0,
    /// `wasi_snapshot_preview1`
    Preview1,
}

impl Wasi {
    /// WASI for a module with the name `program` and the directories of `allowed_paths`, which maps host path (`ro:` in
    /// front: read-only) to guest path.
    ///
    /// # Errors
    /// A directory does not exist or is not a directory, or a guest path is malformed or used twice.
    pub(crate) fn new(
        store: &mut impl AsStoreMut,
        guest: &FunctionEnv<Guest>,
        program: &str,
        allowed_paths: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let logs = Arc::clone(&guest.as_ref(store).logs);
        let descriptors = Descriptors::new(allowed_paths, &logs)?;
        // Readers of the argument take a NUL for its end.
        let program = program.split('\0').next().unwrap_or_default().to_owned();
        let state = State { guest: guest.clone(), program, memory: None, descriptors };
        Ok(Self(FunctionEnv::new(store, state)))
    }

    /// Makes the import `module::name`, if WASI has it.
    pub(crate) fn import(&self, store: &mut impl AsStoreMut, module: &str, name: &str) -> Option<Extern> {
        let version = match module {
            "wasi_unstable" => Version::Preview0,
            "wasi_snapshot_preview1" => Version::Preview1,
            _ => return None,
        };
        make(&mut store.as_store_mut(), &self.0, version, name).map(Extern::from)
    }

    /// Connects WASI with the instance that uses it. Until then, its functions fail.
    ///
    /// # Errors
    /// The module has no memory to exchange data in.
    pub(crate) fn attach(&self, store: &mut impl AsStoreMut, instance: &Instance) -> Result<(), Error> {
        let memory = instance.exports.get_memory(MEMORY_EXPORT).map_err(|_| Error::NoMemory)?;
        self.0.as_mut(store).memory = Some(memory.clone());
        Ok(())
    }
}

/// The context of one call of a function.
struct Frame<'a> {
    descriptors: &'a mut Descriptors,
    memory: GuestMemory<'a>,
    plugin: &'a SharedState,
    /// The program's name, its only argument.
    program: &'a str,
    watch: Watch,
    version: Version,
}

type Result0 = Result<(), Errno>;

/// Runs one function and returns its error number. Stops the plugin instead if it shall stop by then.
fn enter(
    mut env: FunctionEnvMut<'_, State>,
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
        watch,
        version,
    };
    let errno = work(frame).map_or_else(i32::from, |()| 0);
    if watch.stop().is_some() { Err(Fault::Stopped.into()) } else { Ok(errno) }
}

macro_rules! functions {
    ($($name:literal => $function:path, ($($argument:ident: $type:ty),*);)*) => {
        /// Makes the function `name`. All functions but `proc_exit` return an error number.
        fn make(
            store: &mut StoreMut<'_>,
            env: &FunctionEnv<State>,
            version: Version,
            name: &str,
        ) -> Option<Function> {
            match name {
                $($name => Some(Function::new_typed_with_env(
                    store,
                    env,
                    move |env: FunctionEnvMut<'_, State>, $($argument: $type),*| -> Result<i32, RuntimeError> {
                        enter(env, version, |frame| $function(frame, $($argument),*))
                    },
                )),)*
                "proc_exit" => Some(Function::new_typed(store, |status: i32| Err::<(), _>(Exit(status)))),
                _ => None,
            }
        }
    };
}

functions! {
    "args_get" => process::args_get, (pointers: u32, text: u32);
    "args_sizes_get" => process::args_sizes_get, (count: u32, bytes: u32);
    "environ_get" => process::environ_get, (pointers: u32, text: u32);
    "environ_sizes_get" => process::environ_sizes_get, (count: u32, bytes: u32);
    "clock_res_get" => process::clock_res_get, (clock: u32, to: u32);
    "clock_time_get" => process::clock_time_get, (clock: u32, precision: u64, to: u32);
    "random_get" => process::random_get, (to: u32, length: u32);
    "sched_yield" => process::sched_yield, ();
    "proc_raise" => process::proc_raise, (signal: u32);
    "poll_oneoff" => poll::poll_oneoff, (subscriptions: u32, events: u32, count: u32, ready: u32);
    "fd_advise" => fd::advise, (fd: u32, offset: u64, length: u64, advice: u32);
    "fd_allocate" => fd::allocate, (fd: u32, offset: u64, length: u64);
    "fd_close" => fd::close, (fd: u32);
    "fd_datasync" => fd::datasync, (fd: u32);
    "fd_fdstat_get" => fd::fdstat_get, (fd: u32, to: u32);
    "fd_fdstat_set_flags" => fd::fdstat_set_flags, (fd: u32, flags: u32);
    "fd_fdstat_set_rights" => fd::fdstat_set_rights, (fd: u32, base: u64, inheriting: u64);
    "fd_filestat_get" => fd::filestat_get, (fd: u32, to: u32);
    "fd_filestat_set_size" => fd::filestat_set_size, (fd: u32, size: u64);
    "fd_filestat_set_times" => fd::filestat_set_times, (fd: u32, accessed: u64, modified: u64, flags: u32);
    "fd_pread" => fd::pread, (fd: u32, vectors: u32, count: u32, offset: u64, to: u32);
    "fd_prestat_get" => fd::prestat_get, (fd: u32, to: u32);
    "fd_prestat_dir_name" => fd::prestat_dir_name, (fd: u32, to: u32, length: u32);
    "fd_pwrite" => fd::pwrite, (fd: u32, vectors: u32, count: u32, offset: u64, to: u32);
    "fd_read" => fd::read, (fd: u32, vectors: u32, count: u32, to: u32);
    "fd_readdir" => listing::readdir, (fd: u32, to: u32, length: u32, cookie: u64, used: u32);
    "fd_renumber" => fd::renumber, (from: u32, onto: u32);
    "fd_seek" => fd::seek, (fd: u32, offset: i64, whence: u32, to: u32);
    "fd_sync" => fd::sync, (fd: u32);
    "fd_tell" => fd::tell, (fd: u32, to: u32);
    "fd_write" => fd::write, (fd: u32, vectors: u32, count: u32, to: u32);
    "path_create_directory" => path::create_directory, (fd: u32, path: u32, length: u32);
    "path_filestat_get" => path::filestat_get, (fd: u32, lookup: u32, path: u32, length: u32, to: u32);
    "path_filestat_set_times" => path::filestat_set_times,
        (fd: u32, lookup: u32, path: u32, length: u32, accessed: u64, modified: u64, flags: u32);
    "path_link" => path::link,
        (fd: u32, lookup: u32, path: u32, length: u32, new_fd: u32, new_path: u32, new_length: u32);
    "path_open" => path::open,
        (fd: u32, lookup: u32, path: u32, length: u32, how: u32, rights: u64, inheriting: u64, flags: u32, to: u32);
    "path_readlink" => path::readlink, (fd: u32, path: u32, length: u32, to: u32, size: u32, used: u32);
    "path_remove_directory" => path::remove_directory, (fd: u32, path: u32, length: u32);
    "path_rename" => path::rename, (fd: u32, path: u32, length: u32, new_fd: u32, new_path: u32, new_length: u32);
    "path_symlink" => path::symlink, (target: u32, target_length: u32, fd: u32, path: u32, length: u32);
    "path_unlink_file" => path::unlink_file, (fd: u32, path: u32, length: u32);
    "sock_accept" => process::sock_accept, (fd: u32, flags: u32, to: u32);
    "sock_recv" => process::sock_recv, (fd: u32, vectors: u32, count: u32, flags: u32, size: u32, out_flags: u32);
    "sock_send" => process::sock_send, (fd: u32, vectors: u32, count: u32, flags: u32, size: u32);
    "sock_shutdown" => process::sock_shutdown, (fd: u32, how: u32);
}
