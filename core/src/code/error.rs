//! Why a plugin has no code.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::compiler;
use crate::error::Excerpt;
#[cfg(feature = "compiler")]
use crate::error::Message;
use crate::load;
#[cfg(feature = "compiler")]
use crate::load::ModuleOrigin;
use crate::module::contents;
#[cfg(feature = "compiler")]
use crate::rewrite;

/// Why a module's code could not be made, kept or loaded.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Load(#[from] load::Error),
    #[error(transparent)]
    Contents(#[from] contents::Error),
    #[cfg(feature = "compiler")]
    #[error("{module}: {cause}")]
    Rewrite { module: ModuleOrigin, cause: rewrite::Error },
    /// The module is valid, but not with the proposals that are offered with this compiler.
    #[cfg(feature = "compiler")]
    #[error("{module}: it uses what plugins cannot with the compiler {compiler} (compiler-features.md): {cause}")]
    Unsupported { module: ModuleOrigin, compiler: &'static str, cause: Message },
    #[error(transparent)]
    Compiler(#[from] compiler::Error),
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is kept"))]
    #[error("module `{module}`: its code could not be kept in `{}`: {cause}", cache.display())]
    NotKept { module: Excerpt, cache: PathBuf, cause: io::Error },
    #[error(transparent)]
    NoCode(#[from] Box<NoCode>),
}

/// A module's code is not in the cache, and there is no compiler.
#[derive(Debug, Error)]
#[error(
    "module `{module}`: no compiler is built in, and its code is not in {cache}{misfit}\n\
     wanted: code of {backends} for {machine}, of the module with SHA-256 {sha256}\n\
     made by: extism-wasmer compile {options}--store DIRECTORY {input}"
)]
pub(crate) struct NoCode {
    pub(super) module: Excerpt,
    /// The cache as the sentence names it: its path in quotes, or why there is none.
    pub(super) cache: String,
    /// The cache's other code for the module, or the fault of the cache; may be empty.
    pub(super) misfit: String,
    pub(super) sha256: String,
    pub(super) backends: String,
    pub(super) options: String,
    pub(super) machine: String,
    /// The placeholder for the command's input.
    pub(super) input: &'static str,
}
