//! How an error and its causes become the one text that a C caller reads.
//!
//! Each floor has its own small error enum; this leaf knows none of them and only follows `source()`. No Rust
//! backtrace and no debug quoting ever appears in the text.

use std::error::Error as StdError;
use std::ffi::CString;
use std::fmt::Write;

/// The text of `error`: its own message, then its causes, outermost first.
///
/// A cause is indented under `Caused by:`, so that the first line alone is what most callers show.
pub(crate) fn describe(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    if cause.is_some() {
        text.push_str("\n\nCaused by:");
    }
    while let Some(error) = cause {
        for line in error.to_string().lines() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n    {line}");
        }
        cause = error.source();
    }
    text
}

/// `text` as a C string. NUL bytes, which would cut it short, are spelled `\0`.
pub(crate) fn to_c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{describe, to_c_string};
    use thiserror::Error;

    #[derive(Debug, Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, Error)]
    #[error("inner \"quoted\"\nsecond line")]
    struct Inner;

    #[test]
    fn causes_are_listed_under_the_message() {
        assert_eq!(describe(&Outer(Inner)), "outer\n\nCaused by:\n    inner \"quoted\"\n    second line");
        assert_eq!(describe(&Inner), "inner \"quoted\"\nsecond line");
    }

    #[test]
    fn nul_bytes_do_not_cut_the_text() {
        assert_eq!(to_c_string("a\0b").to_bytes(), b"a\\0b");
    }
}
