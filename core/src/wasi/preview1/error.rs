//! Why a plugin cannot have WASI.

use thiserror::Error;

use crate::error::{Excerpt, Message};

/// A directory that cannot be opened, or a module that cannot be served.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("allowed_paths: `{host}`: {cause}")]
    Directory { host: Excerpt, cause: Message },
    #[error("allowed_paths: two directories are mapped to `{0}`")]
    DuplicateMapping(Excerpt),
    #[error("the module imports WASI but has no memory")]
    NoMemory,
}
