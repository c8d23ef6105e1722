//! Tells whether a thread has ended, to those who keep something for it.

use std::sync::{Arc, Weak};

thread_local! {
    static LIFE: Arc<()> = Arc::default();
}

/// The life of a thread. It is over once the thread's thread-local values are destroyed. In a forked process, those of
/// the threads that are not in it never are.
#[derive(Debug, Clone)]
pub struct ThreadLife(Weak<()>);

impl ThreadLife {
    /// The life of this thread.
    pub fn of_this() -> Self {
        Self(LIFE.try_with(Arc::downgrade).unwrap_or_default())
    }

    /// True once it is over.
    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::ThreadLife;

    #[test]
    fn a_life_is_over_when_the_thread_has_ended() {
        let own = ThreadLife::of_this();
        let other = std::thread::spawn(|| {
            let life = ThreadLife::of_this();
            assert!(!life.is_over());
            life
        });
        assert!(other.join().expect("no panic").is_over() && !own.is_over());
    }
}
