//! The hashes of a module: its SHA-256, the `hash` of manifests, and its key.

use std::fmt;

use sha2::{Digest as _, Sha256};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    #[cfg(feature = "http")]
    pub(crate) fn from_hasher(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// Reads 64 hex digits of any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? * 16 + low?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A module's hashes, as far as they are known; at least one is. Two keys are equal only if they have the same hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct ModuleKey {
    /// Given by the manifest, or calculated where the cache on disk needs it.
    pub(crate) sha256: Option<Digest>,
    /// Calculated from the bytes, in a fraction of the time.
    pub(crate) blake3: Option<blake3::Hash>,
}

#[cfg(test)]
mod tests {
    use super::Digest;

    /// The hash of the empty input, FIPS 180-4's best known example.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn any_case_is_read_and_lower_case_is_shown() {
        let digest = Digest::parse(&EMPTY.to_ascii_uppercase()).expect("64 hex digits");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(digest, Digest::of(b""));
    }

    #[test]
    fn what_is_not_64_hex_digits_is_refused() {
        for given in ["", "00", "../../etc/passwd", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)]
        {
            assert_eq!(Digest::parse(given), None, "{given}");
        }
    }
}
