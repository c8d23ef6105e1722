//! Why a plugin could not be made, configured or queried.

use thiserror::Error;

use super::link::Importer;
use super::timeout::{Timeout, stopped};
use crate::code;
use crate::compiler;
use crate::environment;
use crate::error::{Excerpt, Message};
use crate::host;
use crate::manifest;
use crate::reserve::NoRoom;
use crate::stop::{NoTimer, Stopped};
use crate::wasi;

/// An error of [`Plugin`](super::Plugin). Its text may have several lines.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct PluginError(Box<Error>);

impl From<Error> for PluginError {
    fn from(error: Error) -> Self {
        Self(Box::new(error))
    }
}

/// Why a plugin could not be made, configured or queried.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error(transparent)]
    Compiler(#[from] compiler::Error),
    #[error(transparent)]
    Code(#[from] code::Error),
    #[error("unknown import: `{module}::{name}` has not been defined{importer}{hint}")]
    UnknownImport { module: Excerpt, name: Excerpt, importer: Importer, hint: &'static str },
    #[error(
        "Invalid function import from {}: {name}\nThis host does not know it; the plugin may be made for a newer one",
        host::HOST_MODULE
    )]
    UnknownHostImport { name: Excerpt },
    #[error(
        "incompatible import type for `{module}::{name}`\n\nCaused by:\n    expected {wanted}, found {found}{importer}"
    )]
    IncompatibleImport { module: Excerpt, name: Excerpt, wanted: Message, found: Message, importer: Importer },
    #[error("modules import each other: {0}")]
    Cycle(Excerpt),
    #[error("module `{0}` exports both `_start` and `_initialize`: a library is a command or a reactor, not both")]
    CommandAndReactor(Excerpt),
    #[error("no room to make the plugin: {0}")]
    NoRoom(#[from] NoRoom),
    #[error("no main module")]
    NoMain,
    #[error("the memory for input and output: {0}")]
    IoMemory(String),
    #[error("{0}\nA memory reserves 8 GiB of address space, which the process may not have (RLIMIT_AS, `ulimit -v`)")]
    NoReservation(Box<Error>),
    #[error("{refused}\nIt would do with code for memories without that: {cause}")]
    NoMovingMemories { refused: Box<Error>, cause: Box<Error> },
    #[error("module `{module}` could not be instantiated\n\nCaused by:\n    {cause}", cause = cause.replace('\n', "\n    "))]
    Instantiate { module: Excerpt, cause: String },
    #[error("module `{module}` failed at its start\n\nCaused by:\n    {cause}", cause = cause.replace('\n', "\n    "))]
    Start { module: Excerpt, cause: String },
    #[error(transparent)]
    Environment(#[from] environment::Error),
    #[error("{}", stopped(*.0, *.1))]
    Stopped(Stopped, Option<Timeout>),
    #[error(transparent)]
    Timer(#[from] NoTimer),
    #[error(transparent)]
    Wasi(#[from] wasi::Error),
    #[error("the function's name is not UTF-8 from byte {0} on")]
    FunctionName(usize),
    #[error("config: {0}")]
    Config(manifest::Error),
    #[error("the output: {0}")]
    Output(host::Fault),
}
