//! The texts of `errmsg`, which C gets when a plugin could not be made, and frees.

use std::collections::HashMap;
use std::ffi::{CString, c_char};

use extism_core::sync::{Lazy, Mutex};

/// The texts that C has and has not freed, by their addresses.
static MESSAGES: Lazy<Mutex<HashMap<usize, CString>>> = Lazy::new(Mutex::default);

/// Keeps `text` until [`free`] is called with the address that this returns.
pub(crate) fn keep(text: &str) -> *mut c_char {
    let text = to_c_string(text);
    let address = text.as_ptr().cast_mut();
    MESSAGES.lock().insert(address.addr(), text);
    address
}

/// Frees the text at this address. Other addresses, and texts that were freed before, are ignored.
pub(crate) fn free(address: *const c_char) {
    let text = MESSAGES.lock().remove(&address.addr());
    drop(text);
}

/// `text` as far as C reads it: up to the first NUL.
pub(crate) fn to_c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{MESSAGES, free, keep, to_c_string};

    #[test]
    fn texts_end_at_a_nul() {
        assert_eq!(to_c_string("a\0b").as_c_str(), c"a");
        assert_eq!(to_c_string("\0").as_c_str(), c"");
        assert_eq!(to_c_string("é").as_c_str(), c"é");
    }

    #[test]
    fn texts_are_freed_once() {
        let address = keep("text");
        assert_eq!(MESSAGES.lock().get(&address.addr()).map(|text| text.as_c_str()), Some(c"text"));
        free(address.wrapping_add(1));
        assert!(MESSAGES.lock().contains_key(&address.addr()));
        free(address);
        assert!(!MESSAGES.lock().contains_key(&address.addr()));
        free(address);
    }
}
