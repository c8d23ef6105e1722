//! Looks code up in the cache on disk.

use std::fmt;
use std::io;
#[cfg(feature = "compiler")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use log::Level;

use super::wanted::WantedArtifact;
use crate::cache::directory::{self, Unusable, warn};
#[cfg(feature = "compiler")]
use crate::cache::private_dir::Readers;
use crate::cache::private_dir::{DirEntry, PrivateDir};
use crate::compiler::Artifact;
use crate::compiler::artifact::Header;
use crate::log as sink;
use crate::module::digest::{Digest, ModuleKey};
use crate::sync::Mutex;

/// The directory with the artifacts.
pub(super) const MODULES: &str = "modules";

/// The directory with the links, which lead from a BLAKE3 to the SHA-256 of the same module.
pub(super) const BY_BLAKE3: &str = "by-blake3";

/// In bytes. Larger artifacts are not read.
pub(super) const MAX_ARTIFACT: u64 = 1 << 30;

/// In bytes: enough of an artifact to contain its header.
pub(super) const FRONT: u64 = 16 << 10;

/// An open cache of compiled code.
#[derive(Debug)]
pub(crate) struct CodeCache {
    pub(crate) root: PrivateDir,
    pub(crate) path: PathBuf,
    /// The text of the first fault found in the cache. The error has it if the code cannot be made either.
    obstacle: Mutex<Option<String>>,
}

impl CodeCache {
    /// Opens the cache in the directory that the environment names; creates it if `create`.
    pub(crate) fn of_environment(create: bool) -> Result<Self, Unusable> {
        directory::open(create).map(|(root, path)| Self { root, path, obstacle: Mutex::default() })
    }

    /// Opens the cache at `path`; creates it if `create`. Files written to it are for `readers`.
    #[cfg(feature = "compiler")]
    pub(crate) fn open(path: &Path, create: bool, readers: Readers) -> io::Result<Self> {
        let root = if create { PrivateDir::create(path, readers) } else { PrivateDir::open(path, readers) }?;
        Ok(Self { root, path: path.to_owned(), obstacle: Mutex::default() })
    }

    /// The first fault found in it, if any.
    pub(crate) fn obstacle(&self) -> Option<String> {
        self.obstacle.lock().clone()
    }

    /// Logs a fault of something in the cache, and remembers the first.
    fn warn(&self, place: fmt::Arguments<'_>, error: &io::Error) {
        let text = format!("`{}/{MODULES}/{place}`: {error}", self.path.display());
        warn(format_args!("{text}"));
        self.obstacle.lock().get_or_insert(text);
    }

    /// The code of a module that the wanted machine can run, preferably that which uses most CPU features. Code that is
    /// not read by `deadline` counts as missing.
    pub(crate) fn find(&self, key: &ModuleKey, wanted: &WantedArtifact, deadline: Option<Instant>) -> Option<Artifact> {
        self.pick(key, wanted, deadline, |entries| wanted.candidates(entries))
    }

    /// The code of a module that uses exactly the CPU features of the wanted machine.
    #[cfg(feature = "compiler")]
    pub(crate) fn find_exactly(&self, key: &ModuleKey, wanted: &WantedArtifact) -> Option<Artifact> {
        let name = wanted.name();
        self.pick(key, wanted, None, |entries| {
            entries.iter().map(|entry| entry.name.as_str()).filter(|other| *other == name).collect()
        })
    }

    /// The directory with the artifacts of the module with this SHA-256.
    pub(super) fn module(&self, sha256: &str) -> io::Result<PrivateDir> {
        self.root.directory(MODULES)?.directory(sha256)
    }

    fn pick(
        &self,
        key: &ModuleKey,
        wanted: &WantedArtifact,
        deadline: Option<Instant>,
        candidates: impl FnOnce(&[DirEntry]) -> Vec<&str>,
    ) -> Option<Artifact> {
        let sha256 = key.sha256?.to_string();
        let (entries, module) = match self.module(&sha256).and_then(|module| Ok((module.entries()?, module))) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.warn(format_args!("{sha256}"), &error);
                return None;
            }
        };
        for name in candidates(&entries) {
            match read(&module, name, deadline, |header| wanted.is(header, &sha256, key)) {
                Ok(artifact) => {
                    module.touch(name);
                    return Some(artifact);
                }
                // Another process has just evicted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.warn(format_args!("{sha256}/{name}"), &error),
            }
        }
        if let Some(other) = entries.iter().find(|entry| !entry.is_temporary()) {
            let line =
                format_args!("module {sha256} has code in the cache that does not fit here, such as {}", other.name);
            sink::record(Level::Debug, sink::TARGET, line);
        }
        None
    }

    /// The file name of some code of the module. Errors name it if no code fits.
    pub(crate) fn misfit(&self, sha256: Digest) -> Option<String> {
        let module = self.module(&sha256.to_string()).ok()?;
        module.entries().ok()?.into_iter().find(|entry| !entry.is_temporary()).map(|entry| entry.name)
    }

    /// The SHA-256 that the link for this BLAKE3 holds.
    pub(crate) fn sha256_of(&self, blake3: &blake3::Hash) -> Option<Digest> {
        let name = blake3.to_hex();
        match self.root.directory(BY_BLAKE3).and_then(|links| links.read_link(&name)) {
            Ok(link) => Digest::parse(link.to_str().ok()?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                // No obstacle: the module is hashed instead.
                warn(format_args!("`{}/{BY_BLAKE3}/{name}`: {error}", self.path.display()));
                None
            }
        }
    }
}

/// Reads an artifact. Its front comes first: a file that has no header is not read whole.
fn read(
    module: &PrivateDir,
    name: &str,
    deadline: Option<Instant>,
    is_wanted: impl FnOnce(&Header) -> bool,
) -> io::Result<Artifact> {
    let damaged = || io::Error::other("damaged, not used");
    Header::peek(&module.read_front(name, FRONT)?).ok_or_else(damaged)?;
    let (header, artifact) = Artifact::unseal(module.read(name, MAX_ARTIFACT, deadline)?).ok_or_else(damaged)?;
    if is_wanted(&header) { Ok(artifact) } else { Err(io::Error::other("not what its name says, not used")) }
}
