//! Tokens: a C caller holds one instead of a pointer. A token is an address that is looked up in a table and never
//! dereferenced. None is given out twice, so that a stale or foreign token is recognised.

use extism_core::sync::Mutex;

static TOKENS: Mutex<Tokens> = Mutex::new(Tokens { next: 0, end: 0 });

/// The supply of unique addresses: those of a block that is allocated, never touched and never freed. It takes up
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

/// A token that was never given out before.
pub(super) fn take() -> usize {
    TOKENS.lock().take()
}
