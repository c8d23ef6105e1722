//! Why a module could not be compiled, or its code not be loaded.

use std::io;

use thiserror::Error;

use super::list;
use crate::error::{Excerpt, Message};
use crate::reserve::NoRoom;

#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{by}: `{name}` cannot be used; {choices}", choices = list::choices())]
    UnknownBackend { by: &'static str, name: Excerpt },
    #[error("{}", list::choices())]
    NoCompiler,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
    #[error("module `{module}`: {cause}")]
    Compile { module: Excerpt, cause: Message },
    #[error(
        "module `{module}`: the system does not let memory become executable, as code must: {cause}\n\
         (systemd's MemoryDenyWriteExecute, prctl's PR_SET_MDWE, SELinux's execmem and filters of system calls do that)"
    )]
    NotExecutable { module: Excerpt, cause: io::Error },
    #[error(
        "module `{module}`: the process is ending, and takes no more code; plugins that are there can still be called"
    )]
    Ending { module: Excerpt },
    /// The plugin's deadline has passed.
    #[error("the code was not made in time")]
    TooLate,
    #[error("module `{module}`: no room to {what}: {cause}")]
    NoRoom { module: Excerpt, what: &'static str, cause: NoRoom },
    #[error("module `{module}`: its code could not be loaded: {cause}")]
    Load { module: Excerpt, cause: Message },
}
