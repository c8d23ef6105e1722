//! The plugin that calls a host function, as that function may use it.

use crate::host::Guest;

/// The plugin that calls a host function, for the time of that call: its memory for input, output and blocks.
///
/// The memory does not move, so addresses in it are good until the end of the plugin's call. A block that begins at
/// handle `h` has the address [`memory`](Self::memory) + `h`.
pub struct CurrentPlugin<'a> {
    guest: &'a mut Guest,
}

impl<'a> CurrentPlugin<'a> {
    pub(super) fn new(guest: &'a mut Guest) -> Self {
        // The host function writes to blocks by their addresses, unseen.
        guest.io.note_host_writes();
        guest.io.clear_first_byte();
        Self { guest }
    }

    /// The address of the memory's first byte, which is 0.
    pub fn memory(&self) -> *mut u8 {
        self.guest.io.base()
    }

    /// Makes a block of `length` bytes, all 0, and returns its handle, which is below 2 GiB. 0 if `length` is 0, or there
    /// is no room. The block is freed when the plugin is next called or reset.
    pub fn alloc(&mut self, length: u64) -> u64 {
        if length == 0 {
            return 0;
        }
        self.guest.io.alloc_for_host(length).unwrap_or(0)
    }

    /// The length of the block that begins at `handle`; 0 if none does.
    pub fn length(&self, handle: u64) -> u64 {
        self.guest.io.length(handle).unwrap_or(0)
    }

    /// Frees the block that begins at `handle`; does nothing if none does.
    pub fn free(&mut self, handle: u64) {
        self.guest.io.free(handle);
    }
}

impl Drop for CurrentPlugin<'_> {
    fn drop(&mut self) {
        self.guest.io.note_host_writes();
    }
}
