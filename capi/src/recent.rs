//! Per-thread cache of recently used values. A hit writes to nothing that threads share; a shared table has a lock or
//! counters that every call would write to.

use std::cell::Cell;

use extism_core::sync::{Arc, LocalKey};

/// A direct-mapped cache of `PLACES` values, one instance per thread.
pub struct Recent<K, V, const PLACES: usize>([Place<K, V>; PLACES]);

/// `key` belongs to the value that is in the place, or that was there last.
struct Place<K, V> {
    key: Cell<Option<K>>,
    value: Cell<Option<Arc<V>>>,
}

/// A value that expires: its owner has freed it, although caches still hold it.
pub trait Passing {
    /// True once the value must not be used any more.
    fn is_over(&self) -> bool;
}

impl<K: Copy + PartialEq, V: Passing, const PLACES: usize> Recent<K, V, PLACES> {
    /// Without a value.
    #[allow(clippy::new_without_default, reason = "only thread-local statics have one, and `default` is not const")]
    pub const fn new() -> Self {
        Self([const { Place { key: Cell::new(None), value: Cell::new(None) } }; PLACES])
    }
}

/// Calls `work` with the value of `key`, from the cache or from `find`; `None` if neither has it. `number` modulo
/// `PLACES` chooses the place.
///
/// The value is taken out of its place during `work`, because `work` may use the cache itself, even for the same key.
// Inlined: it is on the path of every plugin call, and is used once per kind of value.
#[inline(always)]
pub fn with_recent<K: Copy + PartialEq, V: Passing, T, const PLACES: usize>(
    places: &'static LocalKey<Recent<K, V, PLACES>>,
    number: usize,
    key: K,
    find: impl FnOnce() -> Option<Arc<V>>,
    work: impl FnOnce(&V) -> T,
) -> Option<T> {
    let mut job = Some((find, work));
    let with_places = |places: &Recent<K, V, PLACES>| {
        let (find, work) = job.take()?;
        places.0[number % PLACES].with(key, find, work)
    };
    if let Ok(result) = places.try_with(with_places) {
        return result;
    }
    // The thread is ending, and its thread-local cache is destroyed already.
    let (find, work) = job?;
    find().map(|value| work(&value))
}

impl<K: Copy + PartialEq, V: Passing> Place<K, V> {
    fn with<T>(&self, key: K, find: impl FnOnce() -> Option<Arc<V>>, work: impl FnOnce(&V) -> T) -> Option<T> {
        let at_hand = if self.key.get() == Some(key) { self.value.take() } else { None };
        let value = at_hand.filter(|value| !value.is_over()).or_else(find)?;
        let result = work(&value);
        if !value.is_over() {
            self.key.set(Some(key));
            self.value.set(Some(value));
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::{Passing, Recent, with_recent};
    use extism_core::sync::{Arc, AtomicBool, AtomicU32, Ordering};

    struct Thing {
        number: u32,
        over: AtomicBool,
    }

    impl Passing for Thing {
        fn is_over(&self) -> bool {
            self.over.load(Ordering::Relaxed)
        }
    }

    thread_local! {
        static THINGS: Recent<u32, Thing, 4> = const { Recent::new() };
    }

    static FOUND: AtomicU32 = AtomicU32::new(0);
    static ALIVE: AtomicU32 = AtomicU32::new(0);

    impl Drop for Thing {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn with_thing(key: u32, work: impl FnOnce(&Thing)) {
        let find = || {
            FOUND.fetch_add(1, Ordering::Relaxed);
            ALIVE.fetch_add(1, Ordering::Relaxed);
            Some(Arc::new(Thing { number: key, over: AtomicBool::new(false) }))
        };
        let number = with_recent(&THINGS, key as usize, key, find, |thing| {
            work(thing);
            thing.number
        });
        assert_eq!(number, Some(key));
    }

    fn found(keys: &[u32]) -> u32 {
        FOUND.store(0, Ordering::Relaxed);
        keys.iter().for_each(|key| with_thing(*key, |_| {}));
        FOUND.load(Ordering::Relaxed)
    }

    #[test]
    fn what_is_at_hand_is_not_looked_for() {
        assert_eq!(found(&[1, 1, 1, 2, 1, 2]), 2);
        // 1, 5 and 9 have one place, 2 has another.
        assert_eq!(found(&[2, 5, 2, 9, 2, 1, 1]), 3);
        assert_eq!(ALIVE.load(Ordering::Relaxed), 2);
        // Nested uses, of another value and of the same one.
        with_thing(1, |_| with_thing(5, |_| with_thing(1, |_| {})));
        assert_eq!(found(&[1]), 0);
        with_thing(1, |thing| thing.over.store(true, Ordering::Relaxed));
        assert_eq!(ALIVE.load(Ordering::Relaxed), 1, "its time was over");
        assert_eq!(found(&[1]), 1);
        assert!(with_recent(&THINGS, 3, 3, || None, |_| ()).is_none());
        // A value that expires while it is in the cache.
        THINGS.with(|things| {
            let thing = things.0[1].value.take().expect("at hand");
            thing.over.store(true, Ordering::Relaxed);
            things.0[1].value.set(Some(thing));
        });
        assert_eq!(found(&[1]), 1);
    }
}
