//! Texts that C functions return and C callers do not free.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CString, c_char};
use std::ptr;

use extism_core::sync::Mutex;

thread_local! {
    static HANDED_OUT: RefCell<HandedOut> = const { RefCell::new(HandedOut(VecDeque::new())) };
}

/// The texts for threads whose thread-local values are destroyed, because they are ending.
static LAST: Mutex<HandedOut> = Mutex::new(HandedOut(VecDeque::new()));

/// The texts that were handed out on a thread, the newest last.
struct HandedOut(VecDeque<CString>);

impl HandedOut {
    /// The number of texts that stay valid, if they are no longer than `MOST_BYTES` together. A goroutine may move to
    /// another thread before it has read its text, while other goroutines ask on this thread.
    const MOST: usize = 64;
    const MOST_BYTES: usize = 1 << 16;

    fn add(&mut self, text: CString) -> *const c_char {
        let address = text.as_ptr();
        self.0.push_back(text);
        while self.0.len() > 1 && (self.0.len() > Self::MOST || self.bytes() > Self::MOST_BYTES) {
            self.0.pop_front();
        }
        address
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|text| text.count_bytes()).sum()
    }
}

/// Keeps `text` until this thread hands out the next one or ends, and returns its address. Up to 64 texts stay for
/// longer, as long as they have no more than 64 KiB together.
pub fn hand_out(text: CString) -> *const c_char {
    let mut text = Some(text);
    let own = HANDED_OUT.try_with(|texts| text.take().map(|text| texts.borrow_mut().add(text)));
    let last = || text.take().map(|text| LAST.lock().add(text));
    own.ok().flatten().or_else(last).unwrap_or(ptr::null())
}
