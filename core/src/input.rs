//! A module or a manifest in a file, as a user names it. The library's own reader and parser read the file, so that it
//! is accepted or refused as in a program.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::abi::Abi;
use crate::error::{Described, Excerpt};
use crate::load;
use crate::manifest::{self, MAIN, Manifest, ModuleEntry, ModuleSource};

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
    /// The file cannot be read so; the error names it.
    pub fn read(path: &Path) -> Result<Self, Described> {
        let contents = load::read(path).map_err(Described::of)?;
        Ok(Self { path: path.to_owned(), contents })
    }

    /// The path, as the user has named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.contents.len()
    }

    /// `error` with the file's name in front, unless it begins with that.
    #[must_use]
    pub fn wrong(&self, error: impl Display) -> Described {
        let (name, error) = (self.quoted(), error.to_string());
        if error.starts_with(&name) { Described::text(error) } else { Described::text(format!("{name}: {error}")) }
    }

    /// `error` without the file's name in front, for places where the name stands already.
    #[must_use]
    pub fn reason(&self, error: impl Display) -> String {
        let error = error.to_string();
        error.strip_prefix(&format!("{}: ", self.quoted())).map_or(error.clone(), str::to_owned)
    }

    /// The file's name, as errors of the library show it.
    fn quoted(&self) -> String {
        format!("`{}`", Excerpt::of(self.path.display()))
    }

    /// The module, in the binary format whichever it is written in.
    ///
    /// # Errors
    /// The contents are malformed, or a manifest.
    pub fn module(&self) -> Result<Vec<u8>, Described> {
        if !is_bare(&manifest::parse(&self.contents, Abi::V0).map_err(Described::of)?) {
            return Err(Described::text("it is a manifest, not a module: give its modules one by one".to_owned()));
        }
        let module = load::load(self.entry(), None).map_err(Described::of)?;
        module.to_binary().map(|binary| binary.into_owned()).map_err(Described::of)
    }

    /// The manifest, or for a module one that names the file, as errors of the module then do.
    ///
    /// # Errors
    /// The contents are neither.
    pub(crate) fn manifest(&self) -> Result<Manifest<'_>, manifest::Error> {
        let mut manifest = manifest::parse(&self.contents, Abi::V0)?;
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

/// Whether `manifest` was made by the parser around a bare module: only such a module is borrowed from the input.
fn is_bare(manifest: &Manifest<'_>) -> bool {
    matches!(manifest.modules.as_slice(), [ModuleEntry { source: ModuleSource::Data(Cow::Borrowed(_)), .. }])
}
