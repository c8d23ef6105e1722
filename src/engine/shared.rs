//! Code that this process has: plugins of the same modules share it, whoever makes them, one after the other or at once.
//!
//! An entry holds what decides the code, the modules' bytes among it, so that one is found without a cryptographic hash.
//! The code lives as long as an entry or a plugin has it. Entries are bounded: those that no plugin uses go first, of these
//! the one that was not asked for for longest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::{Mutex, ReentrantMutex};

use super::{CompiledPlugin, Input};
use crate::digest::Digest;
use crate::module_bytes::ModuleBytes;

/// How many entries there may be.
const MAX_ENTRIES: usize = 256;

/// What decides the code of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The compiler's name, if it has to be that one.
    pub(super) backend: Option<&'static str>,
    pub(super) fuel: bool,
    /// In the order of the manifest.
    pub(super) modules: Vec<Identity>,
}

/// Which module it is.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    Bytes(Arc<ModuleBytes>),
    /// All that is known of it.
    Hash(Digest),
}

impl Identity {
    /// That of a module which comes with its bytes, its hash, or both.
    pub(super) fn of(input: &Input<'_>) -> Option<Self> {
        let bytes = input.bytes.map(|bytes| Self::Bytes(Arc::clone(bytes)));
        bytes.or_else(|| input.sha256.map(Self::Hash))
    }

    /// How much memory it holds, in bytes.
    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.as_slice().len(),
            Self::Hash(_) => 0,
        }
    }
}

/// The same bytes are in one place only, so the places are compared.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(one), Self::Bytes(two)) => Arc::ptr_eq(one, two),
            (Self::Hash(one), Self::Hash(two)) => one == two,
            _ => false,
        }
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Bytes(bytes) => Arc::as_ptr(bytes).hash(state),
            Self::Hash(digest) => digest.hash(state),
        }
    }
}

/// Where the code is once somebody has made it; locked by who does. The lock lets its thread in again, such as a logger of
/// the host that makes a plugin; the cell then tells that the code is not there yet.
#[derive(Debug, Default)]
struct Place(ReentrantMutex<RefCell<Option<Arc<CompiledPlugin>>>>);

#[derive(Debug)]
struct Entry {
    place: Arc<Place>,
    /// When it was asked for last, counted in questions.
    asked: u64,
    /// Once it is made: what says whether a plugin uses it, and how much memory the entry holds.
    code: Weak<CompiledPlugin>,
    size: usize,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Key, Entry>,
    questions: u64,
    /// The sizes of all entries.
    size: usize,
}

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

/// The code for `key`; `make` makes it if there is none. Who wants what another thread is making waits for it.
///
/// # Errors
/// `make` fails. Nothing is kept then.
pub(super) fn get_or_make<E>(
    key: Key,
    make: impl FnOnce() -> Result<CompiledPlugin, E>,
) -> Result<Arc<CompiledPlugin>, E> {
    let place = TABLE.lock().place(&key);
    let lock = place.0.lock();
    let Ok(mut code) = lock.try_borrow_mut() else { return make().map(Arc::new) };
    if let Some(code) = &*code {
        return Ok(Arc::clone(code));
    }
    let made = make().map(Arc::new);
    if let Ok(made) = &made {
        *code = Some(Arc::clone(made));
    }
    drop(code);
    let mut table = TABLE.lock();
    let dropped = match &made {
        Ok(made) => table.note(&key, made, max_bytes()),
        Err(_) => table.entries.remove(&key).into_iter().collect(),
    };
    drop(table);
    // Only now: what they hold has locks of its own.
    drop(dropped);
    made
}

impl Table {
    /// The place for `key`, which may be empty.
    fn place(&mut self, key: &Key) -> Arc<Place> {
        self.questions += 1;
        let asked = self.questions;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.asked = asked;
            return Arc::clone(&entry.place);
        }
        let place = Arc::<Place>::default();
        self.entries.insert(key.clone(), Entry { place: Arc::clone(&place), asked, code: Weak::new(), size: 0 });
        place
    }

    /// Notes what was made for `key`; returns the entries that have to go for it, which may include it.
    fn note(&mut self, key: &Key, code: &Arc<CompiledPlugin>, max_bytes: usize) -> Vec<Entry> {
        if let Some(entry) = self.entries.get_mut(key) {
            self.size -= entry.size;
            entry.code = Arc::downgrade(code);
            entry.size = code.size + key.modules.iter().map(Identity::size).sum::<usize>();
            self.size += entry.size;
        }
        let mut gone = Vec::new();
        while self.entries.len() > MAX_ENTRIES || self.size > max_bytes {
            // One that is being made has no size yet, and is asked for at this moment.
            let made = self.entries.iter().filter(|(_, entry)| entry.size > 0);
            let in_use = |entry: &Entry| entry.code.strong_count() > 1;
            let Some((key, _)) = made.min_by_key(|(_, entry)| (in_use(entry), entry.asked)) else { break };
            let key = key.clone();
            let Some(entry) = self.entries.remove(&key) else { break };
            self.size -= entry.size;
            gone.push(entry);
        }
        gone
    }
}

