//! What the memory of a fresh instance has in it, kept as a file in memory: the instances to come map it, copy on write,
//! instead of copying it. Where there is little data, copying costs less.
//!
//! All images are in one file, so that a process spends one descriptor on them, however many modules it has.
#![expect(unsafe_code, reason = "memory is mapped where an instance has it")]

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::{LazyLock, OnceLock};

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, MemfdFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use wasmer::sys::vm::VMMemoryDefinition;
use wasmer::{AsStoreRef, Instance, Module};
use wasmer_types::ModuleInfo;

/// What images are made of, in bytes: no system has larger pages, but for those one asks for.
const PAGE: u64 = 1 << 16;

/// An image has at least as much.
const LEAST: u64 = 128 << 10;

/// And at most: a file in memory is not given back as easily as memory.
const MOST: u64 = 64 << 20;

/// The data of memory 0 of a module.
#[derive(Debug)]
pub(super) struct Data {
    /// Where the module's description is, to recognise it by.
    module: usize,
    /// Where it is, if that is known; whole pages.
    range: Option<Range<u64>>,
    /// In how many segments it is.
    segments: u64,
    image: OnceLock<Option<Image>>,
}

impl Data {
    /// As the custom section `section` says in three numbers of 64 bits: where data begins, where it ends, and in how many
    /// segments it is.
    pub(super) fn of(module: &Module, section: &str) -> Self {
        let contents = module.custom_sections(section).next().unwrap_or_default();
        let mut numbers = contents.chunks_exact(8).map(|bytes| bytes.try_into().map_or(0, u64::from_le_bytes));
        let [start, end, segments] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
        let range = start / PAGE * PAGE..end.next_multiple_of(PAGE);
        let is_worth_it = (LEAST..=MOST).contains(&end.saturating_sub(start));
        Self {
            module: ptr::from_ref(module.info()).addr(),
            range: is_worth_it.then_some(range),
            segments,
            image: OnceLock::new(),
        }
    }

    /// Whether it is that of the module with this description.
    pub(super) fn is_of(&self, module: &ModuleInfo) -> bool {
        self.module == ptr::from_ref(module).addr()
    }

    /// Makes the image, if there is to be one and is none yet. In `instance`, whose memory 0 has the name `export`, nothing has
    /// run before.
    pub(super) fn keep(&self, store: &impl AsStoreRef, instance: &Instance, export: &str) {
        let Some(range) = &self.range else { return };
        self.image.get_or_init(|| {
            let view = instance.exports.get_memory(export).ok()?.view(store);
            let bytes = view.copy_range_to_vec(range.start..range.end.min(view.data_size())).ok()?;
            Image::of(range.start, &bytes)
        });
    }

    /// The image, if it is made, and how many segments are in it.
    pub(super) fn image(&self) -> Option<(&Image, u64)> {
        Some((self.image.get()?.as_ref()?, self.segments))
    }
}

/// A part of the file.
#[derive(Debug)]
pub(super) struct Image {
    /// Where it is in a memory.
    start: u64,
    length: u64,
    /// Where it is in the file.
    offset: u64,
}

struct Images {
    file: OwnedFd,
    /// Device and number of the file. A host that closes descriptors which are not its own may have given ours to another file
    /// since.
    identity: (u64, u64),
    /// Where the next image goes. Places are not used twice: a file has room for 2^63 bytes, and what is in none is a hole.
    end: Mutex<u64>,
}

static IMAGES: LazyLock<Option<Images>> = LazyLock::new(|| {
    let file = rustix::fs::memfd_create("extism-wasmer", MemfdFlags::CLOEXEC).ok()?;
    let identity = identity(&file)?;
    Some(Images { file, identity, end: Mutex::new(0) })
});

fn identity(file: &OwnedFd) -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(file).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// The file, if it is still ours.
fn images() -> Option<&'static Images> {
    IMAGES.as_ref().filter(|images| identity(&images.file) == Some(images.identity))
}

impl Image {
    /// `None` where the system does not allow it.
    fn of(start: u64, bytes: &[u8]) -> Option<Self> {
        let images = images()?;
        let length = bytes.len() as u64;
        let offset = {
            let mut end = images.end.lock();
            let offset = *end;
            *end = offset.checked_add(length.checked_next_multiple_of(PAGE)?)?;
            rustix::fs::ftruncate(&images.file, *end).ok()?;
            offset
        };
        let image = Self { start, length, offset };
        let page = usize::try_from(PAGE).ok()?;
        for (piece, number) in bytes.chunks(page).zip(0..) {
            // A page that is not written is a hole, which reads as zeros.
            if piece.iter().any(|byte| *byte != 0) {
                write_all(&images.file, piece, offset + number * PAGE).ok()?;
            }
        }
        Some(image)
    }

    /// Puts the image into the memory behind `definition`, which is new, where it belongs. False if nothing has changed.
    ///
    /// # Errors
    /// The system has failed in the middle: the memory must not be used.
    pub(super) fn map(&self, definition: &VMMemoryDefinition) -> Result<bool, Errno> {
        let Some(images) = images() else { return Ok(false) };
        let (Ok(start), Ok(length)) = (usize::try_from(self.start), usize::try_from(self.length)) else {
            return Ok(false);
        };
        if start + length > definition.current_length {
            return Ok(false);
        }
        let place = definition.base.wrapping_add(start).cast();
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: the place is inside a memory that has just been made, at a page's boundary, and nothing refers to its
        // bytes yet; it can be read and written as before, and goes with the memory, which is unmapped as a whole.
        unsafe { rustix::mm::mmap(place, length, access, flags, &images.file, self.offset) }.map(|_| true)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Some(images) = images() {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // If it cannot be made, the memory is not given back before the end of the process.
            let _ = rustix::fs::fallocate(&images.file, hole, self.offset, self.length);
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
