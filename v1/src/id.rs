//! The ids of plugins: random UUIDs (RFC 9562, version 4).

use std::fmt;

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

    /// The address of its first byte.
    pub(crate) fn address(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(number, byte)| {
            let hyphen = if matches!(number, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")
        })
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
