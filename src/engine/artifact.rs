//! Machine code on its way from the compiler, or from the store, to the engine that runs it.
//!
//! In the store it is sealed: a magic number, a header that says what it is, the code, and the BLAKE3 of all that. The
//! seal tells damage, not malice: who can write to the store can run code, so nobody else may (`private_dir.rs`).
#![expect(unsafe_code, reason = "machine code can only be loaded on trust; here the trust is that we made it")]

use std::collections::TryReserveError;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use serde::{Deserialize, Serialize};
use wasmer::{Engine, Module};
#[cfg(feature = "compiler")]
use wasmer_compiler::{ArtifactBuild, ArtifactCreate as _};

use super::Error;
use crate::error::{Excerpt, Message};
use crate::fork;

/// The first bytes of a sealed artifact; the last one counts versions of the format.
const MAGIC: [u8; 8] = *b"EXTISM\x00\x01";

/// The seal's length.
const SEAL: usize = blake3::OUT_LEN;

/// Where the code begins, and the longest vector that Wasmer may ask to be aligned.
const ALIGNMENT: usize = 64;

/// Serialised machine code that came from a compiler of this library.
#[derive(Debug)]
pub(crate) struct Artifact(Bytes);

/// What a sealed artifact says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The module's SHA-256 in hex.
    pub(crate) module: String,
    /// The module's BLAKE3 in hex.
    pub(crate) blake3: String,
    /// Everything else that decides what code comes out.
    pub(crate) settings: String,
    /// What it runs on.
    pub(crate) target: String,
    /// The CPU features that it uses.
    pub(crate) cpu: Vec<String>,
}

impl Header {
    /// The header at the front of a sealed artifact, which may be wrong: the seal was not looked at.
    #[cfg(feature = "compiler")]
    pub(super) fn peek(front: &[u8]) -> Option<Self> {
        let (length, rest) = front.strip_prefix(&MAGIC)?.split_first_chunk()?;
        serde_json::from_slice(rest.get(..u32::from_le_bytes(*length) as usize)?).ok()
    }
}

impl Artifact {
    /// The code of a module that has just been compiled.
    #[cfg(feature = "compiler")]
    pub(super) fn of(code: &ArtifactBuild) -> Result<Self, wasmer::SerializeError> {
        code.serialize().map(|bytes| Self(bytes.into()))
    }

    /// In bytes.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// The artifact with its header and seal, in pieces.
    #[cfg(feature = "compiler")]
    pub(super) fn seal(&self, header: &Header) -> Result<[Bytes; 3], serde_json::Error> {
        let mut front = MAGIC.to_vec();
        let mut text = serde_json::to_vec(header)?;
        let length = (front.len() + size_of::<u32>() + text.len()).next_multiple_of(ALIGNMENT);
        text.resize(length - front.len() - size_of::<u32>(), b' ');
        front.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        front.extend(text);
        let seal = blake3::Hasher::new().update(&front).update(&self.0).finalize();
        Ok([front.into(), self.0.clone(), Bytes::copy_from_slice(seal.as_bytes())])
    }

    /// Takes a sealed artifact apart. `None` if a single bit of it has changed.
    pub(super) fn unseal(sealed: Vec<u8>) -> Option<(Header, Self)> {
        let (contents, seal) = sealed.split_at_checked(sealed.len().checked_sub(SEAL)?)?;
        let rest = contents.strip_prefix(&MAGIC)?;
        if blake3::hash(contents) != *<&[u8; SEAL]>::try_from(seal).ok()? {
            return None;
        }
        let (length, rest) = rest.split_first_chunk()?;
        let header = rest.get(..u32::from_le_bytes(*length) as usize)?;
        let start = MAGIC.len() + size_of::<u32>() + header.len();
        let header = serde_json::from_slice(header).ok()?;
        let end = contents.len();
        Some((header, Self(Bytes::from(sealed).slice(start..end))))
    }

