//! Additions to the manifest of a plugin that is made of a file.

use std::time::Duration;

use crate::manifest::Manifest;

/// Additions to what the manifest of a plugin says.
#[derive(Debug, Default)]
pub struct Options {
    /// Whether the plugin gets WASI.
    pub wasi: bool,
    /// Keys and values; they win over those of the manifest.
    pub config: Vec<(String, String)>,
    /// Hosts, beside those of the manifest.
    pub allowed_hosts: Vec<String>,
    /// Directories of the host, possibly with the prefix `ro:`, and where the plugin finds them. They win over those of
    /// the manifest.
    pub allowed_paths: Vec<(String, String)>,
    /// Takes the place of the manifest's `timeout_ms`.
    pub timeout: Option<Duration>,
}

impl Options {
    pub(super) fn add_to(self, manifest: &mut Manifest<'_>) {
        if cfg!(not(feature = "http")) && !self.allowed_hosts.is_empty() {
            manifest.warnings.push("allowed hosts have no effect, http is not built in".to_owned());
        }
        manifest.config.extend(self.config);
        manifest.allowed_hosts.extend(self.allowed_hosts);
        manifest.allowed_paths.extend(self.allowed_paths);
        manifest.timeout = self.timeout.or(manifest.timeout);
    }
}
