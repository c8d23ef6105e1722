//! The libraries that are compared.

use std::fs;
use std::path::{Path, PathBuf};

/// A library, and how it is made to run.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Which of Extism's guest interfaces its plugins have: `v0` or `v1`.
    pub(crate) guests: &'static str,
    pub(crate) kind: Kind,
}

/// Where its code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours: it compiles, and has a store.
    Compiler,
    /// Ours: it runs code of LLVM's from the store.
    Headless,
    /// Another's.
    Peer,
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
            libraries.push(Library { name, path, guests: "v0", kind });
        }
    }
    Ok(libraries)
}

impl Library {
    /// Another library with one of the two C interfaces, which are told apart by the names in it.
    pub(crate) fn peer(path: &Path, number: usize) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let path = path.canonicalize().map_err(failed)?;
        let bytes = fs::read(&path).map_err(failed)?;
        let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
        let guests = if has(b"extism_context_new\0") { "v0" } else { "v1" };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{number}: {} ({guests})", stem.trim_start_matches("lib"));
        Ok(Self { name, path, guests, kind: Kind::Peer })
    }
}
