//! An error that somebody may ask for. There mostly is none, and to see that costs a look at a flag: each call forgets the
//! error before.

use crate::sync::{AtomicBool, Mutex, Ordering};

/// Does not share a cache line with what is written more often.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct ErrorText {
    /// Whether there may be one. Changed by who has the lock only.
    is_set: AtomicBool,
    text: Mutex<Option<String>>,
}

impl ErrorText {
    /// Keeps `text` instead of the one before.
    pub(super) fn set(&self, text: String) {
        let mut place = self.text.lock();
        self.is_set.store(true, Ordering::Release);
        *place = Some(text);
    }

    /// Forgets the text.
    #[inline]
    pub(super) fn clear(&self) {
        if self.is_set.load(Ordering::Acquire) {
            self.forget();
        }
    }

    #[cold]
    fn forget(&self) {
        let mut place = self.text.lock();
        self.is_set.store(false, Ordering::Release);
        *place = None;
    }

    pub(super) fn get(&self) -> Option<String> {
        self.text.lock().clone()
    }
}
