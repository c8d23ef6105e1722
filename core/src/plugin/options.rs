//! Additions to the manifest of a plugin, by the program that makes it.

use std::sync::Arc;
use std::time::Duration;

use super::host_function::HostFunction;
use super::timeout::Timeout;
use crate::abi::Abi;
use crate::manifest::Manifest;
use crate::stop::{self, NoTimer};

/// Additions to what the manifest of a plugin says.
#[derive(Debug, Default)]
pub struct Options {
    /// The C interface that the plugin is made for: it decides defaults, and how modules are named.
    pub abi: Abi,
    /// Whether the plugin gets WASI.
    pub wasi: bool,
    /// The functions of the host program that the plugin may import. Of two with the same namespace and name, the later
    /// counts.
    pub functions: Vec<HostFunction>,
    /// The plugin's name in log lines. Plugins that are made of a compiled plugin get one of their own.
    pub label: Option<Arc<str>>,
    /// The number of instructions that a call may execute. Takes the place of the manifest's `fuel`.
    pub fuel: Option<u64>,
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
    /// The timeout of the plugin: that of the options, the manifest or the environment.
    ///
    /// # Errors
    /// Nothing can enforce it.
    pub(super) fn timeout_of(&self, manifest: &Manifest<'_>) -> Result<Option<Timeout>, NoTimer> {
        let timeout = Timeout::of(self.timeout.or(manifest.timeout));
        if timeout.is_some() {
            stop::check_timer()?;
        }
        Ok(timeout)
    }

    /// Adds what a manifest can say as well: configuration, hosts, directories, timeout and fuel.
    pub(super) fn add_to(self, manifest: &mut Manifest<'_>) {
        if cfg!(not(feature = "http")) && !self.allowed_hosts.is_empty() {
            manifest.warnings.push("allowed hosts have no effect, http is not built in".to_owned());
        }
        manifest.config.extend(self.config);
        manifest.allowed_hosts.extend(self.allowed_hosts);
        manifest.allowed_paths.extend(self.allowed_paths);
        manifest.timeout = self.timeout.or(manifest.timeout);
        manifest.fuel = self.fuel.or(manifest.fuel);
    }
}
