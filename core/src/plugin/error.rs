//! Why a plugin could not be made, configured or queried.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;
use wasmer::Type;

use super::host_function::HostFunction;
use super::timeout::{Timeout, stopped};
use crate::code;
use crate::compiler;
use crate::environment;
use crate::error::{Excerpt, Message};
use crate::host;
use crate::manifest::{self, MAIN};
use crate::reserve::NoRoom;
use crate::sandbox::NoStack;
use crate::stop::{NoTimer, Stopped};
use crate::wasi;

/// An error of [`Plugin`](super::Plugin). Its text may have several lines.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct PluginError(Box<Error>);

impl PluginError {
    /// True if the plugin's start functions have executed as many instructions as they may.
    pub fn is_out_of_fuel(&self) -> bool {
        matches!(*self.0, Error::Start { is_out_of_fuel: true, .. })
    }
}

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
    UnknownImport { module: Excerpt, name: Excerpt, importer: Importer, hint: Hint },
    #[error(
        "Invalid function import from {}: {name}\nThis host does not know it; the plugin may be made for a newer one{hint}",
        host::HOST_MODULE
    )]
    UnknownHostImport { name: Excerpt, hint: Hint },
    #[error(
        "incompatible import type for `{module}::{name}`\n\nCaused by:\n    expected {wanted}, found {found}{importer}"
    )]
    IncompatibleImport { module: Excerpt, name: Excerpt, wanted: Message, found: Message, importer: Importer },
    #[error("host function `{module}::{name}` cannot take the place of Extism's own function, whose calls are inlined")]
    Irreplaceable { module: Excerpt, name: Excerpt },
    #[error("modules import each other: {0}")]
    Cycle(Excerpt),
    #[error("module `{0}` exports both `_start` and `_initialize`: a library is a command or a reactor, not both")]
    CommandAndReactor(Excerpt),
    #[error("no room to make the plugin: {0}")]
    NoRoom(#[from] NoRoom),
    #[error(transparent)]
    Stack(#[from] NoStack),
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
    Start { module: Excerpt, cause: String, is_out_of_fuel: bool },
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
    #[error("the plugin's configuration is in use by a thread that does not give it back; make another plugin")]
    StateKept,
    #[error("the output: {0}")]
    Output(host::Fault),
}

/// A line that may help with an unknown import, which errors add. Empty if there is nothing to say.
#[derive(Debug, Default)]
pub(crate) struct Hint(Box<str>);

impl Hint {
    /// The plugin imports WASI, and may not.
    pub(super) fn no_wasi() -> Self {
        Self("\nThe plugin needs WASI, but was created without it".into())
    }

    /// The program has `function`, which has the name of the import.
    pub(super) fn near(function: &HostFunction) -> Self {
        let found = Excerpt::of(format_args!("{}::{}", function.namespace, function.name));
        Self(format!("\nThe program has `{found}`").into())
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The module with an import that cannot be served, as a line that errors add. Empty if there is only one module.
#[derive(Debug)]
pub(crate) struct Importer(Box<str>);

impl Importer {
    /// The importer that is linked as `name`, one of `modules` modules. `programs` has the manifest's names by those.
    pub(super) fn new(name: &str, modules: usize, programs: &BTreeMap<String, String>) -> Self {
        if modules < 2 {
            return Self(Box::default());
        }
        let written = Excerpt::of(programs.get(name).map_or(name, String::as_str));
        let mut text = format!("\nmodule `{written}` imports it");
        if let Some(main) = programs.get(MAIN).filter(|main| *main != MAIN) {
            let main = Excerpt::of(main);
            text.push_str(&format!(
                "; `{main}` is the main module, from which none imports: none is called `{MAIN}`, and its name sorts last"
            ));
        }
        Self(text.into())
    }
}

impl fmt::Display for Importer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a value type in WebAssembly's text format.
pub(super) fn type_name(ty: Type) -> String {
    ty.to_string().to_lowercase()
}
