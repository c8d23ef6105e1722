//! Loads a module from its source, and checks its hash. Of files, only regular ones are read, and each is opened once,
//! so that the verified bytes run.

#[cfg(feature = "compiler")]
use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use super::download;
use super::error::{Error, ModuleOrigin};
use super::own_memory;
#[cfg(feature = "compiler")]
use super::text;
use crate::environment;
use crate::error::Excerpt;
#[cfg(feature = "http")]
use crate::http;
use crate::manifest::{ModuleEntry, ModuleSource};
use crate::module::bytes::ModuleBytes;
use crate::module::contents::{self, Contents};
use crate::module::digest::Digest;
#[cfg(feature = "compiler")]
use crate::module::kind::{self, Extent};
use crate::read as read_file;

/// A module whose bytes match the manifest's hash, if it has one.
#[derive(Debug)]
pub(crate) struct LoadedModule {
    pub(crate) name: String,
    /// A binary or WAT text.
    pub(crate) contents: Contents,
    /// The address that they come from, if it is one, as errors show it.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
    address: Option<Excerpt>,
    /// The bytes' SHA-256, if the manifest has one.
    pub(crate) sha256: Option<Digest>,
}

/// The SHA-256 that the manifest gives for the module of `entry`.
pub(crate) fn expected_hash(entry: &ModuleEntry<'_>) -> Result<Option<Digest>, Error> {
    let Some(given) = &entry.hash else { return Ok(None) };
    let bad = || Error::BadHash { name: Excerpt::of(&entry.name), given: Excerpt::of(given) };
    Digest::parse(given).ok_or_else(bad).map(Some)
}

/// Loads the module of `entry`, by `deadline` at the latest, and checks its size and its hash.
pub(crate) fn load(entry: ModuleEntry<'_>, deadline: Option<Instant>) -> Result<LoadedModule, Error> {
    let (sha256, max) = (expected_hash(&entry)?, environment::MAX_MODULE_BYTES.value());
    let address = match &entry.source {
        #[cfg(feature = "http")]
        ModuleSource::Url(remote) => Some(http::shown(&remote.url)),
        _ => None,
    };
    let contents = match entry.source {
        ModuleSource::Path(path) => verified(open(&entry.name, &path, max)?, &entry.name, sha256)?,
        ModuleSource::Data(bytes) if bytes.len() as u64 > max => {
            return Err(Error::TooLarge { name: Excerpt::of(entry.name), max });
        }
        ModuleSource::Data(bytes) => {
            let size = bytes.len();
            let no_room = |_| Error::NoRoom { name: Excerpt::of(&entry.name), size };
            verified(Contents::of_bytes(bytes).map_err(no_room)?, &entry.name, sha256)?
        }
        ModuleSource::Memory(range) if range.length > max => {
            return Err(Error::TooLarge { name: Excerpt::of(entry.name), max });
        }
        ModuleSource::Memory(range) => {
            let wrong = |cause| Error::Memory { name: Excerpt::of(&entry.name), cause };
            let bytes = ModuleBytes::of_vec(own_memory::copy(range).map_err(wrong)?);
            verified(Contents::of_module(bytes, None), &entry.name, sha256)?
        }
        ModuleSource::Url(remote) => {
            // Verified while it is downloaded.
            Contents::of_module(download::load(&remote, sha256, max, deadline)?, None)
        }
    };
    Ok(LoadedModule { name: entry.name, contents, address, sha256 })
}

/// The bytes of the regular file at `path`, at most as many as a module may have.
#[cfg(feature = "compiler")]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let name = path.display().to_string();
    let contents = open(&name, path, environment::MAX_MODULE_BYTES.value())?;
    Ok(contents.bytes()?.as_slice().to_vec())
}

