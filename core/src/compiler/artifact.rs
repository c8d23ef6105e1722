//! Artifacts: serialised machine code, on its way from a compiler or the cache on disk to the engine that runs it.
//!
//! In the cache an artifact is sealed: magic number, header, code, and the BLAKE3 of all three. The seal detects
//! damage, not malice: whoever can write to the cache can run code, so only this user and root may
//! (`cache/private_dir/`).
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

use super::error::Error;
use super::need::Step;
use crate::error::{Excerpt, Message};
use crate::fork;

/// The first bytes of a sealed artifact; the last of them is the version of the format.
const MAGIC: [u8; 8] = *b"EXTISM\x00\x01";

/// The length of the seal, in bytes.
const SEAL: usize = blake3::OUT_LEN;

/// The alignment of the code in a sealed artifact, in bytes: that of the longest vector that Wasmer may want aligned.
const ALIGNMENT: usize = 64;

/// Serialised machine code. Invariant: a compiler of this library made it, so loading it is safe.
#[derive(Debug)]
pub(crate) struct Artifact {
    code: Bytes,
    /// The bytes of memory that loading it needs (`need/`).
    need: u64,
}

/// The metadata in a sealed artifact, compared on every lookup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The module's SHA-256 in hex.
    pub(crate) module: String,
    /// The module's BLAKE3 in hex.
    pub(crate) blake3: String,
    /// Everything else that determines the code (`Backend::settings`).
    pub(crate) settings: String,
    /// Architecture and operating system, as in `Machine::name`.
    pub(crate) target: String,
    /// The CPU features that the code may use.
    pub(crate) cpu: Vec<String>,
    /// The bytes of memory that loading the code needs. The first versions did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) need: Option<u64>,
}

impl Header {
    /// The header at the front of a sealed artifact. Not verified: the seal is not checked.
    pub(crate) fn peek(front: &[u8]) -> Option<Self> {
        let (length, rest) = front.strip_prefix(&MAGIC)?.split_first_chunk()?;
        serde_json::from_slice(rest.get(..u32::from_le_bytes(*length) as usize)?).ok()
    }
}

impl Artifact {
    /// The artifact of a module that has just been compiled. Loading it will need `need` bytes of memory.
    #[cfg(feature = "compiler")]
    pub(crate) fn of(code: &ArtifactBuild, need: usize) -> Result<Self, wasmer::SerializeError> {
        code.serialize().map(|bytes| Self { code: bytes.into(), need: need as u64 })
    }

    #[cfg(feature = "compiler")]
    pub(crate) fn need(&self) -> u64 {
        self.need
    }

