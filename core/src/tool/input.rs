//! Plugins as users of the tool name them: a file, and what the command line adds to it. The library's own reader and
//! parser read the file, so that it is taken, or refused, as programs have it.

use std::borrow::Cow;
use std::ffi::CString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Error, failed};
use crate::error::Excerpt;
use crate::load;
use crate::manifest::{self, MAIN, Manifest, ModuleEntry, ModuleSource};
use crate::plugin;

/// A file with a module or a manifest in it.
#[derive(Debug)]
pub struct Input {
    path: PathBuf,
    contents: Vec<u8>,
}

impl Input {
    /// Reads a file as the library reads modules: regular files only, up to `EXTISM_MAX_MODULE_BYTES`.
    ///
    /// # Errors
    /// It cannot be read so; it is named.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let contents = load::read(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), contents })
    }

    /// Where it is, as the user has named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.contents.len()
    }

    /// `error`, with the file's name in front, unless it begins with that.
    #[must_use]
    pub fn wrong(&self, error: impl Display) -> Error {
        let (name, error) = (self.quoted(), error.to_string());
        if error.starts_with(&name) { Error(error) } else { Error(format!("{name}: {error}")) }
    }

    /// `error`, without the file's name in front, for where that stands already.
    #[must_use]
    pub fn reason(&self, error: impl Display) -> String {
        let error = error.to_string();
        error.strip_prefix(&format!("{}: ", self.quoted())).map_or(error.clone(), str::to_owned)
    }

    /// Its name, as errors of the library have it.
    fn quoted(&self) -> String {
        format!("`{}`", Excerpt::of(self.path.display()))
    }

    /// The module, in the binary format whichever it is written in.
    ///
    /// # Errors
    /// It is malformed, or no module.
    pub fn module(&self) -> Result<Vec<u8>, Error> {
        if !is_bare(&manifest::parse(&self.contents).map_err(failed)?) {
            return Err(Error("it is a manifest, not a module: give its modules one by one".to_owned()));
        }
        let module = load::load(self.entry(), None).map_err(failed)?;
        module.to_binary().map(|binary| binary.into_owned()).map_err(failed)
    }

    /// The manifest, or for a module one that names the file, as errors of the module then do.
    pub(super) fn manifest(&self) -> Result<Manifest<'_>, Error> {
        let mut manifest = manifest::parse(&self.contents).map_err(failed)?;
        if is_bare(&manifest) {
            manifest.modules = vec![self.entry()];
        }
        Ok(manifest)
    }

    /// The file as the only module of a manifest.
    fn entry(&self) -> ModuleEntry<'static> {
        let program = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        ModuleEntry { name: MAIN.to_owned(), program, hash: None, source: ModuleSource::Path(self.path.clone()) }
    }
}

/// Whether it is the one around a module that came without: only such a module is borrowed from what was parsed.
fn is_bare(manifest: &Manifest<'_>) -> bool {
    matches!(manifest.modules.as_slice(), [ModuleEntry { source: ModuleSource::Data(Cow::Borrowed(_)), .. }])
}

/// Additions of the command line to a plugin's manifest.
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
    fn add_to(self, manifest: &mut Manifest<'_>) {
        if cfg!(not(feature = "http")) && !self.allowed_hosts.is_empty() {
            manifest.warnings.push("allowed hosts have no effect, http is not built in".to_owned());
        }
        manifest.config.extend(self.config);
        manifest.allowed_hosts.extend(self.allowed_hosts);
        manifest.allowed_paths.extend(self.allowed_paths);
        manifest.timeout = self.timeout.or(manifest.timeout);
    }
}

/// A plugin to call.
pub struct Plugin(plugin::Plugin);

impl Plugin {
    /// Makes one of `input`, with `options`.
    ///
    /// # Errors
    /// Every way in which these can be wrong.
    pub fn new(input: &Input, options: Options) -> Result<Self, Error> {
        let with_wasi = options.wasi;
        let mut manifest = input.manifest()?;
        options.add_to(&mut manifest);
        plugin::Plugin::of_manifest(manifest, with_wasi).map(Self).map_err(failed)
    }

    /// Calls a function; returns its status and its error.
    ///
    /// # Errors
    /// The name has a NUL in it.
    pub fn call(&mut self, function: &str, input: &[u8]) -> Result<(i32, Option<String>), Error> {
        let function = CString::new(function).map_err(|_| Error("the function's name has a NUL byte".to_owned()))?;
        let outcome = self.0.call(&function, input);
        Ok(outcome.map_or_else(|complaint| (complaint.code, Some(complaint.text)), |code| (code, None)))
    }

    /// The output of the last call.
    #[must_use]
    pub fn output(&mut self) -> Vec<u8> {
        self.0.output_bytes()
    }
}
