//! What a thread has used of late, so that it finds it again without a word to others: a table that threads share has a lock,
//! or counters, that each of them would write to in every call.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;
use std::thread::LocalKey;

/// A number of places, each for one value and its key.
pub(crate) struct Recent<K, V, const PLACES: usize>([Place<K, V>; PLACES]);

type Place<K, V> = Cell<Option<(K, Arc<V>)>>;

/// What is only of use for some time.
pub(crate) trait Passing {
    /// Whether its time is over.
    fn is_over(&self) -> bool;
}

impl<K, V, const PLACES: usize> Recent<K, V, PLACES> {
    pub(crate) const fn new() -> Self {
        Self([const { Cell::new(None) }; PLACES])
    }
}

/// The value of `key`, which `find` looks for if it is not at hand. `number` says which place it has.
pub(crate) fn recent<K: Copy + PartialEq, V: Passing, const PLACES: usize>(
    places: &'static LocalKey<Recent<K, V, PLACES>>,
    number: usize,
    key: K,
    find: impl FnOnce() -> Option<Arc<V>>,
) -> Option<Lease<K, V, PLACES>> {
    let number = number % PLACES;
    // Where a thread ends, its places are gone already.
    let at_hand = places.try_with(|places| places.0[number].take()).ok().flatten();
    let value = match at_hand {
        Some((other, value)) if other == key && !value.is_over() => Some(value),
        _ => find(),
    };
    value.map(|value| Lease { places, number, key, value: Some(value) })
}

/// A value that is put back into its place after its use. Meanwhile the place is free for others: whoever uses a value may
/// be called upon to use another.
pub(crate) struct Lease<K: Copy + 'static, V: Passing + 'static, const PLACES: usize> {
    places: &'static LocalKey<Recent<K, V, PLACES>>,
    number: usize,
    key: K,
    /// Always there before the end.
    value: Option<Arc<V>>,
}

impl<K: Copy, V: Passing, const PLACES: usize> Deref for Lease<K, V, PLACES> {
    type Target = V;

    fn deref(&self) -> &V {
        self.value.as_ref().expect("it is only taken at the end")
    }
}

impl<K: Copy, V: Passing, const PLACES: usize> Drop for Lease<K, V, PLACES> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take()
            && !value.is_over()
        {
            let place = Some((self.key, value));
            // At the end of a thread nothing is kept.
            let _ = self.places.try_with(|places| places.0[self.number].set(place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Passing, Recent, recent};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    #[derive(Default)]
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

    fn thing(key: u32) -> super::Lease<u32, Thing, 4> {
        let find = || {
            FOUND.fetch_add(1, Ordering::Relaxed);
            Some(Arc::new(Thing { number: key, ..Thing::default() }))
        };
        let thing = recent(&THINGS, key as usize, key, find).expect("found");
        assert_eq!(thing.number, key);
        thing
    }

    fn found() -> u32 {
        FOUND.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn what_is_at_hand_is_not_looked_for() {
        let alive = thing(1).value.as_ref().map(Arc::downgrade).expect("there");
        assert_eq!((0..5).map(|_| thing(1).number).sum::<u32>(), 5);
        assert_eq!(found(), 1);
        // One place: 1, 5 and 9 are in each other's way; 2 is not.
        for key in [2, 5, 2, 9, 2, 1, 1] {
            thing(key);
        }
        assert_eq!(found(), 4, "2, 5, 9 and 1");
        assert_eq!(alive.strong_count(), 0);
        // One is used while another is.
        let (outer, inner) = (thing(1), thing(1));
        assert_eq!((outer.number, inner.number, found()), (1, 1, 1));
        drop((outer, inner));
        thing(1).over.store(true, Ordering::Relaxed);
        thing(1);
        assert_eq!(found(), 1, "its time was over");
        assert!(recent(&THINGS, 3, 3, || None).is_none());
    }
}
