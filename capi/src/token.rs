//! Tokens: a C caller holds one instead of a pointer. A token is an address that is looked up in a table and never
//! dereferenced. None is given out twice, so that a stale or foreign token is recognised; those that are [`passing`] come
//! again late.

use std::cell::Cell;
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
        self.take_many(1)
    }

    /// Takes the first of `count` addresses, at most a block.
    fn take_many(&mut self, count: usize) -> usize {
        if self.end - self.next < count {
            let block: &'static mut [u8] = vec![0; Self::BLOCK].leak();
            self.next = block.as_ptr().expose_provenance();
            self.end = self.next + block.len();
        }
        let first = self.next;
        self.next += count;
        first
    }
}

/// A token for something that is over when the thread's own code returns, such as a call of a host function. No other
/// thread has it at the same time, and this thread has it again after [`Turn::TOKENS`] others at the earliest.
///
/// Takes no lock and allocates nothing but at a thread's first one.
#[inline]
pub(crate) fn passing() -> usize {
    // At a thread's end, when its turn is given back already, there are few.
    TURN.try_with(Turn::take).unwrap_or_else(|_| TOKENS.lock().take())
}

thread_local! {
    static TURN: Turn = Turn::begin();
}

/// Turns that threads which have ended have given back.
static TURNS: Mutex<Vec<Turn>> = Mutex::new(Vec::new());

/// Tokens that one thread gives out, one after the other and then again.
struct Turn {
    first: usize,
    /// The next one's distance from the first.
    next: Cell<usize>,
}

impl Turn {
    const TOKENS: usize = 1 << 12;

    /// A turn that no other thread has.
    fn begin() -> Self {
        let before = TURNS.lock().pop();
        before.unwrap_or_else(|| Self { first: TOKENS.lock().take_many(Self::TOKENS), next: Cell::new(0) })
    }

    #[inline]
    fn take(&self) -> usize {
        let next = self.next.get();
        self.next.set((next + 1) % Self::TOKENS);
        self.first + next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Where it was: a thread that takes it over begins with tokens that were not given out for long.
        TURNS.lock().push(Self { first: self.first, next: self.next.clone() });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;
    use std::thread;

    use super::{TokenTable, Turn, passing};

    #[test]
    fn a_threads_own_tokens_come_again_late_and_are_no_others() {
        let table = TokenTable::new();
        let kept: Vec<_> = (0..100).map(|number| table.insert(number)).collect();
        let barrier = &Barrier::new(4);
        let of_a_thread = || {
            let tokens: Vec<_> = (0..2 * Turn::TOKENS).map(|_| passing()).collect();
            barrier.wait();
            let distinct: BTreeSet<_> = tokens[..Turn::TOKENS].iter().copied().collect();
            assert_eq!((distinct.len(), &tokens[..Turn::TOKENS]), (Turn::TOKENS, &tokens[Turn::TOKENS..]));
            distinct
        };
        let all = thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(of_a_thread));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        let union: BTreeSet<_> = all.into_iter().flatten().chain(kept).collect();
        assert_eq!(union.len(), 4 * Turn::TOKENS + 100);
    }
}
