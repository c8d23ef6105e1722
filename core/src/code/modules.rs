//! The loaded modules of one manifest. `lookup.rs` gets their code.

use std::time::Instant;

use super::error::Error;
use super::source::ModuleSource;
use crate::manifest::ModuleEntry;
use crate::module::digest::Digest;

/// The loaded modules of a manifest.
#[derive(Debug)]
pub(crate) struct Modules {
    pub(super) sources: Vec<ModuleSource>,
    /// Whether their code counts its instructions.
    pub(super) fuel: bool,
}

impl Modules {
    /// Loads the modules. Nothing is fetched after `deadline`.
    ///
    /// # Errors
    /// A module cannot be read, or is not what the manifest says.
    pub(crate) fn load(modules: Vec<ModuleEntry<'_>>, fuel: bool, deadline: Option<Instant>) -> Result<Self, Error> {
        let sources = modules.into_iter().map(|entry| ModuleSource::load(entry, deadline)).collect::<Result<_, _>>()?;
        Ok(Self { sources, fuel })
    }

    /// Closes files that are open because their bytes may still have to be read.
    pub(crate) fn close_files(&mut self) {
        self.sources.iter_mut().for_each(ModuleSource::close_file);
    }

    /// The SHA-256 of the module that is linked as `name`, calculated if nobody has asked for it before: for log lines
    /// of level debug. `None` if the module cannot be read any more.
    pub(crate) fn sha256(&self, name: &str) -> Option<Digest> {
        self.sources.iter().find(|source| source.name() == name)?.sha256().ok()?
    }
}
