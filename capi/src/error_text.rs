//! The error of a plugin, kept until it is asked for. Each call clears the error of the call before. Mostly there is
//! none: a flag tells this without a lock.

use extism_core::sync::{AtomicBool, Mutex, Ordering};

/// Aligned, so that it shares no cache line with data that is written more often.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ErrorText {
    /// False if there is no text. Changed only while `text` is locked.
    is_set: AtomicBool,
    text: Mutex<Option<String>>,
}

impl ErrorText {
    /// Keeps `text` instead of the one before.
    pub fn set(&self, text: String) {
        let mut place = self.text.lock();
        self.is_set.store(true, Ordering::Release);
        *place = Some(text);
    }

    /// Forgets the text.
    #[inline]
    pub fn clear(&self) {
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

    /// The text, if there is one.
    pub fn get(&self) -> Option<String> {
        self.text.lock().clone()
    }
}
