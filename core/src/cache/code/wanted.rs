//! The artifact that a module's code is looked up for in the cache, and the name of its file.

use std::collections::BTreeSet;

use crate::cache::private_dir::DirEntry;
use crate::compiler::Machine;
use crate::compiler::artifact::Header;
use crate::module::digest::ModuleKey;

/// The compiler and settings that an artifact must be from, and the machine that it must be for.
#[derive(Debug, Clone)]
pub(crate) struct WantedArtifact {
    pub(crate) backend: &'static str,
    /// Everything that determines the code, besides the module and the machine (`Backend::settings`).
    pub(crate) settings: String,
    pub(crate) machine: Machine,
}

impl WantedArtifact {
    /// The common prefix of the file names of artifacts with this code, whatever CPU features they use.
    fn prefix(&self) -> String {
        let settings = blake3::hash(self.settings.as_bytes()).to_hex();
        format!("{}-{}-{}-", self.backend, &settings[..16], self.machine.name())
    }

    /// The file name of the artifact with this code that uses all CPU features of the machine.
    #[cfg(feature = "compiler")]
    pub(super) fn name(&self) -> String {
        let features: Vec<_> = self.machine.features().into_iter().collect();
        format!("{}{}", self.prefix(), features.join("+"))
    }

    /// The names of the artifacts with this code that the machine can run, those that use the most CPU features first.
    pub(super) fn candidates<'a>(&self, entries: &'a [DirEntry]) -> Vec<&'a str> {
        let (prefix, machine): (String, BTreeSet<String>) = (self.prefix(), self.machine.features());
        let mut found: Vec<(usize, &str)> = Vec::new();
        for entry in entries {
            let Some(features) = entry.name.strip_prefix(&prefix) else { continue };
            let features: Vec<_> = features.split('+').collect();
            if features.iter().all(|feature| feature.is_empty() || machine.contains(*feature)) {
                found.push((features.len(), &entry.name));
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, name)| name).collect()
    }

    /// Whether an artifact of the module with this SHA-256 and `key` is the wanted one. Its file name says the same,
    /// but files are easily renamed.
    pub(super) fn is(&self, header: &Header, sha256: &str, key: &ModuleKey) -> bool {
        header.module == sha256
            && key.blake3.is_none_or(|blake3| header.blake3 == *blake3.to_hex())
            && header.settings == self.settings
            && header.target == self.machine.name()
            && header.cpu.iter().all(|feature| self.machine.features().contains(feature))
    }
}
