//! The functions of both previews as their specification has them; `coverage.rs` compares them with the library's.

/// A function. Parameters are letters: `i` is an i32, `I` an i64. All functions return an error number.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) parameters: &'static str,
}

const fn function(name: &'static str, parameters: &'static str) -> Function {
    Function { name, parameters }
}

pub(super) const FUNCTIONS: [Function; 45] = [
    function("args_get", "ii"),
    function("args_sizes_get", "ii"),
    function("clock_res_get", "ii"),
    function("clock_time_get", "iIi"),
    function("environ_get", "ii"),
    function("environ_sizes_get", "ii"),
    function("fd_advise", "iIIi"),
    function("fd_allocate", "iII"),
    function("fd_close", "i"),
    function("fd_datasync", "i"),
    function("fd_fdstat_get", "ii"),
    function("fd_fdstat_set_flags", "ii"),
    function("fd_fdstat_set_rights", "iII"),
    function("fd_filestat_get", "ii"),
    function("fd_filestat_set_size", "iI"),
    function("fd_filestat_set_times", "iIIi"),
    function("fd_pread", "iiiIi"),
    function("fd_prestat_dir_name", "iii"),
    function("fd_prestat_get", "ii"),
    function("fd_pwrite", "iiiIi"),
    function("fd_read", "iiii"),
    function("fd_readdir", "iiiIi"),
    function("fd_renumber", "ii"),
    function("fd_seek", "iIii"),
    function("fd_sync", "i"),
    function("fd_tell", "ii"),
    function("fd_write", "iiii"),
    function("path_create_directory", "iii"),
    function("path_filestat_get", "iiiii"),
    function("path_filestat_set_times", "iiiiIIi"),
    function("path_link", "iiiiiii"),
    function("path_open", "iiiiiIIii"),
    function("path_readlink", "iiiiii"),
    function("path_remove_directory", "iii"),
    function("path_rename", "iiiiii"),
    function("path_symlink", "iiiii"),
    function("path_unlink_file", "iii"),
    function("poll_oneoff", "iiii"),
    function("proc_raise", "i"),
    function("random_get", "ii"),
    function("sched_yield", ""),
    function("sock_accept", "iii"),
    function("sock_recv", "iiiiii"),
    function("sock_send", "iiiii"),
    function("sock_shutdown", "ii"),
];
