//! The ids of plugins: random UUIDs (RFC 9562, version 4).

use std::fmt;
use std::sync::Arc;

/// The id of a plugin: 16 bytes, in the order in which its text shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id([u8; 16]);

impl Id {
    /// A new id. Fails if the system has no random numbers.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self::of(bytes))
    }

    /// The id with these bytes, but for the six bits that say what kind of UUID it is.
    fn of(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The id as text. Each plugin gets it for its log lines, so it is made without the library's formatting, which takes a
    /// tenth of the time of making a plugin.
    pub(crate) fn text(self) -> Arc<str> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(36);
        for (number, byte) in self.0.into_iter().enumerate() {
            if matches!(number, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.extend([byte >> 4, byte & 0x0f].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
        text.into()
    }

    /// The address of its first byte.
    pub(crate) fn address(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn ids_are_uuids_of_version_4() {
        assert_eq!(Id::of([0; 16]).to_string(), "00000000-0000-4000-8000-000000000000");
        assert_eq!(Id::of([0xff; 16]).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(Id::new().expect("random numbers"), Id::new().expect("random numbers"));
    }
}
