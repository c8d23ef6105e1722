//! Compiled code on disk, kept from one process to the next.
//!
//! ```text
//! modules/SHA-256/BACKEND-SETTINGS-TARGET-FEATURES    a sealed artifact
//! by-blake3/BLAKE3                                    a link that holds the SHA-256 of the same module
//! ```
//!
//! A module is looked up by its SHA-256 where that is known, as from a manifest, else by its BLAKE3, which costs a
//! fraction. SETTINGS stands for all else that decides what code comes out, FEATURES are those of the CPU that the
//! code uses: an entry is taken if this machine has them all. Whatever is wrong with the store makes a miss and a line
//! in the log, never an error.

#[cfg(feature = "compiler")]
mod upkeep;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
#[cfg(feature = "compiler")]
use std::path::Path;
use std::path::PathBuf;

use log::Level;

use crate::cache_dir::{self, Unusable};
use crate::digest::Digest;
use crate::engine::artifact::{Artifact, Header};
use crate::engine::machine::Machine;
use crate::log as sink;
#[cfg(feature = "compiler")]
use crate::private_dir::Readers;
use crate::private_dir::{Entry, PrivateDir};
use crate::sync::Mutex;
#[cfg(feature = "compiler")]
pub(crate) use upkeep::Stored;

/// The directory with the artifacts.
const MODULES: &str = "modules";

/// The directory with the links.
const BY_BLAKE3: &str = "by-blake3";

/// What an artifact must not be larger than.
const MAX_ARTIFACT: u64 = 1 << 30;

/// A module by its hashes, as far as they are known.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) sha256: Option<Digest>,
    /// In hex.
    pub(crate) blake3: Option<String>,
}

/// Which code is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) backend: &'static str,
    /// All that decides what code comes out, besides module and machine.
    pub(crate) settings: String,
}

impl Wanted {
    /// What the names of artifacts with this code begin with.
    fn prefix(&self, machine: &Machine) -> String {
        let settings = blake3::hash(self.settings.as_bytes()).to_hex();
        format!("{}-{}-{}-", self.backend, &settings[..16], machine.name())
    }

    /// The name of an artifact with this code that uses all that `machine` has.
    #[cfg(feature = "compiler")]
    fn name(&self, machine: &Machine) -> String {
        let features: Vec<_> = machine.features().into_iter().collect();
        format!("{}{}", self.prefix(machine), features.join("+"))
    }
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) root: PrivateDir,
    pub(crate) path: PathBuf,
    /// What was found wrong with it first, for the error of who cannot do without it.
    obstacle: Mutex<Option<String>>,
}

