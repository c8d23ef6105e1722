//! The libraries that are compared.

use std::fs;
use std::path::{Path, PathBuf};

/// A library, and how to run it.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The guest interface of its plugins, `v0` or `v1`; `None` if it runs both.
    pub(crate) guests: Option<&'static str>,
    pub(crate) kind: Kind,
}

/// The origin of the machine code that a library runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our library with a compiler and a cache.
    Compiler,
    /// Our library without compilers, which runs LLVM's code from a cache.
    Headless,
    /// Another library, with one of Extism's C interfaces.
    Peer,
    /// Plain wasmtime, which runs only workloads that compute.
    Engine,
}

impl Kind {
    /// True for libraries of others.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Peer | Self::Engine)
    }
}

/// The libraries that `make compare` has built.
pub(crate) fn built(folder: &Path) -> Result<Vec<Library>, String> {
    let mut libraries = Vec::new();
    for name in ["cranelift", "llvm", "singlepass", "headless"] {
        let path = folder.join(name).join("libextism.so");
        if path.exists() {
            let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
            let kind = if name == "headless" { Kind::Headless } else { Kind::Compiler };
            let name = if kind == Kind::Headless { "headless (llvm's code)" } else { name }.to_owned();
            libraries.push(Library { name, path, guests: None, kind });
        }
    }
    Ok(libraries)
}

impl Library {
    /// Another library: `PATH`, or `NAME=PATH`. Its interface is recognised by the symbol names in the file.
    pub(crate) fn peer(given: &str, number: usize) -> Result<Self, String> {
        let (name, path) = given.split_once('=').map_or((None, given), |(name, path)| (Some(name), path));
        let path = Path::new(path);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let path = path.canonicalize().map_err(failed)?;
        let bytes = fs::read(&path).map_err(failed)?;
        let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
        let (guests, kind, interface) = if has(b"extism_context_new\0") {
            (Some("v0"), Kind::Peer, "v0")
        } else if has(b"extism_plugin_new\0") {
            (Some("v1"), Kind::Peer, "v1")
        } else if has(b"wasmtime_linker_new\0") {
            (None, Kind::Engine, "plain")
        } else {
            return Err(format!("{}: neither libextism nor wasmtime's C API", path.display()));
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let stem = stem.trim_start_matches('_');
        let shown = || format!("{number}: {} ({interface})", stem.strip_prefix("lib").unwrap_or(stem));
        let name = name.map_or_else(shown, str::to_owned);
        Ok(Self { name, path, guests, kind })
    }
}
