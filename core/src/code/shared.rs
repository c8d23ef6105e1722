//! Registry of the process's machine code. Plugins of the same modules share it, and one makes it (single flight).
//!
//! An entry keeps its modules' bytes, so that equal bytes are recognised without a cryptographic hash. Bytes of a file
//! with code on disk are read only at the second request: at the first, reading them would take longer than all else.
//! Code lives as long as an entry or a plugin holds it. Entries are bounded: those that no plugin uses are evicted
//! first, of these the least recently requested first.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::compiled::PluginCode;
use super::error::Error;
use super::modules::ModuleSource;
use crate::compiler;
use crate::environment;
use crate::module::bytes::ModuleBytes;
use crate::module::digest::ModuleKey;
use crate::sandbox::Memories;
use crate::sync::{Lazy, Mutex, ReentrantMutex};

const MAX_ENTRIES: usize = 256;

/// Everything that determines a plugin's code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CodeKey {
    /// The compiler's name, if a particular one is required.
    pub(crate) backend: Option<&'static str>,
    /// The kinds of memories that the code may be for, in order of preference.
    pub(crate) memories: &'static [Memories],
    pub(crate) fuel: bool,
    /// In the order of the manifest.
    pub(crate) modules: Vec<ModuleKey>,
}

/// A place for the code of one key, locked by the thread that makes it. Making code writes to the log, and the host's
/// logger may ask for the same code on the same thread. Therefore the lock is reentrant. The inner request finds the
/// cell borrowed, and makes code for its plugin alone.
#[derive(Debug, Default)]
struct CodeSlot(ReentrantMutex<RefCell<Option<SharedCode>>>);

/// The contents of a slot.
#[derive(Debug, Clone)]
struct SharedCode {
    code: Arc<PluginCode>,
    /// True if the entry keeps the bytes of its modules, except of those known by their hash alone.
    with_bytes: bool,
}

#[derive(Debug)]
struct CodeEntry {
    slot: Arc<CodeSlot>,
    /// The number of the last request for it, as counted by `Registry::requests`.
    requested: u64,
    /// The code; empty until it is made. The slot counts as one strong reference. A strong count above 1 means that a
    /// plugin uses the code.
    code: Weak<PluginCode>,
    /// The modules' bytes; empty until they are kept.
    _modules: Vec<Arc<ModuleBytes>>,
    /// In bytes, the memory that it holds; 0 until the code is made, at least 1 afterwards.
    size: usize,
}

#[derive(Debug, Default)]
struct Registry {
    entries: HashMap<CodeKey, CodeEntry>,
    requests: u64,
    /// The sum of the entries' sizes, in bytes.
    size: usize,
}

static REGISTRY: Lazy<Mutex<Registry>> = Lazy::new(Mutex::default);

/// The code for `key`, whose modules are `sources`; calls `make` if there is none. If another thread is making it,
/// waits for that thread, until `deadline` if there is one.
///
/// Code is made for this request alone, and not kept, if this thread is making it already, or its slot was lost in a
/// fork.
///
/// # Errors
/// `make` fails, in which case nothing is kept; or the deadline passes while another thread makes the code.
pub(crate) fn get_or_make(
    key: &CodeKey,
    sources: &[ModuleSource],
    deadline: Option<Instant>,
    make: impl FnOnce() -> Result<PluginCode, Error>,
) -> Result<Arc<PluginCode>, Error> {
    let slot = REGISTRY.lock().slot(key);
    // Removes the entry when dropped, unless the attempt is over by then: code was made, or the slot is another's.
    let mut attempt = Attempt { key, slot: &slot, is_over: false };
    let Some(lock) = slot.0.lock_until(deadline) else {
        // The slot belongs to the thread that is making the code.
        attempt.is_over = true;
        return Err(compiler::Error::TooLate.into());
    };
    let Some(mut made) = lock.as_ref().ok().and_then(|lock| lock.try_borrow_mut().ok()) else {
        // This thread is making the code already, or the slot was lost in a fork: the code is for this plugin alone.
        attempt.is_over = true;
        return make().map(Arc::new);
    };
    let code = match &*made {
        Some(made) if made.with_bytes => return Ok(attempt.succeed(&made.code)),
        Some(made) => Arc::clone(&made.code),
        None => Arc::new(make()?),
    };
    // The second request for a file reads it, if possible. The first keeps only bytes that are in memory anyway.
    let contents = sources.iter().filter_map(ModuleSource::contents);
    let comes_again = made.is_some();
    let modules =
        contents.map(|contents| if comes_again { contents.bytes().ok() } else { contents.at_hand() }.cloned());
    let modules: Option<Vec<_>> = modules.collect();
    *made = Some(SharedCode { code: Arc::clone(&code), with_bytes: modules.is_some() });
    drop(made);
    let mut registry = REGISTRY.lock();
    let dropped = registry.note(key, &slot, &code, modules.unwrap_or_default(), max_bytes());
    drop(registry);
    // Dropped after the registry is unlocked: dropping code takes other locks.
    drop(dropped);
    Ok(attempt.succeed(&code))
}

