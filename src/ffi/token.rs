//! What a C caller holds instead of a pointer: an address that is looked up in a table and never dereferenced, and never given
//! twice, so that a stale or foreign one is recognised.

use crate::sync::Mutex;

static TOKENS: Mutex<Tokens> = Mutex::new(Tokens { next: 0, end: 0 });

/// Addresses that nobody else has: those of a block that is allocated, never touched and never freed. It takes up
/// address space, not memory.
struct Tokens {
    next: usize,
    end: usize,
}

impl Tokens {
    const BLOCK: usize = 1 << 20;

    fn take(&mut self) -> usize {
        if self.next == self.end {
            let block: &'static mut [u8] = vec![0; Self::BLOCK].leak();
            self.next = block.as_ptr().expose_provenance();
            self.end = self.next + block.len();
        }
        let token = self.next;
        self.next += 1;
        token
    }
}

/// One that nobody has had.
pub(super) fn take() -> usize {
    TOKENS.lock().take()
}
