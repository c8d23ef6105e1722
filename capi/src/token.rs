//! Tokens: a C caller holds one instead of a pointer. A token is an address that is looked up in a table and never
//! dereferenced. None is given out twice, so that a stale or foreign token is recognised.

use std::collections::HashMap;

use extism_core::sync::{Lazy, Mutex, RwLock};

/// The values that tokens stand for. Any thread may use the table; its lock is held for moments.
pub struct TokenTable<V>(Lazy<RwLock<HashMap<usize, V>>>);

impl<V> TokenTable<V> {
    /// An empty table.
    pub const fn new() -> Self {
        Self(Lazy::new(RwLock::default))
    }

    /// Keeps `value`, and returns its token, which was never given out before.
    pub fn insert(&self, value: V) -> usize {
        let token = TOKENS.lock().take();
        self.0.write().insert(token, value);
        token
    }

    /// A copy of the value; `None` if the token is unknown.
    pub fn get(&self, token: usize) -> Option<V>
    where
        V: Clone,
    {
        self.0.read().get(&token).cloned()
    }

    /// Takes the value out of the table: the token is unknown from here on.
    pub fn remove(&self, token: usize) -> Option<V> {
        self.0.write().remove(&token)
    }

    /// Calls `work` with each value, while the table is locked.
    pub fn for_each(&self, work: impl FnMut(&V)) {
        self.0.read().values().for_each(work);
    }
}

impl<V> Default for TokenTable<V> {
    fn default() -> Self {
        Self::new()
    }
}

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