/// In a new process, before it has a second thread: removes the entries whose lock another thread held when this
/// process was forked, and notes the compilers that such a thread was in. The next request makes the code of such an
/// entry anew.
///
/// Only for the steps around a fork (`capi/src/fork.rs`): in a process with other threads it takes state from under
/// them.
pub fn forked() {
    let mut registry = REGISTRY.lock();
    let lost: Vec<_> =
        registry.entries.iter().filter(|(_, entry)| entry.slot.0.forked()).map(|(key, _)| key.clone()).collect();
    let dropped: Vec<_> = lost.iter().filter_map(|key| registry.remove(key)).collect();
    drop(registry);
    drop(dropped);
    #[cfg(feature = "compiler")]
    compiler::forked();
}

/// A request's use of a slot. If making the code fails or panics, the entry is removed, and the next request gets a new
/// slot.
struct Attempt<'a> {
    key: &'a CodeKey,
    slot: &'a Arc<CodeSlot>,
    is_over: bool,
}

impl Attempt<'_> {
    fn succeed(mut self, code: &Arc<PluginCode>) -> Arc<PluginCode> {
        self.is_over = true;
        Arc::clone(code)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let dropped = REGISTRY.lock().give_up(self.key, self.slot);
            drop(dropped);
        }
    }
}

impl Registry {
    /// The slot for `key`, empty if it is new.
    fn slot(&mut self, key: &CodeKey) -> Arc<CodeSlot> {
        self.requests += 1;
        let requested = self.requests;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.requested = requested;
            return Arc::clone(&entry.slot);
        }
        let slot = Arc::<CodeSlot>::default();
        let entry = CodeEntry { slot: Arc::clone(&slot), requested, code: Weak::new(), _modules: Vec::new(), size: 0 };
        self.entries.insert(key.clone(), entry);
        slot
    }

    /// Records the code made for `key` in `slot`, and the bytes of its modules. Returns the entries that are
    /// evicted for it, which may include the new one.
    fn note(
        &mut self,
        key: &CodeKey,
        slot: &Arc<CodeSlot>,
        code: &Arc<PluginCode>,
        modules: Vec<Arc<ModuleBytes>>,
        max_bytes: usize,
    ) -> Vec<CodeEntry> {
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.slot, slot)) {
            self.size -= entry.size;
            entry.code = Arc::downgrade(code);
            entry.size = code.size + modules.iter().map(|module| module.as_slice().len()).sum::<usize>() + 1;
            entry._modules = modules;
            self.size += entry.size;
        }
        let mut gone = Vec::new();
        while self.entries.len() > MAX_ENTRIES || self.size > max_bytes {
            // An entry in the making has no size, and is being requested.
            let made = self.entries.iter().filter(|(_, entry)| entry.size > 0);
            let in_use = |entry: &CodeEntry| entry.code.strong_count() > 1;
            let Some((key, _)) = made.min_by_key(|(_, entry)| (in_use(entry), entry.requested)) else { break };
            let key = key.clone();
            gone.extend(self.remove(&key));
        }
        gone
    }

    /// Removes the entry for `key` if its slot is `slot`, which is empty.
    fn give_up(&mut self, key: &CodeKey, slot: &Arc<CodeSlot>) -> Option<CodeEntry> {
        let entry = self.entries.get(key)?;
        if Arc::ptr_eq(&entry.slot, slot) && entry.size == 0 { self.remove(key) } else { None }
    }

    fn remove(&mut self, key: &CodeKey) -> Option<CodeEntry> {
        let entry = self.entries.remove(key)?;
        self.size -= entry.size;
        Some(entry)
    }
}

