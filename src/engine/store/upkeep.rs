//! What goes into a store, and what has to go.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use super::{BY_BLAKE3, MODULES, Store, Wanted, warn};
use crate::digest::Digest;
use crate::engine::artifact::{Artifact, Header};
use crate::engine::machine::Machine;
use crate::environment::CACHE_MAX_BYTES;
use crate::private_dir::PrivateDir;
use crate::sync::Mutex;

/// The file, in the store, that is locked by who makes room.
const TRIM_LOCK: &str = ".lock";

/// Enough of an artifact to have its header.
const FRONT: u64 = 4096;

/// An artifact in a store.
#[derive(Debug)]
pub(crate) struct Stored {
    /// SHA-256 of its module, in hex.
    pub(crate) module: String,
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// When it was made, or used, last.
    pub(crate) used: SystemTime,
}

/// What this process has written to which store since it last looked how large that is.
static WRITTEN: Mutex<Option<(PathBuf, u64)>> = Mutex::new(None);

impl Store {
    /// Keeps the code of a module.
    ///
    /// # Errors
    /// It cannot be written, or is larger than the store may be; the store is as it was.
    pub(in crate::engine) fn keep(
        &self,
        sha256: Digest,
        blake3: &str,
        wanted: &Wanted,
        machine: &Machine,
        artifact: &Artifact,
    ) -> io::Result<()> {
        let name = wanted.name(machine);
        let header = Header {
            module: sha256.to_string(),
            blake3: blake3.to_owned(),
            settings: wanted.settings.clone(),
            target: machine.name(),
            cpu: machine.features().into_iter().collect(),
        };
        let parts = artifact.seal(&header).map_err(io::Error::other)?;
        let size = parts.iter().map(Vec::len).sum::<usize>() as u64;
        if size > CACHE_MAX_BYTES.value() {
            return Err(io::Error::other(format!("{size} bytes are more than EXTISM_CACHE_MAX_BYTES")));
        }
        let modules = self.root.create_directory(MODULES)?;
        let parts = parts.each_ref().map(Vec::as_slice);
        let place = || modules.create_directory(&header.module)?.write(&name, &parts);
        // Another process may remove a directory that is empty for a moment.
        place().or_else(|_| place())?;
        self.root.create_directory(BY_BLAKE3)?.write_link(blake3, &header.module)?;
        self.grown(size);
        Ok(())
    }

    /// Looks after the bound now and then: at the first write of a process, and whenever it has written a sixteenth.
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
            warn(format_args!("store `{}`: {error}", self.path.display()));
        }
    }

    /// Removes what was not used for longest until the rest has less than `max` bytes, and what is left of writes
    /// that were interrupted. One process does so at a time: the others leave it to that.
    fn trim(&self, max: u64) -> io::Result<()> {
        let Some(_alone) = self.root.lock_file(TRIM_LOCK)? else { return Ok(()) };
        let mut all = self.list()?;
        let mut total: u64 = all.iter().map(|stored| stored.size).sum();
        if total <= max {
            return Ok(());
        }
        all.sort_by_key(|stored| stored.used);
        for stored in all {
            if total <= max - max / 8 {
                break;
            }
            match self.remove(&stored.module, &stored.name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => continue,
                _ => total -= stored.size,
            }
        }
        Ok(())
    }

    /// All artifacts there are. Removes what is left of writes that were interrupted.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn list(&self) -> io::Result<Vec<Stored>> {
        let mut all = Vec::new();
        for (sha256, module) in self.modules()? {
            for entry in module.entries()? {
                if entry.is_abandoned() {
                    let _ = module.remove(&entry.name);
                } else if !entry.is_temporary() && !entry.is_dir {
                    let (module, name) = (sha256.clone(), entry.name);
                    all.push(Stored { module, name, size: entry.size, used: entry.modified });
                }
            }
        }
        Ok(all)
    }

    /// Whether an artifact is whole and can be used by somebody.
    pub(crate) fn verify(&self, module: &str, name: &str) -> io::Result<Header> {
        let directory = self.root.directory(MODULES)?.directory(module)?;
        match Artifact::unseal(directory.read(name, super::MAX_ARTIFACT)?) {
            Some((header, _)) if header.module == module => Ok(header),
            Some(_) => Err(io::Error::other("the code of another module")),
            None => Err(io::Error::other("damaged")),
        }
    }

    /// Removes an artifact, and with the last one of a module all that is known of it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self, sha256: &str, name: &str) -> io::Result<()> {
        let modules = self.root.directory(MODULES)?;
        let module = modules.directory(sha256)?;
        let blake3 = module.read_front(name, FRONT).ok().and_then(|front| Header::peek(&front)?.blake3.into());
        module.remove(name)?;
        if modules.remove_directory(sha256).is_ok()
            && let Ok(links) = self.root.directory(BY_BLAKE3)
        {
            // What is damaged does not say what it is linked by.
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
