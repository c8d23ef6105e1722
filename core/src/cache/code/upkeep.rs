//! Writes code to the cache on disk, and keeps it within its size.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use bytes::Bytes;

use super::lookup::{BY_BLAKE3, CodeCache, FRONT, MAX_ARTIFACT, MODULES};
use super::wanted::WantedArtifact;
use crate::cache::directory::warn;
use crate::cache::private_dir::PrivateDir;
use crate::cache::shelf;
use crate::compiler::Artifact;
use crate::compiler::artifact::Header;
use crate::environment::CACHE_MAX_BYTES;
use crate::module::digest::Digest;
use crate::sync::Mutex;

/// The file in the cache that a process locks while it evicts.
const TRIM_LOCK: &str = ".lock";

#[derive(Debug)]
pub(crate) struct CachedArtifact {
    /// SHA-256 of its module, in hex.
    pub(crate) module: String,
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// The time at which it was last written or used.
    pub(crate) used: SystemTime,
}

/// The cache that this process wrote to last, and the bytes that it wrote since it last added up that cache's size.
static WRITTEN: Mutex<Option<(PathBuf, u64)>> = Mutex::new(None);

impl CodeCache {
    /// Writes the code of a module. A failure leaves the cache unchanged.
    pub(crate) fn keep(
        &self,
        sha256: Digest,
        blake3: &blake3::Hash,
        wanted: &WantedArtifact,
        artifact: &Artifact,
    ) -> io::Result<()> {
        let (name, machine) = (wanted.name(), &wanted.machine);
        let header = Header {
            module: sha256.to_string(),
            blake3: blake3.to_hex().to_string(),
            settings: wanted.settings.clone(),
            target: machine.name(),
            cpu: machine.features().into_iter().collect(),
            need: Some(artifact.need()),
        };
        let parts = artifact.seal(&header).map_err(io::Error::other)?;
        let size = parts.iter().map(Bytes::len).sum::<usize>() as u64;
        if size > CACHE_MAX_BYTES.value() {
            return Err(io::Error::other(format!("{size} bytes are more than EXTISM_CACHE_MAX_BYTES")));
        }
        let modules = self.root.create_directory(MODULES)?;
        let parts = parts.each_ref().map(|part| &part[..]);
        let place = || modules.create_directory(&header.module)?.write(&name, &parts);
        // Retried: another process may remove the directory while it is empty.
        place().or_else(|_| place())?;
        self.root.create_directory(BY_BLAKE3)?.write_link(&header.blake3, &header.module)?;
        self.grown(size);
        Ok(())
    }

    /// Evicts, if needed, at the first write of a process, and after each sixteenth of the cache's size that it writes.
    fn grown(&self, size: u64) {
        let max = CACHE_MAX_BYTES.value();
        let mut written = WRITTEN.lock();
        let total = match &*written {
            Some((path, written)) if *path == self.path => written + size,
            _ => u64::MAX,
        };
        let look = total > max / 16;
        *written = Some((self.path.clone(), if look { 0 } else { total }));
        drop(written);
        if look && let Err(error) = self.trim(max) {
            warn(format_args!("cache `{}`: {error}", self.path.display()));
        }
    }

    /// Above `max` bytes, evicts the least recently used artifacts until seven eighths of `max` are left. Removes
    /// leftovers of interrupted writes. Does nothing while another process evicts.
    fn trim(&self, max: u64) -> io::Result<()> {
        let Some(_alone) = self.root.lock_file(TRIM_LOCK)? else { return Ok(()) };
        let all = self.list()?;
        if all.iter().map(|artifact| artifact.size).sum::<u64>() > max {
            let remove = |artifact: &CachedArtifact| match self.remove(&artifact.module, &artifact.name) {
                Ok(()) => true,
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            shelf::evict(all, max - max / 8, |artifact| (artifact.used, artifact.size), remove);
        }
        Ok(())
    }

    /// All artifacts in the cache. Removes leftovers of interrupted writes.
    pub(crate) fn list(&self) -> io::Result<Vec<CachedArtifact>> {
        let mut all = Vec::new();
        for (sha256, module) in self.modules()? {
            all.extend(shelf::files(&module)?.into_iter().map(|file| {
                let (module, name) = (sha256.clone(), file.name);
                CachedArtifact { module, name, size: file.size, used: file.modified }
            }));
        }
        Ok(all)
    }

    /// Checks that an artifact is intact and of the module that it is filed under; returns its header.
    pub(crate) fn verify(&self, module: &str, name: &str) -> io::Result<Header> {
        match Artifact::unseal(self.module(module)?.read(name, MAX_ARTIFACT, None)?) {
            Some((header, _)) if header.module == module => Ok(header),
            Some(_) => Err(io::Error::other("the code of another module")),
            None => Err(io::Error::other("damaged")),
        }
    }

    /// Removes an artifact and, with a module's last one, its directory and links.
    pub(crate) fn remove(&self, sha256: &str, name: &str) -> io::Result<()> {
        let modules = self.root.directory(MODULES)?;
        let module = modules.directory(sha256)?;
        let blake3 = module.read_front(name, FRONT).ok().and_then(|front| Header::peek(&front)?.blake3.into());
        module.remove(name)?;
        if modules.remove_directory(sha256).is_ok()
            && let Ok(links) = self.root.directory(BY_BLAKE3)
        {
            // A damaged artifact does not tell its BLAKE3, so all links are read.
            let of_module = |link: &str| links.read_link(link).is_ok_and(|text| text.as_bytes() == sha256.as_bytes());
            let linked: Vec<String> = match blake3 {
                Some(blake3) if of_module(&blake3) => vec![blake3],
                _ => links.entries()?.into_iter().map(|entry| entry.name).filter(|link| of_module(link)).collect(),
            };
            for link in linked {
                let _ = links.remove(&link);
            }
        }
        Ok(())
    }

    /// The directories of all modules, each with its module's SHA-256.
    fn modules(&self) -> io::Result<Vec<(String, PrivateDir)>> {
        let modules = match self.root.directory(MODULES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let entries = modules.entries()?.into_iter().filter(|entry| entry.is_dir);
        let open = entries.filter_map(|entry| modules.directory(&entry.name).ok().map(|module| (entry.name, module)));
        Ok(open.collect())
    }
}