    /// The length of the code, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.code.len()
    }

    /// The sealed artifact, in pieces to be written one after the other.
    #[cfg(feature = "compiler")]
    pub(crate) fn seal(&self, header: &Header) -> Result<[Bytes; 3], serde_json::Error> {
        let mut front = MAGIC.to_vec();
        let mut text = serde_json::to_vec(header)?;
        let length = (front.len() + size_of::<u32>() + text.len()).next_multiple_of(ALIGNMENT);
        text.resize(length - front.len() - size_of::<u32>(), b' ');
        front.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        front.extend(text);
        let seal = blake3::Hasher::new().update(&front).update(&self.code).finalize();
        Ok([front.into(), self.code.clone(), Bytes::copy_from_slice(seal.as_bytes())])
    }

    /// Splits a sealed artifact into header and code. `None` if a single bit of it has changed.
    pub(crate) fn unseal(sealed: Vec<u8>) -> Option<(Header, Self)> {
        let (contents, seal) = sealed.split_at_checked(sealed.len().checked_sub(SEAL)?)?;
        let rest = contents.strip_prefix(&MAGIC)?;
        if blake3::hash(contents) != *<&[u8; SEAL]>::try_from(seal).ok()? {
            return None;
        }
        let (length, rest) = rest.split_first_chunk()?;
        let header = rest.get(..u32::from_le_bytes(*length) as usize)?;
        let start = MAGIC.len() + size_of::<u32>() + header.len();
        let header: Header = serde_json::from_slice(header).ok()?;
        let end = contents.len();
        // Loading reads the code in place, and copies the rest.
        let need = header.need.unwrap_or((end - start) as u64);
        Some((header, Self { code: Bytes::from(sealed).slice(start..end), need }))
    }

    /// Loads the code into `engine`, which owns it from then on.
    pub(crate) fn load(self, name: &str, engine: &Engine) -> Result<Module, Error> {
        refuse_at_exit(name)?;
        check_executable(name)?;
        let step = Step::begin(name, "load its code", usize::try_from(self.need).unwrap_or(usize::MAX))?;
        let bytes =
            aligned(self.code).map_err(|error| Error::Load { module: Excerpt::of(name), cause: Message::of(error) })?;
        // Loading changes Wasmer's table of all code and the unwinder's table, whose locks all threads share.
        let _inside = fork::enter();
        // SAFETY: Wasmer's serialiser wrote the bytes. They come from `of`, or from `unseal`, which has verified that
        // they are as `seal` left them, in a file that only this user, or root, can write.
        let module = unsafe { Module::deserialize(engine, bytes) };
        watch_exit();
        step.check()?;
        module.map_err(|error| Error::Load { module: Excerpt::of(name), cause: Message::of(error) })
    }
}

/// Set when the process is ending.
static EXITS: AtomicBool = AtomicBool::new(false);

extern "C" fn note_exit() {
    EXITS.store(true, Ordering::SeqCst);
}

/// Registers [`note_exit`] after the first module is loaded. Wasmer registers an `atexit` handler at its first module,
/// after which loading code panics. Handlers run last in, first out, so `note_exit` runs before Wasmer's.
fn watch_exit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the library is linked so that it is never unloaded, and the function only stores to an atomic.
        let result = unsafe { libc::atexit(note_exit) };
        // POSIX guarantees 32 registrations. Without ours, Wasmer's panic is caught like any other.
        debug_assert_eq!(result, 0);
    });
}

/// Fails if the process is ending, since no code for the module `name` can be loaded then.
pub(crate) fn refuse_at_exit(name: &str) -> Result<(), Error> {
    if !EXITS.load(Ordering::SeqCst) {
        return Ok(());
    }
    Err(Error::Ending { module: Excerpt::of(name) })
}

/// The bytes, copied if they are not aligned so that Wasmer can read them in place.
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

/// Checks that the system lets memory become executable, which the code of module `name` needs: Wasmer panics if it
/// does not.
pub(crate) fn check_executable(name: &str) -> Result<(), Error> {
    const LENGTH: usize = 1 << 16;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the mapping is new, so nothing else refers to it.
    let mapped = unsafe { mmap_anonymous(ptr::null_mut(), LENGTH, access, MapFlags::PRIVATE) };
    let checked = mapped.and_then(|start| {
        // SAFETY: the range is that mapping, which nothing refers to.
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
        Header { module, blake3, settings, target: text("t"), cpu: vec![text("sse2")], need: Some(9) }
    }

    #[test]
    fn what_was_sealed_comes_out() {
        for length in [0, 1, 63, 64, 1000] {
            let artifact = Artifact { code: Bytes::from(vec![7; length]), need: 9 };
            let sealed = artifact.seal(&header()).expect("it can be sealed").concat();
            let (found, artifact) = Artifact::unseal(sealed).expect("it is whole");
            assert_eq!((found, artifact.code, artifact.need), (header(), Bytes::from(vec![7; length]), 9));
        }
    }

    #[test]
    fn a_changed_bit_breaks_the_seal() {
        let artifact = Artifact { code: Bytes::from_static(b"some code"), need: 9 };
        let sealed = artifact.seal(&header()).expect("it can be sealed").concat();
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