/// The contents of the regular file at `path`, which is at most `max` bytes long.
fn open(name: &str, path: &Path, max: u64) -> Result<Contents, Error> {
    let in_file = |cause| contents::Error { path: path.to_owned(), cause };
    let file = read_file::open(path).map_err(in_file)?;
    // Checks the open file, not the path, behind which the file could be exchanged.
    let metadata = file.metadata().map_err(in_file)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    if metadata.len() > max {
        return Err(Error::TooLarge { name: Excerpt::of(name), max });
    }
    Ok(Contents::of_file(file, path.to_owned(), metadata.len(), max)?)
}

/// `contents` of the module called `name`, if they have this hash.
fn verified(contents: Contents, name: &str, sha256: Option<Digest>) -> Result<Contents, Error> {
    if let Some(expected) = sha256 {
        let found = contents.sha256()?;
        if found != expected {
            return Err(Error::HashMismatch { found, expected, origin: ModuleOrigin::of(&contents, name) });
        }
    }
    Ok(contents)
}

#[cfg(feature = "compiler")]
impl LoadedModule {
    pub(crate) fn origin(&self) -> ModuleOrigin {
        let address = self.address.clone().map(ModuleOrigin::Place);
        address.unwrap_or_else(|| ModuleOrigin::of(&self.contents, &self.name))
    }

    /// The module in binary: bytes without the magic number of the binary format are read as WAT.
    pub(crate) fn to_binary(&self) -> Result<Cow<'_, [u8]>, Error> {
        let bytes = self.contents.bytes()?.as_slice();
        if kind::is_binary(bytes) {
            let (origin, size) = (|| self.origin(), bytes.len());
            return match kind::extent(bytes) {
                Extent::Cut { end } => Err(Error::Cut { origin: origin(), size, end }),
                Extent::Extra { end } => Err(Error::Extra { origin: origin(), size, end }),
                Extent::Whole => Ok(Cow::Borrowed(bytes)),
            };
        }
        if !kind::is_wat(bytes) {
            return Err(Error::NotAModule { origin: self.origin(), kind: kind::of(bytes) });
        }
        text::to_binary(&self.name, self.contents.path(), kind::without_mark(bytes)).map(Cow::Owned)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::load;
    use crate::environment;
    use crate::manifest::{AddressRange, MAIN, ModuleEntry, ModuleSource};
    use crate::module::digest::Digest;

    fn entry(address: usize, length: u64, hash: Option<String>) -> ModuleEntry<'static> {
        let source = ModuleSource::Memory(AddressRange { address: address as u64, length });
        let [name, program] = [MAIN; 2].map(str::to_owned);
        ModuleEntry { name, program, hash, source }
    }

    #[test]
    fn modules_come_from_memory() {
        let module = b"\0asm\x01\0\0\0".to_vec();
        let (address, length) = (module.as_ptr().addr(), module.len() as u64);
        let hash = Digest::of(&module);
        for given in [None, Some(hash.to_string())] {
            let loaded = load(entry(address, length, given), None).expect("it is there");
            assert_eq!(loaded.contents.bytes().expect("at hand").as_slice(), module);
            assert!(loaded.contents.path().is_none());
        }
        let empty = load(entry(0, 0, None), None).expect("nothing is read");
        assert_eq!(empty.contents.bytes().expect("at hand").as_slice(), b"");
        let error = load(entry(address, length, Some(Digest::of(b"").to_string())), None).expect_err("another hash");
        let expected = format!("Hash mismatch, found {hash} but expected {}: module `main`", Digest::of(b""));
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[test]
    fn memory_that_is_no_module_is_an_error() {
        let max = environment::MAX_MODULE_BYTES.value();
        let beyond = format!("module `main` is larger than the limit of {max} bytes (EXTISM_MAX_MODULE_BYTES)");
        for (address, length, expected) in [
            (0, 1, "module `main`: its 1 bytes at address 0x0 cannot be read"),
            (1, max, "bytes at address 0x1 cannot be read, from byte 0 on"),
            (usize::MAX, 2, "module `main`: its 2 bytes at address 0xffffffffffffffff would go on"),
            (0, max + 1, &beyond),
            (usize::MAX, u64::MAX, &beyond),
        ] {
            let error = load(entry(address, length, None), None).expect_err("not readable").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
