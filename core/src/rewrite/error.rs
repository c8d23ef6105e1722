//! Errors of the rewrite.

use std::convert::Infallible;

use thiserror::Error;
use wasm_encoder::reencode;
use wasmparser::BinaryReaderError;

use crate::error::{Excerpt, Message};

/// Why a module could not be rewritten.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("failed to parse WebAssembly module: {}", Message::of(.0))]
    Malformed(#[from] BinaryReaderError),
    #[error("failed to parse WebAssembly module: {}", Message::of(.0))]
    Unknown(#[from] reencode::Error<Infallible>),
    #[error("this is a WebAssembly component; a core module is needed")]
    Component,
    #[error("invalid WebAssembly: {0}")]
    Invalid(Message),
    #[error("it uses a proposal that is not offered: {0}")]
    Unsupported(Message),
    #[error("function {index} has {what} nested more than {max} deep{advice}")]
    TooDeep { index: u32, what: &'static str, max: u32, advice: &'static str },
    #[error("function {index} has a jump table of {count} targets, and the most is {max}")]
    JumpTable { index: u32, count: u32, max: u32 },
    #[error(
        "it would take too long to compile: an estimate of {estimate} ms, and the most is {max} ms for a module of {size} bytes; \
         of what was looked at, function {function} takes {share} %{advice}"
    )]
    TooMuchWork { estimate: u64, max: u64, size: usize, function: u32, share: u64, advice: &'static str },
    #[error(
        "data segment {index} begins at {offset}, and those that are copied at the start must begin below {max}: use memory.init"
    )]
    HighData { index: u32, offset: u32, max: u32 },
    #[error("the export name `{0}` is reserved")]
    ReservedExport(Excerpt),
    #[error("the import name `{0}::{1}` is reserved")]
    ReservedImport(Excerpt, Excerpt),
    #[error(
        "function {index} is too large to be stopped or to have fuel: with what counts its work it would have {size} bytes, and the most is {max}"
    )]
    TooLargeToCount { index: u32, size: usize, max: usize },
}