/// The most memory that the entries may hold, in bytes.
fn max_bytes() -> usize {
    usize::try_from(environment::CACHE_MEMORY_BYTES.value()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{
        Arc, CodeKey, Error, MAX_ENTRIES, Memories, ModuleBytes, ModuleKey, PluginCode, REGISTRY, Registry, get_or_make,
    };
    use crate::code::compiled::Origin;
    use crate::compiler;
    use crate::sandbox::StoreTemplate;
    use crate::stop::CodeRanges;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::thread;
    use std::time::Instant;
    use wasmer::sys::EngineBuilder;

    fn key(text: &str) -> CodeKey {
        let modules = vec![ModuleKey { sha256: None, blake3: Some(blake3::hash(text.as_bytes())) }];
        CodeKey { backend: None, memories: &[Memories::Reserved], fuel: false, modules }
    }

    fn code(size: usize) -> PluginCode {
        let engine = EngineBuilder::headless().engine().into();
        let template = StoreTemplate::new(engine, Memories::Reserved, &[]);
        let code = Arc::new(CodeRanges::new(Vec::new()));
        let (_going, _gone) = Default::default();
        PluginCode {
            _going,
            modules: Vec::new(),
            template,
            code,
            size,
            compiler: "",
            origin: Origin::Compiled,
            is_known: AtomicBool::new(false),
            _gone,
        }
    }

    fn make(key: &CodeKey) -> Arc<PluginCode> {
        get_or_make(key, &[], None, || Ok(code(1))).expect("made")
    }

    #[test]
    fn what_many_want_at_once_is_made_once() {
        let (made, barrier) = (AtomicU32::new(0), Barrier::new(16));
        let get = || {
            barrier.wait();
            get_or_make(&key("wanted by many"), &[], None, || {
                made.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
                Ok(code(1))
            })
        };
        let all: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(get)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic").expect("made")).collect()
        });
        assert!(all.iter().all(|code| Arc::ptr_eq(code, &all[0])));
        assert_eq!(made.load(Ordering::Relaxed), 1);
        let other = make(&CodeKey { fuel: true, ..key("wanted by many") });
        assert!(!Arc::ptr_eq(&other, &all[0]), "with other settings");
    }

    #[test]
    fn neither_a_failure_nor_a_panic_is_kept() {
        let key = key("fails");
        let failed = get_or_make(&key, &[], None, || Err(compiler::Error::NoCompiler.into()));
        assert!(matches!(failed, Err(Error::Compiler(compiler::Error::NoCompiler))));
        assert!(!REGISTRY.lock().entries.contains_key(&key));
        let panics = || get_or_make(&key, &[], None, || -> Result<PluginCode, Error> { panic!("in the middle") });
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(!REGISTRY.lock().entries.contains_key(&key));
        let made = make(&key);
        // An attempt on a slot that was removed before leaves the new entry alone.
        let gone = REGISTRY.lock().give_up(&key, &Arc::default());
        assert!(gone.is_none() && Arc::ptr_eq(&make(&key), &made));
    }

    #[test]
    fn who_is_making_it_may_ask_for_it() {
        let key = key("requested for inside");
        let outer = get_or_make(&key, &[], None, || {
            let inner = make(&key);
            assert_eq!(Arc::strong_count(&inner), 1, "for itself");
            Ok(code(2))
        });
        assert_eq!(outer.expect("made").size, 2);
    }

    #[test]
    fn who_has_a_deadline_does_not_wait_longer() {
        let key = key("takes long");
        let barrier = Barrier::new(2);
        let is_over = Barrier::new(2);
        thread::scope(|scope| {
            let maker = scope.spawn(|| {
                get_or_make(&key, &[], None, || {
                    barrier.wait();
                    is_over.wait();
                    Ok(code(3))
                })
            });
            barrier.wait();
            let late = get_or_make(&key, &[], Some(Instant::now()), || Ok(code(4)));
            is_over.wait();
            assert!(matches!(late, Err(Error::Compiler(compiler::Error::TooLate))));
            let made = maker.join().expect("no panic").expect("made");
            assert!(Arc::ptr_eq(&make(&key), &made), "it is kept all the same");
        });
    }

    #[test]
    fn entries_are_bounded_and_those_in_use_stay_longest() {
        const BOUND: usize = 10_000;
        let mut registry = Registry::default();
        let add = |registry: &mut Registry, name: &str| {
            let code = Arc::new(code(999 - name.len()));
            let slot = registry.slot(&key(name));
            let bytes = vec![ModuleBytes::of_bytes(name.as_bytes().into()).expect("room")];
            let gone = registry.note(&key(name), &slot, &code, bytes, BOUND);
            (code, gone.len())
        };
        let has = |registry: &Registry, name: &str| registry.entries.contains_key(&key(name));
        // Slots are empty in this test, so a strong count above 1 is from a plugin.
        let used = add(&mut registry, "used");
        let _uses = Arc::clone(&used.0);
        for number in 0..9 {
            assert_eq!(add(&mut registry, &format!("idle {number}")).1, 0);
        }
        registry.slot(&key("idle 0"));
        assert_eq!(add(&mut registry, "one more").1, 1);
        assert!(has(&registry, "used") && has(&registry, "idle 0") && !has(&registry, "idle 1"));
        assert_eq!(registry.size, BOUND);
        for number in 0..MAX_ENTRIES {
            let key = key(&format!("{number} small"));
            let slot = registry.slot(&key);
            registry.note(&key, &slot, &Arc::new(code(1)), Vec::new(), usize::MAX);
        }
        assert_eq!(registry.entries.len(), MAX_ENTRIES);
        let slot = registry.slot(&key("none"));
        let gone = registry.note(&key("none"), &slot, &Arc::new(code(1)), Vec::new(), 0);
        assert_eq!(gone.len(), MAX_ENTRIES + 1, "itself too");
        assert_eq!((registry.entries.len(), registry.size), (0, 0));
    }
}
