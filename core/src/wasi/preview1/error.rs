//! Errors of making WASI for a plugin.

use thiserror::Error;

use crate::error::{Excerpt, Message};

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
