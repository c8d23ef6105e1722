//! What the memory of a fresh instance has in it, kept as a file in memory: the instances to come map it, copy on write,
//! instead of copying it. Where there is little data, copying costs less.
//!
//! A file has one image, and is sealed: nobody can change it any more, not a process that has come of this one by `fork`
//! either. It is there until the last who has it closed or mapped it has gone.
#![expect(unsafe_code, reason = "memory is mapped where an instance has it")]

use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};
use wasmer::sys::vm::VMMemoryDefinition;
use wasmer::{AsStoreRef, Instance, Module};
use wasmer_types::ModuleInfo;

/// Less data than this is copied, in bytes.
const LEAST: u64 = 128 << 10;

/// No image is larger, in bytes: what is in a file in memory is not given back as easily as memory.
const MOST: u64 = 64 << 20;

/// How many images a process may have: each takes a descriptor, of which there are 1,024 if nobody says otherwise.
const MAX_IMAGES: usize = 64;

static IMAGES: AtomicUsize = AtomicUsize::new(0);

/// The data of memory 0 of a module.
#[derive(Debug)]
pub(super) struct Data {
    /// Where the module's description is, to recognise it by.
    module: usize,
    /// The memory's size in the beginning, in bytes, if an image of it is worth its while.
    size: Option<u64>,
    /// In how many segments the data is.
    segments: u64,
    image: OnceLock<Option<Image>>,
}

impl Data {
    /// As the custom section `section` says in two numbers of 64 bits: how much data there is, and in how many segments it is.
    pub(super) fn of(module: &Module, section: &str) -> Self {
        let contents = module.custom_sections(section).next().unwrap_or_default();
        let mut numbers = contents.chunks_exact(8).map(|bytes| bytes.try_into().map_or(0, u64::from_le_bytes));
        let [bytes, segments] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
        let memory = module.info().memories.values().next();
        let size = memory.map_or(0, |memory| memory.minimum.bytes().0 as u64);
        // Most of the image has to be data: the rest is mapped, and read, as zeros that somebody has written.
        let is_worth_it = bytes >= LEAST && size <= MOST && bytes >= size / 4;
        Self {
            module: ptr::from_ref(module.info()).addr(),
            size: is_worth_it.then_some(size),
            segments,
            image: OnceLock::new(),
        }
    }

    /// What the image may take up, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size.and_then(|size| size.try_into().ok()).unwrap_or(0)
    }

    /// Whether it is that of the module with this description.
    pub(super) fn is_of(&self, module: &ModuleInfo) -> bool {
        self.module == ptr::from_ref(module).addr()
    }

    /// Makes the image, if there is to be one and is none yet. In `instance`, whose memory 0 has the name `export`, nothing has
    /// run before.
    pub(super) fn keep(&self, store: &impl AsStoreRef, instance: &Instance, export: &str) {
        let Some(size) = self.size else { return };
        self.image.get_or_init(|| {
            let view = instance.exports.get_memory(export).ok()?.view(store);
            let mut bytes = Vec::new();
            let length = usize::try_from(size).ok()?;
            bytes.try_reserve_exact(length).ok()?;
            bytes.resize(length, 0);
            view.read(0, &mut bytes).ok()?;
            Image::of(&bytes)
        });
    }

    /// The image, if it is made, and how many segments are in it.
    pub(super) fn image(&self) -> Option<(&Image, u64)> {
        Some((self.image.get()?.as_ref()?, self.segments))
    }
}

/// A file with what a memory begins with, from its start on.
#[derive(Debug)]
pub(super) struct Image {
    file: ManuallyDrop<OwnedFd>,
    /// Device and number of the file. A host that closes descriptors which are not its own may have given ours to another file
    /// since.
    identity: (u64, u64),
    length: usize,
}

fn identity(file: &OwnedFd) -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(file).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

impl Image {
    /// `None` where the system does not allow it, or there are enough.
    fn of(bytes: &[u8]) -> Option<Self> {
        let length = bytes.len() as u64;
        // A file that becomes too long ends the process.
        if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < length) {
            return None;
        }
        let file = rustix::fs::memfd_create("extism-wasmer", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).ok()?;
        let identity = identity(&file)?;
        rustix::fs::ftruncate(&file, length).ok()?;
        /// What no system's pages are larger than, but those one asks for.
        const PAGE: usize = 1 << 16;
        for (piece, number) in bytes.chunks(PAGE).zip(0..) {
            // A page that is not written is a hole, which reads as zeros.
            if piece.iter().any(|byte| *byte != 0) {
                write_all(&file, piece, number * PAGE as u64).ok()?;
            }
        }
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)
            .ok()?;
        let counted = IMAGES
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |images| (images < MAX_IMAGES).then_some(images + 1));
        counted.ok().map(|_| Self { file: ManuallyDrop::new(file), identity, length: bytes.len() })
    }

    fn is_ours(&self) -> bool {
        identity(&self.file) == Some(self.identity)
    }

    /// Puts the image into the memory behind `definition`, which is new. False if nothing has changed.
    ///
    /// # Errors
    /// The system has failed in the middle: the memory must not be used.
    pub(super) fn map(&self, definition: &VMMemoryDefinition) -> Result<bool, Errno> {
        if self.length > definition.current_length || !self.is_ours() {
            return Ok(false);
        }
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: the place is the start of a memory that has just been made, and nothing refers to its bytes yet; it can be
        // read and written as before, and goes with the memory, which is unmapped as a whole.
        unsafe { rustix::mm::mmap(definition.base.cast(), self.length, access, flags, &*self.file, 0) }.map(|_| true)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        IMAGES.fetch_sub(1, Ordering::Relaxed);
        if self.is_ours() {
            // SAFETY: it is not used after this.
            drop(unsafe { ManuallyDrop::take(&mut self.file) });
        }
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
