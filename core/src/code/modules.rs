//! The modules of one manifest, loaded as far as their code needs it. `lookup.rs` gets their code.

use std::time::Instant;

use super::error::Error;
use crate::cache::code::CodeCache;
use crate::load::{self, LoadedModule};
use crate::manifest::ModuleEntry;
use crate::module::contents::{self, Contents};
use crate::module::digest::{Digest, ModuleKey};

#[derive(Debug)]
pub(crate) struct Modules {
    pub(super) sources: Vec<ModuleSource>,
    /// Whether their code counts its instructions.
    pub(super) fuel: bool,
}

impl Modules {
    /// Loads the modules. Nothing is fetched after `deadline`.
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

#[derive(Debug)]
pub(super) enum ModuleSource {
    Loaded(LoadedModule),
    /// Only the hash, which is enough if there is no compiler.
    #[cfg(not(feature = "compiler"))]
    Hash {
        name: String,
        sha256: Digest,
    },
}

impl ModuleSource {
    fn load(entry: ModuleEntry<'_>, deadline: Option<Instant>) -> Result<Self, Error> {
        #[cfg(not(feature = "compiler"))]
        if let Some(sha256) = load::expected_hash(&entry)? {
            return Ok(Self::Hash { name: entry.name, sha256 });
        }
        Ok(Self::Loaded(load::load(entry, deadline)?))
    }

    fn close_file(&mut self) {
        match self {
            Self::Loaded(module) => module.contents.close_file(),
            #[cfg(not(feature = "compiler"))]
            Self::Hash { .. } => {}
        }
    }

    /// The name that the manifest gives it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Loaded(module) => &module.name,
            #[cfg(not(feature = "compiler"))]
            Self::Hash { name, .. } => name,
        }
    }

    pub(super) fn contents(&self) -> Option<&Contents> {
        match self {
            Self::Loaded(module) => Some(&module.contents),
            #[cfg(not(feature = "compiler"))]
            Self::Hash { .. } => None,
        }
    }

    /// The SHA-256 that the manifest gives.
    pub(super) fn given_sha256(&self) -> Option<Digest> {
        match self {
            Self::Loaded(module) => module.sha256,
            #[cfg(not(feature = "compiler"))]
            Self::Hash { sha256, .. } => Some(*sha256),
        }
    }

    /// The SHA-256, calculated if the manifest gives none.
    pub(super) fn sha256(&self) -> Result<Option<Digest>, contents::Error> {
        match (self.given_sha256(), self.contents()) {
            (None, Some(contents)) => contents.sha256().map(Some),
            (given, _) => Ok(given),
        }
    }

    /// The key of the module in the cache. Hashes that take time are calculated only if they are needed.
    pub(super) fn cache_key(&self, cache: Option<&CodeCache>) -> Result<ModuleKey, contents::Error> {
        let given = self.given_sha256();
        let (None, Some(contents), Some(cache)) = (given, self.contents(), cache) else {
            return Ok(ModuleKey { sha256: given, blake3: None });
        };
        let blake3 = contents.blake3()?;
        let sha256 = match cache.sha256_of(&blake3) {
            Some(sha256) => Some(sha256),
            None => self.sha256()?,
        };
        Ok(ModuleKey { sha256, blake3: Some(blake3) })
    }

    /// The key that tells the module from others in this process: the hash that is cheapest to have.
    pub(super) fn key(&self) -> Result<ModuleKey, contents::Error> {
        match self.contents() {
            Some(contents) => Ok(ModuleKey { sha256: None, blake3: Some(contents.blake3()?) }),
            None => Ok(ModuleKey { sha256: self.given_sha256(), blake3: None }),
        }
    }
}