impl Store {
    /// Opens the store in the directory that the environment names, and makes it if `create`.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub(crate) fn of_environment(create: bool) -> Result<Self, Unusable> {
        cache_dir::open(create).map(|(root, path)| Self { root, path, obstacle: Mutex::default() })
    }

    /// Opens the store at `path`, and makes it if `create`. What is put into it is for `readers`.
    ///
    /// # Errors
    /// It is not there, cannot be made, or others can write to it.
    #[cfg(feature = "compiler")]
    pub(crate) fn open(path: &Path, create: bool, readers: Readers) -> io::Result<Self> {
        let root = if create { PrivateDir::create(path, readers) } else { PrivateDir::open(path, readers) }?;
        Ok(Self { root, path: path.to_owned(), obstacle: Mutex::default() })
    }

    /// What was found wrong with it, if anything was.
    pub(super) fn obstacle(&self) -> Option<String> {
        self.obstacle.lock().clone()
    }

    /// Logs what is wrong with something in the store, and keeps it in mind.
    fn warn(&self, place: fmt::Arguments<'_>, error: &io::Error) {
        let text = format!("`{}/{MODULES}/{place}`: {error}", self.path.display());
        warn(format_args!("{text}"));
        self.obstacle.lock().get_or_insert(text);
    }

    /// The code of a module for `machine`.
    pub(super) fn find(&self, identity: &Identity, wanted: &Wanted, machine: &Machine) -> Option<Artifact> {
        self.pick(identity, wanted, machine, |entries| {
            candidates(entries, &wanted.prefix(machine), &machine.features())
        })
    }

    /// The code of a module that uses all that `machine` has.
    #[cfg(feature = "compiler")]
    pub(super) fn find_exactly(&self, identity: &Identity, wanted: &Wanted, machine: &Machine) -> Option<Artifact> {
        let name = wanted.name(machine);
        self.pick(identity, wanted, machine, |entries| {
            entries.iter().map(|entry| entry.name.as_str()).filter(|other| *other == name).collect()
        })
    }

    fn pick(
        &self,
        identity: &Identity,
        wanted: &Wanted,
        machine: &Machine,
        candidates: impl FnOnce(&[Entry]) -> Vec<&str>,
    ) -> Option<Artifact> {
        let sha256 = identity.sha256?.to_string();
        let module = match self.root.directory(MODULES).and_then(|modules| modules.directory(&sha256)) {
            Ok(module) => module,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.warn(format_args!("{sha256}"), &error);
                return None;
            }
        };
        let entries = module.entries().unwrap_or_default();
        for name in candidates(&entries) {
            match read(&module, name, |header| is(header, &sha256, identity, wanted, machine)) {
                Ok(artifact) => {
                    module.touch(name);
                    return Some(artifact);
                }
                // It has just been removed to make room.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.warn(format_args!("{sha256}/{name}"), &error),
            }
        }
        if let Some(other) = entries.iter().find(|entry| !entry.is_temporary()) {
            let line =
                format_args!("module {sha256} has code in the store that does not fit here, such as {}", other.name);
            sink::record(Level::Debug, sink::TARGET, line);
        }
        None
    }

    /// The name of code for a module that is not what is wanted here.
    pub(super) fn misfit(&self, sha256: Digest) -> Option<String> {
        let module = self.root.directory(MODULES).and_then(|modules| modules.directory(&sha256.to_string())).ok()?;
        module.entries().ok()?.into_iter().find(|entry| !entry.is_temporary()).map(|entry| entry.name)
    }

    /// What the module with this BLAKE3 is filed under.
    pub(super) fn sha256_of(&self, blake3: &str) -> Option<Digest> {
        let link = self.root.directory(BY_BLAKE3).and_then(|links| links.read_link(blake3)).ok()?;
        Digest::parse(link.to_str().ok()?)
    }
}

/// Logs what is wrong with the store.
pub(super) fn warn(line: fmt::Arguments<'_>) {
    sink::record(Level::Warn, sink::TARGET, line);
}

/// The names that begin with `prefix` and go on with CPU features that `machine` has, those with most of them first.
fn candidates<'a>(entries: &'a [Entry], prefix: &str, machine: &BTreeSet<String>) -> Vec<&'a str> {
    let mut found: Vec<(usize, &str)> = Vec::new();
    for entry in entries {
        let Some(features) = entry.name.strip_prefix(prefix) else { continue };
        let features: Vec<_> = features.split('+').collect();
        if features.iter().all(|feature| feature.is_empty() || machine.contains(*feature)) {
            found.push((features.len(), &entry.name));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, name)| name).collect()
}

fn read(module: &PrivateDir, name: &str, is_wanted: impl FnOnce(&Header) -> bool) -> io::Result<Artifact> {
    let (header, artifact) =
        Artifact::unseal(module.read(name, MAX_ARTIFACT)?).ok_or_else(|| io::Error::other("damaged, not used"))?;
    if is_wanted(&header) { Ok(artifact) } else { Err(io::Error::other("not what its name says, not used")) }
}

/// Whether an artifact is what is wanted. Its name says so already, but a name is easily changed.
fn is(header: &Header, sha256: &str, identity: &Identity, wanted: &Wanted, machine: &Machine) -> bool {
    header.module == sha256
        && identity.blake3.as_ref().is_none_or(|blake3| header.blake3 == *blake3)
        && header.settings == wanted.settings
        && header.target == machine.name()
        && header.cpu.iter().all(|feature| machine.features().contains(feature))
}
