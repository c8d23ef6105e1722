//! The initial contents of an instance's memory as a file in memory (`memfd`). Later instances of the module map it
//! copy on write instead of copying the data. If there is little data, copying is cheaper, and no image is made.
//!
//! Each image has a file of its own. The file is sealed: no process can change it, forked ones included. The system
//! frees it when no process has it open or mapped any more.
#![expect(unsafe_code, reason = "memory is mapped where an instance has it")]

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::unix::fs::FileExt as _;
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

use crate::module::reserved::DATA_SECTION;

/// In bytes. Less data than this is copied.
const LEAST: u64 = 128 << 10;

/// In bytes. Larger memories get no image: the system reclaims a file in memory less easily than other memory.
const MOST: u64 = 64 << 20;

/// The number of images in the process. Each takes a file descriptor, of which a process has 1,024 by default.
const MAX_IMAGES: usize = 64;

static IMAGES: AtomicUsize = AtomicUsize::new(0);

/// The initial data of a module's memory 0, and the image of it once an instance was made.
#[derive(Debug)]
pub(crate) struct InitialData {
    /// The address of the module's `ModuleInfo`, which identifies the module.
    module: usize,
    /// The memory's initial size in bytes; `None` if an image is not worthwhile.
    size: Option<u64>,
    /// The number of data segments in the image.
    segments: u64,
    image: OnceLock<Option<Image>>,
}

impl InitialData {
    /// Reads the custom section that the rewrite has added.
    pub(crate) fn of(module: &Module) -> Self {
        let contents = module.custom_sections(DATA_SECTION).next().unwrap_or_default();
        let mut numbers = contents.chunks_exact(8).map(|bytes| bytes.try_into().map_or(0, u64::from_le_bytes));
        let [bytes, segments] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
        let memory = module.info().memories.values().next();
        let size = memory.map_or(0, |memory| memory.minimum.bytes().0 as u64);
        // At least a quarter must be data: pages of zeros in the image cost more than pages that nobody wrote.
        let is_worth_it = bytes >= LEAST && size <= MOST && bytes >= size / 4;
        Self {
            module: ptr::from_ref(module.info()).addr(),
            size: is_worth_it.then_some(size),
            segments,
            image: OnceLock::new(),
        }
    }

    /// The most memory that the image may take, in bytes; 0 if there is none.
    pub(crate) fn size(&self) -> usize {
        self.size.and_then(|size| size.try_into().ok()).unwrap_or(0)
    }

    /// Whether this is the data of the module with this description.
    pub(crate) fn is_of(&self, module: &ModuleInfo) -> bool {
        self.module == ptr::from_ref(module).addr()
    }

    /// Makes the image from `instance`, unless it exists or is not worthwhile. `export` is the name of memory 0. No
    /// code has run in the instance yet.
    pub(crate) fn keep(&self, store: &impl AsStoreRef, instance: &Instance, export: &str) {
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

    /// The image, if it was made, and the number of segments in it.
    pub(crate) fn image(&self) -> Option<(&Image, u64)> {
        Some((self.image.get()?.as_ref()?, self.segments))
    }
}

/// A sealed file with the initial contents of a memory, from address 0 on.
#[derive(Debug)]
pub(crate) struct Image {
    file: ManuallyDrop<File>,
    /// Device and inode number of the file. A host that closes descriptors which it did not open may have closed this
    /// one, and the number may name another file.
    identity: (u64, u64),
    length: usize,
}

fn identity(file: &File) -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(file).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

impl Image {
    /// `None` if the system refuses, or there are [`MAX_IMAGES`].
    fn of(bytes: &[u8]) -> Option<Self> {
        let length = bytes.len() as u64;
        // A file above this limit raises SIGXFSZ, which ends the process.
        if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < length) {
            return None;
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(rustix::fs::memfd_create("extism-wasmer", flags).ok()?);
        let identity = identity(&file)?;
        rustix::fs::ftruncate(&file, length).ok()?;
        /// In bytes. No system's pages are larger, except huge pages, which a program must request.
        const PAGE: usize = 1 << 16;
        for (piece, number) in bytes.chunks(PAGE).zip(0..) {
            // A page that is not written is a hole, which reads as zeros.
            if piece.iter().any(|byte| *byte != 0) {
                file.write_all_at(piece, number * PAGE as u64).ok()?;
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

    /// Maps the image over the start of the new memory behind `definition`. False if the memory is as before.
    ///
    /// # Errors
    /// The system failed after it may have changed the mapping: the memory must not be used.
    pub(crate) fn map(&self, definition: &VMMemoryDefinition) -> Result<bool, Errno> {
        if self.length > definition.current_length || !self.is_ours() {
            return Ok(false);
        }
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: the range is the start of a new memory to whose bytes nothing refers yet. It stays readable and
        // writable, and the memory, when dropped, unmaps all of its range, this part included.
        unsafe { rustix::mm::mmap(definition.base.cast(), self.length, access, flags, &*self.file, 0) }.map(|_| true)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        IMAGES.fetch_sub(1, Ordering::Relaxed);
        if self.is_ours() {
            // SAFETY: the field is not used after this.
            drop(unsafe { ManuallyDrop::take(&mut self.file) });
        }
    }
}