    /// Loads the code into `engine`, which owns it from then on.
    pub(super) fn load(self, name: &str, engine: &Engine) -> Result<Module, Error> {
        refuse_at_exit(name)?;
        check_executable(name)?;
        let bytes =
            aligned(self.0).map_err(|error| Error::Load { module: Excerpt::of(name), cause: Message::of(error) })?;
        // Wasmer has one table of all code, and the system's unwinder another.
        let _inside = fork::enter();
        // SAFETY: the bytes are what Wasmer's serialiser wrote: they came from `of`, or from `unseal`, which has found
        // them as `seal` left them in a file that only this user, or root, can write.
        let module = unsafe { Module::deserialize(engine, bytes) };
        watch_exit();
        module.map_err(|error| Error::Load { module: Excerpt::of(name), cause: Message::of(error) })
    }
}

/// The process is ending.
static EXITS: AtomicBool = AtomicBool::new(false);

extern "C" fn note_exit() {
    EXITS.store(true, Ordering::SeqCst);
}

/// From its first module on, the engine has a function called when the process ends (`atexit`), after which it panics when it is
/// given code. One that is registered after that is called before it.
fn watch_exit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function is the library's, which is linked to stay, and does only what is always allowed.
        let result = unsafe { libc::atexit(note_exit) };
        // There is room for 32 at least; without it, the engine's panics are caught as others are.
        debug_assert_eq!(result, 0);
    });
}

/// Says that no code can be loaded for the module `name`, if the process is ending.
pub(super) fn refuse_at_exit(name: &str) -> Result<(), Error> {
    if !EXITS.load(Ordering::SeqCst) {
        return Ok(());
    }
    Err(Error::Ending { module: Excerpt::of(name) })
}

/// The bytes where Wasmer can read them in place.
///
/// # Errors
/// There is no room for a copy.
fn aligned(bytes: Bytes) -> Result<Bytes, TryReserveError> {
    if bytes.as_ptr().align_offset(16) == 0 {
        return Ok(bytes);
    }
    let mut copy: Vec<u8> = Vec::new();
    copy.try_reserve_exact(bytes.len() + ALIGNMENT)?;
    let start = copy.as_ptr().align_offset(ALIGNMENT);
    copy.resize(start, 0);
    copy.extend_from_slice(&bytes);
    Ok(Bytes::from(copy).slice(start..))
}

/// Finds out whether the system lets memory become executable, as code of the module `name` must: Wasmer panics where it does
/// not.
///
/// # Errors
/// It does not.
pub(super) fn check_executable(name: &str) -> Result<(), Error> {
    const LENGTH: usize = 1 << 16;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping, which nobody else has.
    let mapped = unsafe { mmap_anonymous(ptr::null_mut(), LENGTH, access, MapFlags::PRIVATE) };
    let checked = mapped.and_then(|start| {
        // SAFETY: it is that mapping, which nobody uses.
        let checked = unsafe { mprotect(start, LENGTH, MprotectFlags::READ | MprotectFlags::EXEC) };
        // SAFETY: as above.
        let unmapped = unsafe { munmap(start, LENGTH) };
        checked.and(unmapped)
    });
    checked.map_err(|error| Error::NotExecutable { module: Excerpt::of(name), cause: error.into() })
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::{Artifact, Bytes, Header};

    fn header() -> Header {
        let text = |text: &str| text.to_owned();
        let (module, blake3, settings) = (text("m"), text("b"), text("s"));
        Header { module, blake3, settings, target: text("t"), cpu: vec![text("sse2")] }
    }

    #[test]
    fn what_was_sealed_comes_out() {
        for length in [0, 1, 63, 64, 1000] {
            let artifact = Artifact(Bytes::from(vec![7; length]));
            let sealed = artifact.seal(&header()).expect("it can be sealed").concat();
            let (found, artifact) = Artifact::unseal(sealed).expect("it is whole");
            assert_eq!((found, artifact.0), (header(), Bytes::from(vec![7; length])));
        }
    }

    #[test]
    fn a_changed_bit_breaks_the_seal() {
        let sealed = Artifact(Bytes::from_static(b"some code")).seal(&header()).expect("it can be sealed").concat();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Artifact::unseal(changed).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(Artifact::unseal(sealed[..length].to_vec()).is_none(), "{length} bytes");
        }
        assert!(Artifact::unseal([&sealed[..], &[0]].concat()).is_none());
    }
}
