//! SHA-256 of a module, the `hash` of manifests.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::Error;

/// A SHA-256 that a manifest asked for; its only constructor checks the spelling.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Reads 64 hex digits of any case, the hash that the manifest gives for the module `name`.
    pub(super) fn parse(name: &str, given: String) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        if base16(given.as_bytes(), &mut bytes).is_none() {
            return Err(Error::BadHash { name: name.to_owned(), given });
        }
        Ok(Self(bytes))
    }

    /// Checks that `bytes` have this hash.
    pub(super) fn verify(&self, bytes: &[u8]) -> Result<(), Error> {
        let found = Self(Sha256::digest(bytes).into());
        if found == *self {
            return Ok(());
        }
        Err(Error::HashMismatch { found: found.to_string(), expected: self.to_string() })
    }
}

/// Fills `bytes` from exactly twice as many hex digits.
fn base16(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(())
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    /// The hash of the empty input, FIPS 180-4's best known example.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn any_case_is_read_and_lower_case_is_shown() {
        let digest = Digest::parse("main", EMPTY.to_ascii_uppercase()).expect("64 hex digits");
        assert_eq!(digest.to_string(), EMPTY);
        assert!(digest.verify(b"").is_ok());
    }

    #[test]
    fn a_mismatch_names_both_hashes() {
        let digest = Digest::parse("main", "0".repeat(64)).expect("64 hex digits");
        let error = digest.verify(b"").expect_err("another hash").to_string();
        assert_eq!(error, format!("Hash mismatch, found {EMPTY} but expected {}", "0".repeat(64)));
    }

    #[test]
    fn what_is_not_64_hex_digits_is_refused() {
        for given in ["", "00", "../../etc/passwd", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)]
        {
            let error = Digest::parse("main", given.to_owned()).expect_err("malformed").to_string();
            assert!(error.contains("64 hex digits") && error.contains(given), "{error}");
        }
    }
}
