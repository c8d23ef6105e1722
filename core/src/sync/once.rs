//! Values that are made once. Storing one takes a lock, which other threads wait for: inside the gate of `fork.rs`.

use std::ops::Deref;
use std::sync::OnceLock;

#[cfg(any(feature = "compiler", feature = "http"))]
use super::lock::Mutex;
use crate::fork;

/// The value in `place`. If it is empty, calls `make`, outside the gate because `make` may take long. If another thread
/// stores its value first, that value stays.
pub fn get_or_make<T>(place: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    place.get().unwrap_or_else(|| {
        let made = make();
        let _inside = fork::enter();
        place.get_or_init(|| made)
    })
}

/// A value that is made at its first use. `make` must take moments only.
#[derive(Debug)]
pub struct Lazy<T> {
    place: OnceLock<T>,
    make: fn() -> T,
}

impl<T> Lazy<T> {
    /// A value that `make` makes at the first use.
    pub const fn new(make: fn() -> T) -> Self {
        Self { place: OnceLock::new(), make }
    }
}

impl<T> Deref for Lazy<T> {
    type Target = T;

    fn deref(&self) -> &T {
        get_or_make(&self.place, self.make)
    }
}

/// A value that a forked process cannot use, such as one with threads or connections: each process makes its own.
#[cfg(any(feature = "compiler", feature = "http"))]
#[derive(Debug)]
pub(crate) struct PerProcess<T: 'static> {
    /// The value, and the process that made it, as [`fork::generation`] counts processes.
    made: Mutex<Option<(&'static T, u32)>>,
}

#[cfg(any(feature = "compiler", feature = "http"))]
impl<T: Sync> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self { made: Mutex::new(None) }
    }

    /// This process's value, which `make` makes at the first use. It is never dropped.
    pub(crate) fn get_or_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&'static T, E> {
        let generation = fork::generation();
        let mut made = self.made.lock();
        match *made {
            Some((value, maker)) if maker == generation => Ok(value),
            _ => {
                let value = Box::leak(Box::new(make()?));
                *made = Some((value, generation));
                Ok(value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lazy, get_or_make};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    #[test]
    fn a_lazy_value_is_one() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        static LAZY: Lazy<u32> = Lazy::new(|| MADE.fetch_add(1, Ordering::Relaxed));
        let first = *LAZY;
        thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| assert_eq!(*LAZY, first))));
        });
    }

    #[test]
    fn who_is_faster_wins() {
        let place = OnceLock::new();
        let slow = get_or_make(&place, || *get_or_make(&place, || 1) + 1);
        assert_eq!((*slow, place.get()), (1, Some(&1)));
    }
}