/// How much memory the entries may hold: 64 MiB unless the environment says otherwise.
fn max_bytes() -> usize {
    const DEFAULT: usize = 64 << 20;
    let given = env::var("EXTISM_CACHE_MEMORY_BYTES").ok();
    given.and_then(|given| given.trim().parse().ok()).unwrap_or(DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::{Arc, CompiledPlugin, Identity, Key, MAX_ENTRIES, ModuleBytes, Table, get_or_make};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use wasmer::sys::EngineBuilder;

    fn key(text: &str) -> Key {
        let bytes = ModuleBytes::of_bytes(text.as_bytes().into());
        Key { backend: None, fuel: false, modules: vec![Identity::Bytes(bytes)] }
    }

    fn code(size: usize) -> CompiledPlugin {
        let engine = EngineBuilder::headless().engine().into();
        CompiledPlugin { engine, modules: Vec::new(), memories_move: false, data: Arc::new([]), common: "", size }
    }

    #[test]
    fn what_many_want_at_once_is_made_once() {
        let (made, barrier) = (AtomicU32::new(0), Barrier::new(16));
        let get = || {
            barrier.wait();
            get_or_make(key("wanted by many"), || {
                made.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
                Ok::<_, ()>(code(1))
            })
        };
        let all: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(get)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic").expect("made")).collect()
        });
        assert!(all.iter().all(|code| Arc::ptr_eq(code, &all[0])));
        assert_eq!(made.load(Ordering::Relaxed), 1);
        let other = get_or_make(Key { fuel: true, ..key("wanted by many") }, || Ok::<_, ()>(code(1))).expect("made");
        assert!(!Arc::ptr_eq(&other, &all[0]), "with other settings");
    }

    #[test]
    fn a_failure_is_not_kept() {
        assert_eq!(get_or_make(key("fails once"), || Err("failed")).expect_err("as it says"), "failed");
        get_or_make(key("fails once"), || Ok::<_, ()>(code(1))).expect("made");
    }

    #[test]
    fn who_is_making_it_may_ask_for_it() {
        let outer = get_or_make(key("asked for inside"), || {
            let inner = get_or_make(key("asked for inside"), || Ok::<_, ()>(code(1))).expect("made");
            assert_eq!(Arc::strong_count(&inner), 1, "for itself");
            Ok::<_, ()>(code(2))
        });
        assert_eq!(outer.expect("made").size, 2);
    }

    #[test]
    fn entries_are_bounded_and_those_in_use_stay_longest() {
        const BOUND: usize = 10_000;
        let mut table = Table::default();
        let add = |table: &mut Table, name: &str| {
            let code = Arc::new(code(1000 - name.len()));
            table.place(&key(name));
            let gone = table.note(&key(name), &code, BOUND);
            (code, gone.len())
        };
        let has = |table: &Table, name: &str| table.entries.contains_key(&key(name));
        // Their places hold nothing in this test, so one count is that of the plugin that uses it.
        let used = add(&mut table, "used");
        let _uses = Arc::clone(&used.0);
        for number in 0..9 {
            assert_eq!(add(&mut table, &format!("idle {number}")).1, 0);
        }
        table.place(&key("idle 0"));
        assert_eq!(add(&mut table, "one more").1, 1);
        assert!(has(&table, "used") && has(&table, "idle 0") && !has(&table, "idle 1"));
        assert_eq!(table.size, BOUND);
        for number in 0..MAX_ENTRIES {
            let code = Arc::new(code(1));
            table.place(&key(&format!("{number} small")));
            table.note(&key(&format!("{number} small")), &code, usize::MAX);
        }
        assert_eq!(table.entries.len(), MAX_ENTRIES);
        let last = Arc::new(code(1));
        table.place(&key("none"));
        assert_eq!(table.note(&key("none"), &last, 0).len(), MAX_ENTRIES + 1, "itself too");
        assert_eq!((table.entries.len(), table.size), (0, 0));
    }
}
