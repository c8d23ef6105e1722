//! The list of all functions, and the making of those that a module imports.

use wasmer::{Function, FunctionEnv, FunctionEnvMut, RuntimeError, StoreMut};

use super::frame::{Version, WasiState, enter};
use super::{fd, path, poll, process};

macro_rules! functions {
    ($($name:literal => $function:path, ($($argument:ident: $type:ty),*) $(, ignored ($($ignored:ty),*))?;)*) => {
        /// Makes the function `name`. All functions but `proc_exit` return an error number.
        pub(super) fn make(
            store: &mut StoreMut<'_>,
            env: &FunctionEnv<WasiState>,
            version: Version,
            name: &str,
        ) -> Option<Function> {
            match name {
                $($name => Some(Function::new_typed_with_env(
                    store,
                    env,
                    move |
                        env: FunctionEnvMut<'_, WasiState>,
                        $($argument: $type,)*
                        $($(_: $ignored,)*)?
                    | -> Result<i32, RuntimeError> {
                        enter(env, version, |frame| $function(frame, $($argument),*))
                    },
                )),)*
                "proc_exit" => Some(Function::new_typed(store, process::proc_exit)),
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
    "proc_raise" => process::proc_raise, (), ignored (u32);
    "poll_oneoff" => poll::poll_oneoff, (subscriptions: u32, events: u32, count: u32, ready: u32);
    "fd_advise" => fd::advise, (fd: u32), ignored (u64, u64, u32);
    "fd_allocate" => fd::allocate, (fd: u32), ignored (u64, u64);
    "fd_close" => fd::close, (fd: u32);
    "fd_datasync" => fd::datasync, (fd: u32);
    "fd_fdstat_get" => fd::fdstat_get, (fd: u32, to: u32);
    "fd_fdstat_set_flags" => fd::fdstat_set_flags, (fd: u32, flags: u32);
    "fd_fdstat_set_rights" => fd::fdstat_set_rights, (fd: u32), ignored (u64, u64);
    "fd_filestat_get" => fd::filestat_get, (fd: u32, to: u32);
    "fd_filestat_set_size" => fd::filestat_set_size, (fd: u32, size: u64);
    "fd_filestat_set_times" => fd::filestat_set_times, (fd: u32, accessed: u64, modified: u64, flags: u32);
    "fd_pread" => fd::pread, (fd: u32, vectors: u32, count: u32, offset: u64, to: u32);
    "fd_prestat_get" => fd::prestat_get, (fd: u32, to: u32);
    "fd_prestat_dir_name" => fd::prestat_dir_name, (fd: u32, to: u32, length: u32);
    "fd_pwrite" => fd::pwrite, (fd: u32, vectors: u32, count: u32, offset: u64, to: u32);
    "fd_read" => fd::read, (fd: u32, vectors: u32, count: u32, to: u32);
    "fd_readdir" => fd::readdir, (fd: u32, to: u32, length: u32, cookie: u64, used: u32);
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
    "sock_accept" => fd::no_socket, (fd: u32), ignored (u32, u32);
    "sock_recv" => fd::no_socket, (fd: u32), ignored (u32, u32, u32, u32, u32);
    "sock_send" => fd::no_socket, (fd: u32), ignored (u32, u32, u32, u32);
    "sock_shutdown" => fd::no_socket, (fd: u32), ignored (u32);
}
